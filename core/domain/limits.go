package domain

import "time"

// MaxRateWindow is the longest window of a rate limit.
const MaxRateWindow = 366 * 24 * time.Hour

// MaxConcurrency is the largest bound of jobs under way at a time.
const MaxConcurrency = 1<<31 - 1

// Rate lets Max jobs of a queue start in each window of length Per. A
// window begins with the first job that starts after the one before. The zero
// value sets no limit.
type Rate struct {
	Max int
	Per time.Duration
}

// Validate reports what is wrong with the limit, or nil.
func (r Rate) Validate() error {
	switch {
	case r == Rate{}:
		return nil
	case r.Max < 1 || r.Max > MaxConcurrency:
		return Invalidf("rate limit of %d jobs is out of range; at least 1, at most %d", r.Max, MaxConcurrency)
	case r.Per < time.Millisecond || r.Per > MaxRateWindow:
		return Invalidf("rate limit in windows of %s is out of range; at least 1ms, at most %s", r.Per, MaxRateWindow)
	}
	return nil
}

// ValidateConcurrency reports what is wrong with a bound of the jobs under way
// at a time, or nil. Zero sets none.
func ValidateConcurrency(n int) error {
	if n < 0 || n > MaxConcurrency {
		return Invalidf("concurrency %d is out of range; at least 0, at most %d", n, MaxConcurrency)
	}
	return nil
}

// ValidateHold reports what is wrong with the length of a hold, or nil. Zero
// ends one.
func ValidateHold(d time.Duration) error {
	if d != 0 && (d < time.Millisecond || d > MaxRateWindow) {
		return Invalidf("hold of %s is out of range; zero, or at least 1ms and at most %s", d, MaxRateWindow)
	}
	return nil
}

// QueueLimits are the limits of a queue, which hold for all of its workers
// together, and how far they are used.
type QueueLimits struct {
	// Concurrency is how many jobs may be under way at a time; zero sets no
	// limit. Negative, it lets no job start, as others can say of a queue.
	Concurrency int
	// Rate is how many jobs may start in a window. With a negative number, as
	// others can say of a queue, one may.
	Rate Rate
	// Active is how many jobs are under way.
	Active int
	// HeldFor is how long no job may start, because the window of Rate is used
	// up or somebody holds the queue; zero if jobs may.
	HeldFor time.Duration
}

// Full tells whether as many jobs are under way as may be.
func (l QueueLimits) Full() bool { return l.Concurrency != 0 && l.Active >= l.Concurrency }
