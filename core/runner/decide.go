package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// ending sorts the ends of attempts by what they call for.
type ending uint8

const (
	endSuccess ending = iota
	endFailure
	endPermanent
	endSkip
	endNoResult
	endSnooze
	endRateLimit
	endChildren
	endTimeout
	endLost
	endShutdown
	endPreempted
)

// classify sorts the end of an attempt and names the error to record. The
// end of the context counts for more than what the handler returned, with
// one exception: work that was finished although the worker stops is kept.
func classify(end attemptEnd) (ending, error) {
	switch {
	case errors.Is(end.cause, domain.ErrLeaseLost):
		return endLost, end.cause
	case errors.Is(end.cause, domain.ErrTimeout):
		return endTimeout, timeoutError(end)
	case end.err == nil:
		return endSuccess, nil
	case isNoResult(end.err):
		return endNoResult, end.err
	case errors.Is(end.cause, domain.ErrShutdown):
		return endShutdown, end.cause
	case errors.Is(end.cause, domain.ErrPreempted):
		return endPreempted, end.cause
	}
	return classifyError(end.err), end.err
}

func timeoutError(end attemptEnd) error {
	if end.err == nil || errors.Is(end.err, context.DeadlineExceeded) {
		return domain.ErrTimeout
	}
	return fmt.Errorf("%w: %s", domain.ErrTimeout, reasonOf(end.err))
}

func classifyError(err error) ending {
	if _, ok := errors.AsType[*domain.PermanentError](err); ok {
		return endPermanent
	}
	if _, ok := errors.AsType[*domain.SkipError](err); ok {
		return endSkip
	}
	// A typed nil is a failure like any other.
	if snooze, ok := errors.AsType[*domain.SnoozeError](err); ok && snooze != nil {
		return endSnooze
	}
	if limit, ok := errors.AsType[*domain.RateLimitError](err); ok && limit != nil {
		return endRateLimit
	}
	if children, ok := errors.AsType[*domain.WaitForChildrenError](err); ok && children != nil {
		return endChildren
	}
	if isNoResult(err) {
		return endNoResult
	}
	if errors.Is(err, domain.ErrTooLarge) {
		return endPermanent
	}
	return endFailure
}

func isNoResult(err error) bool {
	_, ok := errors.AsType[*resultError](err)
	return ok
}

// decideJob returns what becomes of a queue job after an attempt on the route,
// and false if nothing may be written because the job is another worker's.
func decideJob(job *domain.Job, route *Route, end attemptEnd, dice float64) (domain.Outcome, bool) {
	kind, err := classify(end)
	switch kind {
	case endSuccess:
		return domain.Outcome{Kind: domain.Completed, Result: end.result}, true
	case endSkip, endNoResult:
		return domain.Outcome{Kind: domain.Completed, Reason: reasonOf(err)}, true
	case endLost:
		return domain.Outcome{}, false
	case endShutdown, endPreempted:
		return domain.Outcome{Kind: domain.Returned, Reason: reasonOf(err)}, true
	case endSnooze:
		snooze, _ := errors.AsType[*domain.SnoozeError](err)
		return domain.Outcome{Kind: domain.Snoozed, After: clampPause(snooze.For), Reason: reasonOf(err)}, true
	case endRateLimit:
		limit, _ := errors.AsType[*domain.RateLimitError](err)
		return domain.Outcome{Kind: domain.RateLimited, After: clampPause(limit.For), Reason: reasonOf(err)}, true
	case endChildren:
		return domain.Outcome{Kind: domain.WaitingForChildren, Reason: reasonOf(err)}, true
	case endPermanent:
		return failedOutcome(err), true
	case endFailure, endTimeout:
	}
	outcome := failedOutcome(err)
	if job.AttemptsLeft() == 0 || !job.Options.Backoff.Retries() || route.startedEnough(job, 1) {
		return outcome, true
	}
	after, final := route.wait(job, err, dice)
	if final != nil {
		outcome.Reason = reasonOf(final)
		return outcome, true
	}
	outcome.Kind, outcome.After = domain.Retry, after
	return outcome, true
}

// startsExceeded is BullMQ's word for it.
const startsExceeded = "job started more than allowable limit"

// startedEnough reports whether the job may not start so many times more.
func (r *Route) startedEnough(job *domain.Job, more int) bool {
	return r.MaxStarts > 0 && job.AttemptsStarted+more > r.MaxStarts
}

