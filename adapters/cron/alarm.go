package cron

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/jonboulle/clockwork"
)

// never is the period of a job that is to run once: about 146 years. gocron's
// one-time job is no choice, because its scheduler spins for ever when the
// time passes between the check and the registration.
const never = time.Duration(1 << 62)

// alarm rings once at the time it is set to. It is for one goroutine, which
// looks at the clock after each ring: it may be a late one of an earlier setting.
type alarm struct {
	rang chan struct{} // holds one ring that nobody has heard yet

	clock     clockwork.Clock
	scheduler gocron.Scheduler
	task      gocron.Task
	job       gocron.Job // the one job of the scheduler, or nil
	at        time.Time  // when the job runs
}

func newAlarm(clock clockwork.Clock) (*alarm, error) {
	scheduler, err := gocron.NewScheduler(gocron.WithClock(clock), gocron.WithLocation(time.UTC))
	if err != nil {
		return nil, fmt.Errorf("make scheduler: %w", err)
	}
	scheduler.Start()
	rang := make(chan struct{}, 1)
	// The task never blocks: gocron spins while it waits for tasks at shutdown.
	task := gocron.NewTask(func() { signal(rang) })
	return &alarm{rang: rang, clock: clock, scheduler: scheduler, task: task}, nil
}

// set sees to it that the alarm rings at the given time or before, and says
// whether it had to do something for that. A time that has passed meanwhile
// does not ring: after a set that did something, look at the clock again.
func (a *alarm) set(at time.Time) (bool, error) {
	pending := a.at.After(a.clock.Now())
	if pending && !at.Before(a.at) {
		return false, nil
	}
	// A new job rather than an update of the old one: a late run of the old
	// would stop the timer of a job with the same identity.
	if err := a.remove(); err != nil {
		return false, err
	}
	job, err := a.scheduler.NewJob(gocron.DurationJob(never), a.task, gocron.WithStartAt(gocron.WithStartDateTime(at)))
	if errors.Is(err, gocron.ErrWithStartDateTimePast) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("set alarm: %w", err)
	}
	a.job, a.at = job, at
	return true, nil
}

func (a *alarm) remove() error {
	job := a.job
	a.job, a.at = nil, time.Time{}
	if job == nil {
		return nil
	}
	if err := a.scheduler.RemoveJob(job.ID()); err != nil {
		return fmt.Errorf("remove alarm: %w", err)
	}
	return nil
}

// close ends gocron's goroutines.
func (a *alarm) close() error {
	if err := a.scheduler.Shutdown(); err != nil {
		return fmt.Errorf("shut down scheduler: %w", err)
	}
	return nil
}

// signal leaves a mark in a channel of capacity one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
