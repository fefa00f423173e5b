package domain

import "time"

// Jitter returns how long a tick waits before it acts: between 0 and most in
// whole milliseconds, both included. It depends on its arguments alone, so
// every replica and every re-drive of the tick waits until the same moment.
func Jitter(namespace, job string, planned time.Time, most time.Duration) time.Duration {
	if most < time.Millisecond {
		return 0
	}
	span := uint64(most/time.Millisecond) + 1
	h := Hash(namespace, job)
	ms := uint64(planned.UnixMilli())
	for range 8 {
		h = (h ^ ms&0xff) * fnvPrime
		ms >>= 8
	}
	return time.Duration(mix(h)%span) * time.Millisecond //nolint:gosec // at most span, which came from a duration
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// Hash returns a well-mixed hash of the parts that is equal on every machine
// and in every version: FNV-1a of 64 bits over the parts, each closed by a
// zero byte, with the finalizer of MurmurHash3.
func Hash(parts ...string) uint64 {
	h := uint64(fnvOffset)
	for _, part := range parts {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * fnvPrime
		}
		h *= fnvPrime
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
