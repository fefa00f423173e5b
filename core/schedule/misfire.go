package schedule

import (
	"fmt"
	"time"
)

// MisfirePolicy says what becomes of instants that were missed: those later
// than Misfire.After when they are decided.
type MisfirePolicy uint8

const (
	// MisfireOnce runs the latest missed instant, unless it is later than the
	// grace or a newer instant runs anyway, and counts the others as done by
	// it. It is the zero value.
	MisfireOnce MisfirePolicy = iota
	// MisfireSkip runs none of them.
	MisfireSkip
	// MisfireAll runs them all, up to a cap; beyond it, the latest ones.
	MisfireAll
)

// String returns "once", "skip" or "all".
func (p MisfirePolicy) String() string {
	switch p {
	case MisfireOnce:
		return "once"
	case MisfireSkip:
		return "skip"
	case MisfireAll:
		return "all"
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// ParseMisfirePolicy is the inverse of String.
func ParseMisfirePolicy(s string) (MisfirePolicy, error) {
	for p := MisfireOnce; p <= MisfireAll; p++ {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("unknown misfire policy %s; use once, skip or all", quote(s))
}

const (
	// DefaultMisfireAfter is how late an instant may be and still just run.
	DefaultMisfireAfter = 10 * time.Second
	// DefaultMisfireCap is the number of missed instants MisfireAll runs at most.
	DefaultMisfireCap = 100
	// MaxMisfireGrace bounds the default grace.
	MaxMisfireGrace = time.Hour
	// MaxListed bounds the decisions made of one Due for each of the verdicts:
	// what would be more is decided as one range.
	MaxListed = 1000
)

// Misfire holds the rules for late instants of a job. The zero value holds the defaults.
type Misfire struct {
	Policy MisfirePolicy
	// After is how late an instant may be and still just run; zero means
	// DefaultMisfireAfter.
	After time.Duration
	// Grace is how late the latest missed instant may be for MisfireOnce; zero
	// means DefaultGrace.
	Grace time.Duration
	// Cap is how many instants MisfireAll runs; zero means DefaultMisfireCap,
	// a negative number none, and more than MaxListed means MaxListed.
	Cap int
}

// DefaultGrace returns the distance from an instant to the following one, but
// not more than MaxMisfireGrace: a run later than that would meet the next one.
func DefaultGrace(s Schedule, at time.Time) time.Duration {
	next := s.Next(at)
	if next.IsZero() {
		return MaxMisfireGrace
	}
	return min(next.Sub(at), MaxMisfireGrace)
}

// Decide appends to dst what becomes of every instant of due at the time now,
// in their order, without gaps: the counts add up to due.Count. There are at
// most a few thousand decisions, however many instants there are, and usually
// one. It is a pure function; replicas that agree on now decide alike.
func (m Misfire) Decide(dst []Decision, due Due, now time.Time) []Decision {
	d := decider{Misfire: m.withDefaults(), due: due, now: now, list: dst}
	// Instants before the border are missed, the others are only late.
	border := now.Add(-d.After)
	if !due.First.Before(border) {
		d.fresh(due.Cursor, due.First, due.Count)
		return d.list
	}
	edge := border.Add(-time.Nanosecond)
	last := due.Latest
	if !last.Before(border) {
		last = Latest(due.Schedule, due.Cursor, edge)
	}
	missed := due.Schedule.Count(due.Cursor, last)
	first := time.Time{}
	if missed < due.Count {
		first = due.Schedule.Next(last)
	}
	d.missed(last, missed, first)
	d.fresh(last, first, due.Count-missed)
	return d.list
}

func (m Misfire) withDefaults() Misfire {
	if m.After == 0 {
		m.After = DefaultMisfireAfter
	}
	if m.Cap == 0 {
		m.Cap = DefaultMisfireCap
	}
	m.Cap = min(max(m.Cap, 0), MaxListed)
	return m
}

// decider collects the decisions about one Due.
type decider struct {
	Misfire

	due  Due
	now  time.Time
	list []Decision
}

// missed decides the instants up to last by the policy. Fresh is the first
// instant that runs anyway, zero if there is none.
func (d *decider) missed(last time.Time, count int64, fresh time.Time) {
	stretch := span{after: d.due.Cursor, last: last, count: count}
	switch d.Policy {
	case MisfireSkip:
		d.add(stretch, Decision{Verdict: Skipped, Reason: ReasonPolicy})
	case MisfireAll:
		skip, run := stretch.cut(d.due.Schedule, int64(d.Cap))
		d.add(skip, Decision{Verdict: Skipped, Reason: ReasonOverCap})
		d.add(run, Decision{Verdict: Fired, Reason: ReasonCatchUp})
	case MisfireOnce:
		grace := d.Grace
		if grace == 0 {
			grace = DefaultGrace(d.due.Schedule, last)
		}
		switch {
		case !fresh.IsZero():
			d.add(stretch, Decision{Verdict: Coalesced, Reason: ReasonNewer, Into: fresh})
		case d.now.Sub(last) > grace:
			d.add(stretch, Decision{Verdict: Skipped, Reason: ReasonTooLate})
		default:
			rest, run := stretch.cut(d.due.Schedule, 1)
			d.add(rest, Decision{Verdict: Coalesced, Reason: ReasonNewer, Into: last})
			d.add(run, Decision{Verdict: Fired, Reason: ReasonCatchUp})
		}
	}
}

// fresh lets the instants that are not missed run: those after the given time.
// A schedule can be so fast that there are too many of them.
func (d *decider) fresh(after, first time.Time, count int64) {
	if count == 1 { // Nearly always.
		d.list = append(d.list, d.at(Decision{Verdict: Fired, Reason: ReasonDue}, first))
		return
	}
	stretch := span{after: after, last: d.due.Latest, count: count}
	rest, run := stretch.cut(d.due.Schedule, MaxListed)
	if rest.count > 0 {
		into := d.due.Schedule.Next(rest.last)
		d.add(rest, Decision{Verdict: Coalesced, Reason: ReasonNewer, Into: into})
	}
	d.add(run, Decision{Verdict: Fired, Reason: ReasonDue})
}

// add decides every instant of a stretch alike: one by one, or as a range if they are many.
func (d *decider) add(s span, verdict Decision) {
	if s.count > MaxListed {
		verdict.First, verdict.Last, verdict.Count = d.due.Schedule.Next(s.after), s.last, s.count
		verdict.Late = d.now.Sub(s.last)
		d.list = append(d.list, verdict)
		return
	}
	at := s.after
	for range s.count {
		at = d.due.Schedule.Next(at)
		d.list = append(d.list, d.at(verdict, at))
	}
}

// at completes a decision about a single instant.
func (d *decider) at(verdict Decision, instant time.Time) Decision {
	verdict.First, verdict.Last, verdict.Count = instant, instant, 1
	verdict.Late = d.now.Sub(instant)
	return verdict
}

// span is a stretch of a schedule: its count instants in (after, last].
type span struct {
	after, last time.Time
	count       int64
}

// cut splits off the latest n instants.
func (s span) cut(schedule Schedule, n int64) (rest, tail span) {
	if s.count <= n {
		return span{after: s.after}, s
	}
	border := s.last
	for range n {
		border = Latest(schedule, s.after, border.Add(-time.Nanosecond))
	}
	return span{after: s.after, last: border, count: s.count - n}, span{after: border, last: s.last, count: n}
}
