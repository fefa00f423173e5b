package main

import "time"

// compute does so many steps of a xorshift, which never comes to zero. The work
// is counted, not timed: what history takes of the processors is then not
// taken for work of the job.
func compute(steps int) uint64 {
	x := uint64(1)
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// stepsOf returns how many steps take d when nothing disturbs them.
func stepsOf(d time.Duration) int {
	const steps, attempts = 100_000, 50
	fastest := time.Hour
	for range attempts {
		began := time.Now()
		if compute(steps) == 0 {
			break
		}
		fastest = min(fastest, time.Since(began))
	}
	return max(1, int(steps*float64(d)/float64(fastest)))
}
