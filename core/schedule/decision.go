package schedule

import (
	"fmt"
	"time"
)

// Verdict is what becomes of an instant.
type Verdict uint8

const (
	// Fired instants run. It is the zero value.
	Fired Verdict = iota
	// Skipped instants do not run.
	Skipped
	// Coalesced instants do not run themselves: a newer run stands for them.
	Coalesced
)

// String returns "fired", "skipped" or "coalesced".
func (v Verdict) String() string {
	switch v {
	case Fired:
		return "fired"
	case Skipped:
		return "skipped"
	case Coalesced:
		return "coalesced"
	}
	return fmt.Sprintf("verdict(%d)", uint8(v))
}

// Reason explains a verdict, in the form that logs and records show.
type Reason string

// The reasons there are.
const (
	// ReasonDue: the instant runs, on time or a little late.
	ReasonDue Reason = "due"
	// ReasonCatchUp: the instant was missed and runs by the policy.
	ReasonCatchUp Reason = "catch_up"
	// ReasonPolicy: the instant was missed and the policy is to skip.
	ReasonPolicy Reason = "misfire_skip"
	// ReasonTooLate: the instant was missed by more than the grace.
	ReasonTooLate Reason = "past_grace"
	// ReasonOverCap: more instants were missed than the cap lets run.
	ReasonOverCap Reason = "over_cap"
	// ReasonNewer: a newer instant runs and stands for this one.
	ReasonNewer Reason = "newer_tick"
)

// Decision records what becomes of one instant, or of a range of neighbouring
// instants with the same fate. Instants that run are always single.
type Decision struct {
	// First and Last are equal for a single instant, and Count is then 1.
	First, Last time.Time
	Count       int64
	Verdict     Verdict
	Reason      Reason
	// Into is the instant whose run stands for coalesced ones, else zero.
	Into time.Time
	// Late is how long ago Last was; it is negative when the clock has gone
	// back since the instant was found due.
	Late time.Duration
}

// String returns a line for people, such as "2026-03-08T07:30:00Z fired (due, late 3s)".
func (d Decision) String() string {
	what := d.First.Format(time.RFC3339Nano)
	if d.Count > 1 {
		what += fmt.Sprintf(" to %s, %d ticks,", d.Last.Format(time.RFC3339Nano), d.Count)
	}
	what += fmt.Sprintf(" %s (%s, late %s)", d.Verdict, d.Reason, d.Late)
	if !d.Into.IsZero() {
		what += " into " + d.Into.Format(time.RFC3339Nano)
	}
	return what
}