func failedOutcome(err error) domain.Outcome {
	return domain.Outcome{Kind: domain.Failed, Reason: reasonOf(err), Stack: stackOf(err)}
}

// decideUnknown returns what becomes of a job that no handler knows.
func decideUnknown(policy UnknownPolicy, job *domain.Job, reason string) domain.Outcome {
	if policy == UnknownFail {
		return domain.Outcome{Kind: domain.Failed, Reason: reason}
	}
	return domain.Outcome{Kind: domain.Parked, After: domain.ParkDelay(job.Parked), Reason: reason}
}

// runStep is what follows an attempt of a scheduled job's run.
type runStep struct {
	event domain.Event
	// again tells that another attempt follows after wait.
	again  bool
	wait   time.Duration
	reason string
	stack  string
}

// decideRun returns what follows the given attempt, counted from one, of a run.
func decideRun(retries domain.Retries, attempt int, end attemptEnd, dice float64) runStep {
	kind, err := classify(end)
	step := runStep{reason: reasonOf(err), stack: stackOf(err)}
	switch kind {
	case endSuccess:
		step.event = domain.EventCompleted
	case endSkip:
		step.event = domain.EventSkipped
	case endLost:
		step.event = domain.EventLost
	case endShutdown:
		step.event = domain.EventReleased
	case endPreempted:
		step.event = domain.EventCancelled
	case endPermanent, endNoResult:
		step.event = domain.EventFailed
	case endFailure, endTimeout, endSnooze, endRateLimit, endChildren:
		step.event = domain.EventFailed
		if attempt <= retries.Count {
			step.event, step.again = domain.EventRetrying, true
			step.wait = retryDelay(err, retries.Backoff, attempt, dice)
		}
	}
	return step
}

// retryDelay is the wait that the error asks for, else the backoff's.
func retryDelay(err error, backoff domain.Backoff, attempts int, dice float64) time.Duration {
	if after, ok := errors.AsType[*domain.RetryAfterError](err); ok && after != nil {
		return clampDelay(after.After)
	}
	if snooze, ok := errors.AsType[*domain.SnoozeError](err); ok && snooze != nil {
		return clampPause(snooze.For)
	}
	if limit, ok := errors.AsType[*domain.RateLimitError](err); ok && limit != nil {
		return clampPause(limit.For)
	}
	return backoff.After(attempts, dice)
}

func clampDelay(d time.Duration) time.Duration {
	return min(max(d, 0), domain.MaxDelay)
}

// pauseLeast keeps a job that is put off uncharged from turning in circles.
const pauseLeast = 100 * time.Millisecond

func clampPause(d time.Duration) time.Duration { return max(clampDelay(d), pauseLeast) }

// abandonedStep is what becomes of a run taken over from a worker that died.
type abandonedStep uint8

const (
	// driveAgain drives the run from where it was.
	driveAgain abandonedStep = iota
	// recordLost ends the run as lost.
	recordLost
	// recordUnknown ends the run as lost: whether its job was enqueued before
	// can no longer be told.
	recordUnknown
	// quarantine ends the run as failed: it killed too many workers.
	quarantine
)

// decideAbandoned returns what becomes of a run taken over at the time now.
// Runs that go to a queue are driven again whatever the policy, as long as
// their receipt is known: it lets the job through once.
func decideAbandoned(job *ScheduledJob, claim domain.Claim, now time.Time) abandonedStep {
	switch {
	case claim.Phase < domain.PhaseStarted:
		return driveAgain
	case claim.Crashes > domain.MaxCrashes:
		return quarantine
	case !job.Target.Inline() && now.Sub(claim.GrantedAt) >= domain.ReceiptLife:
		return recordUnknown
	case job.Target.Inline() && job.Policy.OnAbandon == domain.AbandonLost && claim.Crashes > 0:
		return recordLost
	}
	return driveAgain
}

// slotFor returns how a run takes its job's overlap slot. A backfilled tick is
// in no hurry, and must not be lost to a run under way: where others would skip
// or cancel, it waits.
func slotFor(policy domain.OverlapPolicy, origin domain.Origin) domain.Slot {
	switch {
	case policy == domain.OverlapAllow:
		return domain.SlotFree
	case policy == domain.OverlapQueueOne, origin == domain.OriginBackfill:
		return domain.SlotQueue
	case policy == domain.OverlapCancelPrevious:
		return domain.SlotPreempt
	}
	return domain.SlotSkip
}
