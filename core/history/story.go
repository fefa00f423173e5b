package history

import (
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// story answers by the recorded decisions about the tick.
func (x *explainer) story(records []domain.Record) {
	first := &records[0]
	x.before(first)
	if x.q.Replica != "" && !by(x.q.Replica, records) {
		x.add(x.left(first))
	}
	last, begun := first, false
	for i := range records {
		record := &records[i]
		x.add(x.tell(record))
		x.blocker(record)
		if record.Event == domain.EventStarted && !begun {
			begun = true
			x.answer.Late = max(record.At.Sub(x.q.At), 0)
		}
		if decides(record.Event) {
			last = record
		}
	}
	for i := range x.e.Queue {
		x.add(x.tell(&x.e.Queue[i]))
	}
	x.end(last)
	x.owner(last)
	if x.q.Replica != "" && !by(x.q.Replica, records) {
		x.conclude(CodeElsewhere, "was claimed by %s, not by %s", first.Replica, x.q.Replica)
	}
}

// left tells why the replica that is asked about did not decide.
func (x *explainer) left(first *domain.Record) Cause {
	cause := Cause{Code: CodeElsewhere, At: first.At, Replica: first.Replica}
	cause.Text = fmt.Sprintf("%s is not known to have the job", x.q.Replica)
	for _, r := range x.e.replicasAt(x.q.At, x.q.Now) {
		if r.name != x.q.Replica {
			continue
		}
		since := x.clock(r.definition.At)
		switch {
		case !r.alive:
			cause.Text = r.name + " did not live then"
		case r.definition.Reason == domain.ReasonSuperseded:
			cause.Text = fmt.Sprintf("%s does not plan the job since %s: a newer definition than its %s is live", r.name, since, orManual(r.definition.Schedule))
		case r.definition.Reason == domain.ReasonDisabled && r.definition.Replica != r.name:
			cause.Text = fmt.Sprintf("%s has the job disabled, as %s registered it at %s", r.name, r.definition.Replica, since)
		case r.definition.Reason == domain.ReasonDisabled:
			cause.Text = fmt.Sprintf("%s registered the job as disabled at %s", r.name, since)
		default:
			cause.Text = fmt.Sprintf("%s left the tick to %s: the first to claim a tick has it", r.name, first.Replica)
		}
	}
	return cause
}

// before tells what kept the first decision from being made in time.
func (x *explainer) before(first *domain.Record) {
	delay := first.At.Sub(x.q.At)
	if len(x.e.Into) > 0 {
		x.into()
	}
	if first.Reason == domain.ReasonPaused && !x.e.paused().IsZero() {
		x.pausedSince()
	}
	if delay < lateFrom {
		return
	}
	if o, down := x.e.outage(x.q.At, x.q.Now); down {
		x.add(o.cause(x))
		return
	}
	x.add(Cause{
		Code: CodeDelayed, At: x.q.At, Until: first.At, Replica: first.Replica,
		Text: fmt.Sprintf("%s decided about it %s late: the ledger did not answer, or the host was busy or suspended", first.Replica, round(delay)),
	})
}

// into tells which missed ticks the run stands for.
func (x *explainer) into() {
	count := 0
	for i := range x.e.Into {
		count += max(x.e.Into[i].Count, 1)
	}
	first, last := &x.e.Into[0], &x.e.Into[len(x.e.Into)-1]
	until := last.Until
	if until.IsZero() {
		until = last.Run.Planned()
	}
	text := fmt.Sprintf("it stands for %d missed ticks from %s to %s", count, x.clock(first.Run.Planned()), x.clock(until))
	if count == 1 {
		text = "it stands for the missed tick of " + x.clock(first.Run.Planned())
	}
	x.add(Cause{Code: CodeCoalesced, At: first.Run.Planned(), Until: until, Replica: first.Replica, Text: text})
}

// blocker tells what the run in the way was doing.
func (x *explainer) blocker(record *domain.Record) {
	if record.By == "" || record.Event != domain.EventSkipped && record.Event != domain.EventQueued {
		return
	}
	began, ended := x.lifeOf(record.By)
	if began == nil && ended == nil {
		return
	}
	cause := Cause{Code: CodeOverlap, By: record.By, Text: record.By}
	if began != nil {
		cause.At, cause.Replica = began.At, began.Replica
		how := "began"
		if began.Event == domain.EventFired {
			how = "was queued"
		}
		cause.Text += fmt.Sprintf(" %s at %s on %s", how, x.clock(began.At), began.Replica)
	}
	switch {
	case ended != nil:
		cause.Until = ended.At
		cause.Text += fmt.Sprintf(", and was %s at %s", ended.Event, x.clock(ended.At))
	default:
		cause.Text += ", and has not ended"
	}
	x.add(cause)
}

// lifeOf returns when the run or job began, and when it ended.
func (x *explainer) lifeOf(name string) (began, ended *domain.Record) {
	for i := range x.e.Blockers {
		other := &x.e.Blockers[i]
		if other.Run.String() != name && string(other.JobID) != name {
			continue
		}
		switch {
		case other.Event == domain.EventFired && string(other.JobID) == name:
			began = other
		case ends(other.Event):
			ended = other
		case other.Event == domain.EventStarted || other.Event == domain.EventClaimed && began == nil:
			began = other
		}
	}
	return began, ended
}

// owner tells that the replica that had the run last is gone.
func (x *explainer) owner(last *domain.Record) {
	if ends(last.Event) || len(x.e.Owner) == 0 {
		return
	}
	sign := &x.e.Owner[len(x.e.Owner)-1]
	if sign.Event != domain.EventWorkerStopped && x.q.Now.Sub(sign.At) <= gone {
		return
	}
	x.add(Cause{
		Code: CodeDown, At: sign.At, Replica: sign.Replica,
		Text: fmt.Sprintf("%s, which has it, gave its last sign of life at %s: another replica takes the run over", sign.Replica, x.clock(sign.At)),
	})
}

// decides reports whether the event says how far the run has come.
func decides(event domain.Event) bool {
	switch event { //nolint:exhaustive // all others do
	case domain.EventLate, domain.EventStuck:
		return false
	}
	return true
}

// ends reports whether nothing follows the event unless another replica takes
// the run over.
func ends(event domain.Event) bool {
	switch event { //nolint:exhaustive // all others do not
	case domain.EventSkipped, domain.EventCoalesced, domain.EventFired, domain.EventCompleted, domain.EventDropped,
		domain.EventFailed, domain.EventCancelled, domain.EventLost, domain.EventQuarantined:
		return true
	}
	return false
}

// end concludes by the latest decision about the run.
func (x *explainer) end(last *domain.Record) {
	switch last.Event {
	case domain.EventCompleted, domain.EventFired:
		x.ran(last)
	case domain.EventSkipped:
		x.skipped(last)
	case domain.EventCoalesced:
		x.conclude(CodeCoalesced, "did not run by itself: it was missed, and %s stands for it", last.By)
	case domain.EventFailed:
		x.conclude(CodeFailed, "ran and failed after %s", attempts(last.Attempt))
	case domain.EventCancelled:
		x.conclude(CodeCancelled, "was cancelled")
	case domain.EventLost:
		x.conclude(CodeLost, "was lost: %s", last.Reason)
	case domain.EventQuarantined:
		x.conclude(CodeQuarantined, "was given up: %s", last.Reason)
	case domain.EventReleased:
		x.conclude(CodeReleased, "was handed back and waits for another replica")
	case domain.EventClaimed, domain.EventJittered, domain.EventQueued:
		x.conclude(CodeWaiting, "is claimed by %s and waits", last.Replica)
	case domain.EventStarted, domain.EventTimedOut, domain.EventRetrying, domain.EventAbandoned:
		x.conclude(CodeRunning, "is under way on %s", last.Replica)
	case domain.EventStuck, domain.EventLate: // they decide nothing
	case domain.EventDropped, domain.EventParked, domain.EventSnoozed, domain.EventReturned, domain.EventLimited, domain.EventWaiting, domain.EventRequeued: // queue jobs alone
	case domain.EventRegistered, domain.EventJobPaused, domain.EventJobResumed,
		domain.EventWorkerStarted, domain.EventWorkerAlive, domain.EventWorkerStopped: // no decisions
	}
}

func (x *explainer) ran(last *domain.Record) {
	code, how := CodeRan, "ran"
	if x.answer.Late >= lateFrom {
		code, how = CodeRanLate, fmt.Sprintf("ran %s late", round(x.answer.Late))
	}
	if last.Event == domain.EventCompleted {
		x.conclude(code, "%s and completed", how)
		return
	}
	end := "nothing is recorded of that job yet"
	if n := len(x.e.Queue); n > 0 {
		end = fmt.Sprintf("that job is %s", x.e.Queue[n-1].Event)
	}
	x.conclude(code, "%s and queued the job %s; %s", how, domain.Quote(string(last.JobID)), end)
}

func (x *explainer) skipped(last *domain.Record) {
	switch last.Reason {
	case domain.ReasonOverlap:
		x.conclude(CodeOverlap, "was skipped: another run was under way")
	case domain.ReasonPaused:
		x.conclude(CodePaused, "was skipped: the job was paused")
	case domain.ReasonJitter:
		x.conclude(CodeJitter, "was skipped: an earlier run still waited for its jitter")
	case domain.ReasonSuperseded:
		x.conclude(CodeSuperseded, "was skipped: a newer definition of the job is live")
	case domain.ReasonTaken:
		x.conclude(CodeElsewhere, "was claimed elsewhere")
	default:
		if policy := misfire(last.Reason); policy != "" {
			x.conclude(CodeMisfired, "was missed and skipped: %s", policy)
			return
		}
		x.conclude(CodeSkipped, "ran and was skipped by its handler")
	}
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

// round shortens a duration for people.
func round(d time.Duration) time.Duration {
	if d >= 10*time.Second {
		return d.Round(time.Second)
	}
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
