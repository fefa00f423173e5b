package runner

import (
	"sync"
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
// changes nothing.
type storeClock struct {
	now func() time.Time

	mu    sync.Mutex
	store time.Time
	host  time.Time
	// slack is how long the sample took.
	slack  time.Duration
	synced bool
}

// Now returns the store's time in UTC.
func (c *storeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(c.now())
}

func (c *storeClock) at(host time.Time) time.Time {
	if !c.synced {
		return host.UTC().Round(0)
	}
	return c.store.Add(host.Sub(c.host))
}

// Sample takes in a store's time that was read between two readings of the
// host's clock, and returns by how much the store's time differs from what
// was expected. What a blunt sample leaves open is no difference, and a blunt
// sample that may be what was expected changes nothing.
func (c *storeClock) Sample(store, asked, answered time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	slack := answered.Sub(asked)
	// A call that is repeated until an outage is over is answered at its end.
	read := answered
	if slack <= sharpSample {
		read = asked.Add(slack / 2)
	}
	step := store.Sub(c.at(read))
	if !c.synced {
		step = 0
	} else if max(slack, c.slack) > sharpSample && step.Abs() <= slack+c.slack+clockDrift {
		if slack >= c.slack {
			return 0
		}
		step = 0
	}
	c.store, c.host, c.slack, c.synced = store.UTC().Round(0), read, slack, true
	return step
}
