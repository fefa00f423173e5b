package history

import (
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Code names an answer or one of its causes for programs. Codes are stable.
// A cause that is a recorded decision has the code of its [domain.Event].
type Code string

// The answers there are.
const (
	CodeRan     Code = "ran"
	CodeRanLate Code = "ran_late"
	// CodeRunning is a run under way, CodeWaiting one that is claimed and waits.
	CodeRunning Code = "running"
	CodeWaiting Code = "waiting"
	CodeFailed  Code = "failed"
	// CodeSkipped is a run that its handler skipped.
	CodeSkipped     Code = "skipped"
	CodeOverlap     Code = "overlap"
	CodeJitter      Code = "jitter_pending"
	CodeMisfired    Code = "misfired"
	CodeCoalesced   Code = "coalesced"
	CodePaused      Code = "paused"
	CodeDisabled    Code = "disabled"
	CodeSuperseded  Code = "superseded"
	CodeCancelled   Code = "cancelled"
	CodeReleased    Code = "released"
	CodeLost        Code = "lost"
	CodeQuarantined Code = "quarantined"
	// CodeClockChange is a local time that the clocks jump over or show twice.
	CodeClockChange Code = "clock_change"
	// CodeElsewhere is a tick that another replica claimed than the one asked about.
	CodeElsewhere Code = "claimed_elsewhere"
	CodeDown      Code = "worker_down"
	// CodeDelayed is a tick that was decided late although a worker lived.
	CodeDelayed Code = "decided_late"
	// CodeUnregistered is a tick before the job was first registered.
	CodeUnregistered Code = "unregistered"
	CodeNotPlanned   Code = "not_planned"
	CodeNotDue       Code = "not_due"
	// CodeNotKept is a tick that the history does not reach back to.
	CodeNotKept Code = "not_kept"
	// CodeUnknown is a tick that should have been decided, without a record.
	CodeUnknown Code = "unknown"
)

// Codes returns all codes of answers.
func Codes() []Code {
	return []Code{
		CodeRan, CodeRanLate, CodeRunning, CodeWaiting, CodeFailed, CodeSkipped, CodeOverlap, CodeJitter, CodeMisfired, CodeCoalesced,
		CodePaused, CodeDisabled, CodeSuperseded, CodeCancelled, CodeReleased, CodeLost, CodeQuarantined, CodeClockChange,
		CodeElsewhere, CodeDown, CodeDelayed, CodeUnregistered, CodeNotPlanned, CodeNotDue, CodeNotKept, CodeUnknown,
	}
}

// Cause is one link of the chain that led to an answer.
type Cause struct {
	Code Code
	// Text is a sentence, its times in the zone of the question.
	Text string
	// At is when it happened, or began; Until is when it ended, if it lasted.
	At, Until time.Time
	Replica   string
	// By is the run or job that was in the way or stands for the tick.
	By      string
	Queue   domain.QueueName
	JobID   domain.JobID
	Attempt int
}

// Answer says what became of a tick, and why.
type Answer struct {
	Job string
	// At is the instant that was asked about, in the zone of the question.
	At   time.Time
	Code Code
	// Summary is the answer in one sentence.
	Summary string
	// Causes are in the order in which they came to count.
	Causes []Cause
	// Late is how long after its planned instant the first attempt began.
	Late time.Duration
	// Before and After are the planned instants nearest to one that is not
	// planned; zero if there is none.
	Before, After time.Time
}

// Has reports whether a cause has the code.
func (a *Answer) Has(code Code) bool {
	if a.Code == code {
		return true
	}
	for i := range a.Causes {
		if a.Causes[i].Code == code {
			return true
		}
	}
	return false
}

// Text returns the answer for people, a line for each sentence.
func (a *Answer) Text() string {
	lines := []string{a.Summary + "."}
	for i := range a.Causes {
		lines = append(lines, "  - "+a.Causes[i].Text+".")
	}
	if a.Code == CodeNotPlanned || a.Code == CodeSuperseded {
		for _, near := range []struct {
			what string
			at   time.Time
		}{{"the tick before it is that of ", a.Before}, {"the tick after it is that of ", a.After}} {
			if !near.at.IsZero() {
				lines = append(lines, "  - "+near.what+clock(near.at.In(a.At.Location()))+".")
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// clock shows a time with its offset.
func clock(at time.Time) string {
	layout := "2006-01-02 15:04:05 -07:00"
	if at.Truncate(time.Millisecond).Nanosecond() != 0 {
		layout = "2006-01-02 15:04:05.000 -07:00"
	}
	return at.Format(layout)
}
