package schedule

import (
	"math"
	"time"
)

// period is a stretch of constant offset from UTC around an instant, in Unix
// seconds: [start, end). An unbounded side is math.MinInt64 or math.MaxInt64.
type period struct {
	start, end, offset int64
}

// periodAt returns the period around u. It may be shorter than the stretch
// really is; neighbouring periods can share an offset.
func periodAt(loc *time.Location, u int64) period {
	if loc == time.UTC {
		return period{start: math.MinInt64, end: math.MaxInt64}
	}
	t := time.Unix(u, 0).In(loc)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	p := period{start: math.MinInt64, end: math.MaxInt64, offset: int64(offset)}
	if !start.IsZero() {
		p.start = start.Unix()
	}
	if !end.IsZero() {
		p.end = end.Unix()
	}
	if p.end <= u {
		// ZoneBounds returns an end that is not after t on 31 December of leap
		// years beyond the zone's table of transitions.
		p.end = u + secondsPerHour
	}
	return p
}

// offsetAt returns the offset from UTC in force at u.
func offsetAt(loc *time.Location, u int64) int64 {
	_, offset := time.Unix(u, 0).In(loc).Zone()
	return int64(offset)
}

// Transition is a moment at which the clocks of a zone are changed.
type Transition struct {
	// At is the first instant with the new offset, in UTC.
	At time.Time
	// Before and After are the offsets from UTC.
	Before, After time.Duration
}

// Shift returns by how much the clocks are put forward; negative is back.
func (t Transition) Shift() time.Duration { return t.After - t.Before }

// String describes the transition in local time, such as
// "2026-03-08: clocks go from 02:00 to 03:00".
func (t Transition) String() string {
	const clockOnly = "15:04"
	from, to := t.At.Add(t.Before).UTC(), t.At.Add(t.After).UTC()
	layout := clockOnly
	if from.Second() != 0 || to.Second() != 0 {
		layout = time.TimeOnly
	}
	target := to.Format(layout)
	if from.YearDay() != to.YearDay() {
		target = to.Format(time.DateOnly + " " + layout)
	}
	return from.Format(time.DateOnly) + ": clocks go from " + from.Format(layout) + " to " + target
}

// Transitions returns the clock changes of loc in (from, to], in order. A zone
// has about two a year; the work is proportional to the number of years.
func Transitions(loc *time.Location, from, to time.Time) []Transition {
	var found []Transition
	u, last := clamp(from), clamp(to)
	for {
		p := periodAt(loc, u)
		if p.end > last {
			return found
		}
		if next := offsetAt(loc, p.end); next != p.offset {
			found = append(found, Transition{
				At:     time.Unix(p.end, 0).UTC(),
				Before: time.Duration(p.offset) * time.Second,
				After:  time.Duration(next) * time.Second,
			})
		}
		u = p.end
	}
}

const (
	minUnix = -62_135_596_800 // The year 1, where the zero time is.
	maxUnix = 253_402_300_799 // The end of the year 9999, the last that is written with four digits.
)

// clamp returns the Unix second of t, kept within the years 1 to 9999.
func clamp(t time.Time) int64 {
	return min(max(t.Unix(), minUnix), maxUnix)
}
