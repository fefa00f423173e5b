package schedule

import "time"

// gapSteps bounds the work of ShortestGap: a month of a schedule that runs
// once a minute fits in.
const gapSteps = 50_000

// Gap is the distance between two neighbouring instants of a schedule.
type Gap struct {
	// Length is zero when there are fewer than two instants to compare.
	Length time.Duration
	// At is the first of the two instants.
	At time.Time
	// Exact is false when the window held more instants than were looked at;
	// the true shortest gap may then be shorter than Length.
	Exact bool
}

// ShortestGap returns the shortest gap of s among the instants in
// (from, from+window]. It looks at a bounded number of instants and takes a
// few milliseconds at most.
//
// A jitter that reaches the shortest gap would let two runs of a job overtake
// each other; this is what it is compared with.
func ShortestGap(s Schedule, from time.Time, window time.Duration) Gap {
	end := from.Add(window)
	if e, ok := s.(Every); ok {
		return e.gap(from, end)
	}
	floor := time.Nanosecond
	if _, ok := s.(*Cron); ok {
		floor = time.Second
	}
	gap := Gap{Exact: true}
	prev := s.Next(from)
	for range gapSteps {
		next := s.Next(prev)
		if prev.IsZero() || next.IsZero() || next.After(end) {
			return gap
		}
		if d := next.Sub(prev); gap.Length == 0 || d < gap.Length {
			gap.Length, gap.At = d, prev
		}
		if gap.Length <= floor {
			return gap
		}
		prev = next
	}
	gap.Exact = false
	return gap
}
