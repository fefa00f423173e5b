package domain

import (
	"math"
	"time"
)

// MaxDelay bounds every delay between attempts.
const MaxDelay = 24 * time.Hour

// NoRetry is the delay of a job's [Backoff] by which no attempt follows a
// failed one, whatever is left of them. It is BullMQ's -1: jobs of Node have
// it, those of this worker say one attempt.
const NoRetry = -time.Millisecond

// BackoffKind says how delays grow. The values are BullMQ's names.
type BackoffKind string

const (
	// BackoffFixed waits the same time before each attempt.
	BackoffFixed BackoffKind = "fixed"
	// BackoffExponential doubles the wait with each attempt.
	BackoffExponential BackoffKind = "exponential"
)

// Known reports whether a [Backoff] of the kind can tell its waits. Jobs of
// others may name one that only a handler knows.
func (k BackoffKind) Known() bool {
	return k == "" || k == BackoffFixed || k == BackoffExponential
}

// Backoff says how long to wait between attempts. The zero value waits not
// at all.
type Backoff struct {
	Kind  BackoffKind
	Delay time.Duration
	// Jitter in [0, 1] is the part of the delay that is left to chance: with
	// 0.5 the wait lies between half the delay and the whole.
	Jitter float64
}

// Retries reports whether an attempt may follow a failed one.
func (b Backoff) Retries() bool { return b.Delay != NoRetry }

// After returns the wait before the attempt that follows attempts failed
// ones, between 0 and [MaxDelay]. dice is in [0, 1). The formula is BullMQ's:
// 2^(attempts-1) × delay for the exponential kind, the jitter taken from the
// delay's end.
func (b Backoff) After(attempts int, dice float64) time.Duration {
	delay := float64(max(b.Delay, 0))
	if b.Kind == BackoffExponential {
		delay *= math.Pow(2, float64(max(attempts, 1)-1))
	}
	delay = math.Min(delay, float64(MaxDelay))
	jitter := math.Min(math.Max(b.Jitter, 0), 1)
	delay = delay*(1-jitter) + dice*delay*jitter
	if math.IsNaN(delay) {
		return 0
	}
	return time.Duration(math.Min(math.Max(delay, 0), float64(MaxDelay)))
}

// Validate reports what is wrong with the backoff, or nil.
func (b Backoff) Validate() error {
	switch {
	case !b.Kind.Known():
		return Invalidf("backoff: unknown kind %s; known are %q and %q", Quote(string(b.Kind)), BackoffFixed, BackoffExponential)
	case b.Delay < 0 || b.Delay > MaxDelay:
		return Invalidf("backoff: delay %s is out of range; at least 0s, at most %s", b.Delay, MaxDelay)
	case math.IsNaN(b.Jitter) || b.Jitter < 0 || b.Jitter > 1:
		return Invalidf("backoff: jitter %v is out of range; at least 0, at most 1", b.Jitter)
	}
	return nil
}

// Park delays: an unknown job waits parkFirst, then twice as long each time,
// up to parkMost.
const (
	parkFirst = 30 * time.Second
	parkMost  = 10 * time.Minute
)

// ParkDelay returns how long a job waits that was parked the given number of
// times before: 30 s doubling to 10 min.
func ParkDelay(parked int) time.Duration {
	delay := parkFirst
	for range parked {
		if delay *= 2; delay >= parkMost {
			return parkMost
		}
	}
	return delay
}
