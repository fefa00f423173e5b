package cron

import (
	"log/slog"
	"time"

	"github.com/go-co-op/gocron/v2"
)

// NewOnWall is New with another wall clock.
func NewOnWall(log *slog.Logger, wall func() time.Time) *Waker { return newWaker(log, wall) }

// StartBroken starts a Waker whose alarm cannot be set.
func (w *Waker) StartBroken(broken error) error {
	a, err := newAlarm(w.clock)
	if err != nil {
		return err
	}
	a.scheduler = brokenScheduler{Scheduler: a.scheduler, err: broken}
	w.phase, w.done = running, make(chan struct{})
	go w.run(a, func() {})
	return nil
}

type brokenScheduler struct {
	gocron.Scheduler
	err error
}

func (s brokenScheduler) NewJob(gocron.JobDefinition, gocron.Task, ...gocron.JobOption) (gocron.Job, error) {
	return nil, s.err
}

// JobsAfterSettings says how many jobs gocron holds after n settings of one
// alarm, each earlier than the last.
func JobsAfterSettings(n int) (int, error) {
	clock := newSteadyClock(time.Now)
	a, err := newAlarm(clock)
	if err != nil {
		return 0, err
	}
	for i := range n {
		if _, err := a.set(clock.Now().Add(time.Hour - time.Duration(i)*time.Second)); err != nil {
			return 0, err
		}
	}
	return len(a.scheduler.Jobs()), a.close()
}
