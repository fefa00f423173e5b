// Package schedule is Takt's civil-time engine: it decides at which instants
// scheduled jobs are due, and what becomes of the instants that were missed.
//
// It holds the cron language ([ParseCron]), the interval grid ([Every]), the
// [Planner] that knows which of many schedules is due next, and the [Misfire]
// rules. Everything in it is a pure function of its arguments: it reads no
// clock, starts no goroutine, draws no random number and hands out UTC only.
//
// A schedule is a fixed set of instants. [Schedule.Next] returns the least
// element after the given time, and the set never depends on that time: this
// is what lets replicas agree on a tick, lets a cursor refuse the past, and
// lets catch-up find exactly what was missed.
//
// When clocks change, a cron schedule whose hour field is restricted runs once
// per local time: a local time the clock jumps over is read with the offset in
// force before the jump (02:30 becomes 03:30), and one that occurs twice runs
// in the first pass. A schedule with every hour follows the clock: missing
// times do not run, repeated ones run again.
//
// Time zones come from the host's zone files or, where there are none, from
// time/tzdata, which the program has to import.
package schedule
