package runner

import (
	"sync"
	"sync/atomic"
	"time"
)

// stepReported is how far the store's time may jump before it is reported.
const stepReported = 2 * time.Second

// A sample that took longer than sharpSample is blunt: it says no more than that
// the store's time was read in between. clockDrift is how far the clocks may have
// drifted apart since the sample before.
const (
	sharpSample = 100 * time.Millisecond
	clockDrift  = 100 * time.Millisecond
)

// storeClock tells the store's time between two samples of it. In between it
// goes by the host's monotonic clock, so a step of the host's wall clock
// changes nothing. It is safe for concurrent use, and to tell the time waits for
// nobody: each decision asks for it.
type storeClock struct {
	now func() time.Time

	// sampling is held while a sample is taken in.
	sampling sync.Mutex
	latest   atomic.Pointer[clockSample]
}

// clockSample is the store's time at a time of the host's clock.
type clockSample struct {
	store, host time.Time
	// slack is how long the sample took.
	slack time.Duration
}

// Now returns the store's time in UTC.
func (c *storeClock) Now() time.Time { return c.latest.Load().at(c.now()) }

// at returns the store's time; without a sample it is taken for the host's.
func (s *clockSample) at(host time.Time) time.Time {
	if s == nil {
		return host.UTC().Round(0)
	}
	return s.store.Add(host.Sub(s.host))
}

// Sample takes in a store's time that was read between two readings of the
// host's clock, and returns by how much the store's time differs from what
// was expected. What a blunt sample leaves open is no difference, and a blunt
// sample that may be what was expected changes nothing.
func (c *storeClock) Sample(store, asked, answered time.Time) time.Duration {
	c.sampling.Lock()
	defer c.sampling.Unlock()
	latest, slack := c.latest.Load(), answered.Sub(asked)
	// A call that is repeated until an outage is over is answered at its end.
	read := answered
	if slack <= sharpSample {
		read = asked.Add(slack / 2)
	}
	step := store.Sub(latest.at(read))
	if latest == nil {
		step = 0
	} else if max(slack, latest.slack) > sharpSample && step.Abs() <= slack+latest.slack+clockDrift {
		if slack >= latest.slack {
			return 0
		}
		step = 0
	}
	c.latest.Store(&clockSample{store: store.UTC().Round(0), host: read, slack: slack})
	return step
}
