package inmemqueue

import (
	"math"
	"time"
)

// instant is a moment on the monotonic clock of a backend, in nanoseconds
// since shortly before it was made. Zero means never.
type instant int64

const endOfTime = instant(math.MaxInt64)

// after returns the moment d later, at the end of time if that is too far.
func (i instant) after(d time.Duration) instant {
	if later := i + instant(max(d, 0)); later >= i {
		return later
	}
	return endOfTime
}

type clock struct {
	now   func() time.Time
	epoch time.Time
}

func newClock(now func() time.Time) clock {
	// A nanosecond earlier, so that no moment of the backend's life is zero.
	return clock{now: now, epoch: now().Add(-1)}
}

// moment is the present, as users read it and as the queue measures it.
type moment struct {
	wall time.Time
	at   instant
}

func (c clock) read() moment {
	wall := c.now()
	return moment{wall: wall, at: c.instant(wall)}
}

func (c clock) instant(t time.Time) instant { return instant(t.Sub(c.epoch)) }

// wallOf returns the instant as the wall clock shows it today.
func (m moment) wallOf(i instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return m.wall.Add(time.Duration(i - m.at))
}
