package schedule

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

const (
	// MinInterval is the shortest interval there is.
	MinInterval = time.Millisecond
	// MinOrdinaryInterval is the shortest interval that needs no explicit consent.
	MinOrdinaryInterval = 100 * time.Millisecond
	// MaxInterval is the longest interval there is.
	MaxInterval = 366 * 24 * time.Hour
)

// ErrFastInterval is wrapped by the error of NewEvery for an interval that
// NewFastEvery would accept.
var ErrFastInterval = errors.New("an interval below 100ms needs explicit consent")

// IntervalError says why an interval was refused.
type IntervalError struct {
	Interval time.Duration
	Reason   string
	cause    error
}

// Error names the interval and what would be right.
func (e *IntervalError) Error() string {
	return fmt.Sprintf("interval %s: %s", e.Interval, e.Reason)
}

// Unwrap returns ErrFastInterval when consent is all that is missing.
func (e *IntervalError) Unwrap() error { return e.cause }

// Every is a schedule with a constant distance between instants. They lie on a
// grid anchored at the Unix epoch and moved by the phase, so every replica
// computes the same ones. The zero value has no instants.
type Every struct {
	// Interval and Phase are whole milliseconds; NewEvery checks them.
	Interval, Phase time.Duration
}

// NewEvery returns the grid of an interval from 100 ms to 366 days. The phase is
// reduced to the interval and to whole milliseconds. Errors are of type
// *IntervalError; a shorter interval gives one that wraps ErrFastInterval.
func NewEvery(interval, phase time.Duration) (Every, error) {
	if interval >= MinInterval && interval < MinOrdinaryInterval {
		return Every{}, &IntervalError{Interval: interval, Reason: ErrFastInterval.Error(), cause: ErrFastInterval}
	}
	return NewFastEvery(interval, phase)
}

// NewFastEvery is NewEvery for callers who consented to intervals down to 1 ms.
func NewFastEvery(interval, phase time.Duration) (Every, error) {
	switch {
	case interval < MinInterval:
		return Every{}, &IntervalError{Interval: interval, Reason: "too short; use 1ms or more"}
	case interval > MaxInterval:
		return Every{}, &IntervalError{Interval: interval, Reason: "too long; use 366 days (8784h) or less"}
	case interval%time.Millisecond != 0:
		return Every{}, &IntervalError{Interval: interval, Reason: "not a whole number of milliseconds"}
	}
	phase = phase.Truncate(time.Millisecond) % interval
	if phase < 0 {
		phase += interval
	}
	return Every{Interval: interval, Phase: phase}, nil
}

// Phase spreads jobs of equal interval over time: a hash of namespace and name,
// reduced to the interval, in whole milliseconds. It is 64-bit FNV-1a over
// namespace, a zero byte and name, with a final mix, and part of the contract:
// it never changes, because every replica has to find the same instants. An
// interval below one millisecond has phase zero.
func Phase(namespace, name string, interval time.Duration) time.Duration {
	if interval < MinInterval {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(namespace + "\x00" + name)) // A hash never fails to take bytes.
	sum := h.Sum64()
	// FNV barely carries the last bytes into the high bits: names that differ in
	// their last letter would get neighbouring phases.
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	return time.Duration(sum%uint64(interval.Milliseconds())) * time.Millisecond //nolint:gosec // Less than the interval.
}

// String returns the interval and the phase, such as "every 5m0s+12.5s".
func (e Every) String() string {
	if e.Phase == 0 {
		return "every " + e.Interval.String()
	}
	return "every " + e.Interval.String() + "+" + e.Phase.String()
}

// Next returns the first instant of the grid after the given one, in UTC, or
// the zero time when that would lie beyond the year 9999.
func (e Every) Next(after time.Time) time.Time {
	if e.Interval < MinInterval {
		return time.Time{}
	}
	next := e.instant(e.index(after) + 1)
	if next.Unix() > maxUnix {
		return time.Time{}
	}
	return next
}

// Count returns the number of instants in (from, to].
func (e Every) Count(from, to time.Time) int64 {
	if e.Interval < MinInterval || !to.After(from) {
		return 0
	}
	return e.index(to) - e.index(from)
}

func (e Every) latest(from, to time.Time) time.Time {
	if e.Count(from, to) == 0 {
		return time.Time{}
	}
	return e.instant(e.index(to))
}

func (e Every) gap(from, end time.Time) Gap {
	if e.Count(from, end) < 2 {
		return Gap{Exact: true}
	}
	return Gap{Length: e.Interval, At: e.Next(from), Exact: true}
}

// index numbers the instants; it returns that of the last one at or before t.
func (e Every) index(t time.Time) int64 {
	ms := clamp(t) * 1000
	if t.Unix()*1000 == ms {
		ms += int64(t.Nanosecond()) / int64(time.Millisecond)
	}
	return floorDiv(ms-e.Phase.Milliseconds(), e.Interval.Milliseconds())
}

func (e Every) instant(index int64) time.Time {
	return time.UnixMilli(index*e.Interval.Milliseconds() + e.Phase.Milliseconds()).UTC()
}
