package runner

import (
	"sync"
	"time"
)

// stepReported is how far the store's time may jump before it is reported.
const stepReported = 2 * time.Second

// storeClock tells the store's time between two samples of it. In between it
// goes by the host's monotonic clock, so a step of the host's wall clock
// changes nothing.
type storeClock struct {
	now func() time.Time

	mu     sync.Mutex
	store  time.Time
	host   time.Time
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
// was expected.
func (c *storeClock) Sample(store, asked, answered time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	middle := asked.Add(answered.Sub(asked) / 2)
	step := store.Sub(c.at(middle))
	if !c.synced {
		step = 0
	}
	c.store, c.host, c.synced = store.UTC().Round(0), middle, true
	return step
}
