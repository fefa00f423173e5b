// Package cron implements [ports.Waker] on gocron. It is an alarm clock and
// nothing more: it calls a function at the time it was last asked for, to the
// millisecond, and knows neither schedules nor jobs nor ticks. What is due is
// the planner's decision, made anew in every wake.
//
// The alarm follows the monotonic clock alone, so a step of the wall clock
// neither delays nor advances a wake. On systems whose monotonic clock stands
// still while the machine sleeps, a pending wake is late by that sleep.
//
// gocron has one job at most, which stands for the pending wake and does no
// more than report that its time has come. A started Waker keeps three
// goroutines, two of them gocron's, and no timer but that of the pending wake.
package cron
