package cron

import (
	"time"

	"github.com/jonboulle/clockwork"
)

// steadyClock shows the wall time of its making plus what the monotonic clock
// has counted since. gocron computes with wall times: on the stock clock, one
// step back would silence it for as long as the step.
type steadyClock struct {
	clockwork.Clock // timers, which run by duration

	anchor time.Time
	start  time.Time
}

var _ clockwork.Clock = (*steadyClock)(nil)

// newSteadyClock reads wall once.
func newSteadyClock(wall func() time.Time) *steadyClock {
	return &steadyClock{Clock: clockwork.NewRealClock(), anchor: wall().UTC().Round(0), start: time.Now()}
}

func (c *steadyClock) Now() time.Time                  { return c.anchor.Add(time.Since(c.start)) }
func (c *steadyClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c *steadyClock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }
