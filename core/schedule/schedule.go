package schedule

import (
	"math"
	"time"
)

// Schedule is an immutable set of instants, in UTC. Implementations are safe
// for concurrent use and hold no state that a call could change.
type Schedule interface {
	// Next returns the least instant after the given one, or the zero time
	// when there is none. The set of instants does not depend on after.
	Next(after time.Time) time.Time

	// Count returns the number of instants in (from, to].
	Count(from, to time.Time) int64
}

// ender is a Schedule that finds its latest instant by arithmetic.
type ender interface {
	latest(from, to time.Time) time.Time
}

// Latest returns the latest instant of s in (from, to], or the zero time when
// there is none. It takes a number of steps logarithmic in the distance, never
// one per instant.
func Latest(s Schedule, from, to time.Time) time.Time {
	if !to.After(from) {
		return time.Time{}
	}
	if e, ok := s.(ender); ok {
		return e.latest(from, to)
	}
	best, hi := gallop(s, from, to)
	for !best.IsZero() {
		// Next is monotone, so (best, to] can be halved by asking at its middle.
		next := s.Next(best)
		if next.IsZero() || next.After(to) {
			break
		}
		best = next
		mid := best.Add(hi.Sub(best) / 2)
		if next = s.Next(mid); next.IsZero() || next.After(to) {
			hi = mid
		} else {
			best = next
		}
	}
	return best
}

// gallop looks back from to in doubling strides until an instant is found. It
// returns that instant and a bound after which there is none up to to.
func gallop(s Schedule, from, to time.Time) (found, bound time.Time) {
	bound = to
	for stride := time.Second; ; stride *= 2 {
		at := to.Add(-stride)
		if stride > math.MaxInt64/4 || !at.After(from) {
			at = from
		}
		if next := s.Next(at); !next.IsZero() && !next.After(to) {
			return next, bound
		}
		if at.Equal(from) {
			return time.Time{}, bound
		}
		bound = at
	}
}
