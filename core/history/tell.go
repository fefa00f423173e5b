package history

import (
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// tell makes a sentence of a recorded decision about a run or a queue job.
func (x *explainer) tell(r *domain.Record) Cause {
	return Cause{
		Code: codeOf(r), At: r.At, Replica: r.Replica, By: r.By, Queue: r.Queue, JobID: r.JobID, Attempt: r.Attempt,
		Text: fmt.Sprintf("%s: %s", x.clock(r.At), strings.ReplaceAll(x.sentence(r), "\n", " ")),
	}
}

func codeOf(r *domain.Record) Code {
	if r.Run.Job == "" {
		return "job_" + Code(r.Event)
	}
	return Code(r.Event)
}

//nolint:funlen // one case for each event
func (x *explainer) sentence(r *domain.Record) string {
	what := "the run"
	if r.Run.Job == "" {
		what = "the job"
	}
	switch r.Event {
	case domain.EventClaimed:
		text := r.Replica + " claimed it"
		if r.Late >= lateFrom {
			text += fmt.Sprintf(", %s late", round(r.Late))
		}
		return text
	case domain.EventCoalesced:
		return fmt.Sprintf("%s found it missed by %s%s; %s stands for it", r.Replica, round(r.At.Sub(x.q.At)), x.among(r), r.By)
	case domain.EventJittered:
		return fmt.Sprintf("its jitter makes it wait %s", round(r.Wait))
	case domain.EventQueued:
		return fmt.Sprintf("it waits for %s, which is under way", r.By)
	case domain.EventSkipped:
		return x.skip(r)
	case domain.EventStarted:
		return fmt.Sprintf("attempt %d began on %s", r.Attempt, r.Replica)
	case domain.EventTimedOut:
		return fmt.Sprintf("attempt %d timed out after %s (%s); the next follows after %s", r.Attempt, round(r.Took), r.Reason, round(r.Wait))
	case domain.EventStuck:
		return fmt.Sprintf("the handler went on although attempt %d was over", r.Attempt)
	case domain.EventLate:
		return fmt.Sprintf("the result of attempt %d came after its end and was discarded (%s)", r.Attempt, r.Reason)
	case domain.EventRetrying:
		return fmt.Sprintf("attempt %d failed after %s (%s); the next follows after %s", r.Attempt, round(r.Took), r.Reason, round(r.Wait))
	case domain.EventDropped:
		return fmt.Sprintf("%s is done, but its result could not be kept (%s)", what, r.Reason)
	case domain.EventFired:
		return fmt.Sprintf("attempt %d queued the job %s on queue %s", r.Attempt, domain.Quote(string(r.JobID)), r.Queue)
	case domain.EventCompleted:
		return fmt.Sprintf("%s completed in attempt %d after %s", what, r.Attempt, round(r.Took))
	case domain.EventFailed:
		return fmt.Sprintf("%s failed in attempt %d after %s (%s)", what, r.Attempt, round(r.Took), r.Reason)
	case domain.EventCancelled:
		return fmt.Sprintf("%s was cancelled (%s)", what, r.Reason)
	case domain.EventReleased:
		return fmt.Sprintf("%s handed it back (%s)", r.Replica, r.Reason)
	case domain.EventAbandoned:
		return fmt.Sprintf("%s took it over: %s%s", r.Replica, r.Reason, crashes(r.Count))
	case domain.EventLost:
		return fmt.Sprintf("%s lost it (%s)", r.Replica, r.Reason)
	case domain.EventParked:
		return fmt.Sprintf("%s parked the job for %s (%s)", r.Replica, round(r.Wait), r.Reason)
	case domain.EventSnoozed:
		return fmt.Sprintf("the job was put off for %s (%s)", round(r.Wait), r.Reason)
	case domain.EventReturned:
		return fmt.Sprintf("%s handed the job back (%s)", r.Replica, r.Reason)
	case domain.EventLimited:
		return fmt.Sprintf("the job waits %s for the rate limit of its queue (%s)", round(r.Wait), r.Reason)
	case domain.EventWaiting:
		return "the job waits for its children"
	case domain.EventQuarantined:
		return fmt.Sprintf("%s was given up: %s%s", what, r.Reason, crashes(r.Count))
	case domain.EventRequeued:
		return "the job went back to its queue: " + r.Reason + crashes(r.Count)
	case domain.EventRegistered, domain.EventJobPaused, domain.EventJobResumed,
		domain.EventWorkerStarted, domain.EventWorkerAlive, domain.EventWorkerStopped:
	}
	return string(r.Event)
}

func (x *explainer) skip(r *domain.Record) string {
	switch r.Reason {
	case domain.ReasonOverlap:
		return fmt.Sprintf("%s skipped it: %s was under way", r.Replica, r.By)
	case domain.ReasonPaused:
		return r.Replica + " skipped it: the job is paused"
	case domain.ReasonJitter:
		return r.Replica + " skipped it: an earlier run waits for its jitter"
	case domain.ReasonSuperseded:
		return r.Replica + " skipped it: a newer definition of the job is live"
	case domain.ReasonTaken:
		return fmt.Sprintf("%s skipped it: %s has it", r.Replica, r.By)
	}
	if policy := misfire(r.Reason); policy != "" {
		return fmt.Sprintf("%s found it missed by %s%s: %s", r.Replica, round(r.At.Sub(x.q.At)), x.among(r), policy)
	}
	return fmt.Sprintf("its handler skipped it (%s)", r.Reason)
}

// among names the range of ticks that were decided together.
func (x *explainer) among(r *domain.Record) string {
	if r.Count <= 1 {
		return ""
	}
	return fmt.Sprintf(", one of %d ticks from %s to %s", r.Count, x.clock(r.Run.Planned()), x.clock(r.Until))
}

// misfire says what the misfire policy made of a missed tick; empty for other
// reasons.
func misfire(reason string) string {
	switch schedule.Reason(reason) {
	case schedule.ReasonPolicy:
		return "the misfire policy is to skip"
	case schedule.ReasonTooLate:
		return "it was later than the grace of the misfire policy"
	case schedule.ReasonOverCap:
		return "more ticks were missed than the misfire policy lets run"
	case schedule.ReasonNewer:
		return "a newer tick ran"
	case schedule.ReasonDue, schedule.ReasonCatchUp:
	}
	return ""
}

func crashes(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return ", the first crash under it"
	}
	return fmt.Sprintf(", crash %d under it", n)
}
