package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// handle works the attempt, and then others while there are any. A handler
// may end the goroutine; nothing depends on it going on.
func (w *worker) handle(a *jobAttempt) {
	defer func() {
		// Nobody waits for the handler of an attempt that was given back.
		if a == nil || !w.fenced(a) {
			w.handlers.Done()
		}
	}()
	for a != nil && w.work(a) {
		a = <-w.next
	}
}

func (w *worker) fenced(a *jobAttempt) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return a.state == attemptFenced
}

// work runs the attempt's handler on the calling goroutine and reports
// whether the goroutine is to wait for another one.
func (w *worker) work(a *jobAttempt) (more bool) {
	if a.ctx.Err() != nil && w.fenced(a) {
		return false
	}
	defer a.ctx.cancel(nil)
	pprof.SetGoroutineLabels(a.route.labels)
	protect(func() ([]byte, error) {
		return a.route.Handler.Handle(&a.ctx, &a.lease.Job)
	}, func(result []byte, err error) {
		more = w.finish(a, attemptEnd{result: result, err: err, cause: a.ctx.cause(), took: w.now().Sub(a.started)})
	})
	return more
}

// finish decides what becomes of the attempt's job and hands it to the
// settler. It reports whether the goroutine is to wait for another one, and
// counts it among the idle ones then.
func (w *worker) finish(a *jobAttempt, end attemptEnd) (more bool) {
	if end.err == nil && len(end.result) > w.cfg.MaxPayload {
		end.result, end.err = nil, &resultError{cause: fmt.Errorf("result of %d bytes: %w", len(end.result), domain.ErrTooLarge)}
	}
	outcome, ours := decideJob(&a.lease.Job, a.route, end, w.dice())

	w.mu.Lock()
	discarded := w.conclude(a, ours)
	if !discarded {
		a.outcome, a.event, a.took = outcome, eventOf(outcome, end), end.took
	}
	more = a.state != attemptFenced && !w.resting && !mayHaveEnded(end.err)
	if more {
		w.idle++
	}
	wanted := w.settlerWanted()
	w.checkDrained()
	w.mu.Unlock()

	if end.err == nil && (discarded || errors.Is(end.cause, domain.ErrTimeout)) {
		w.journal.Record(w.recordOf(a, domain.EventLate, "the attempt had ended: "+reasonOf(end.cause)))
	}
	if discarded {
		signal(w.freed)
	} else if wanted {
		signal(w.settle)
	}
	return more
}

// conclude takes the attempt out of the active ones and reports whether what
// its handler did is to be discarded; it is called with mu held.
func (w *worker) conclude(a *jobAttempt, ours bool) (discarded bool) {
	if a.state == attemptFenced {
		return true
	}
	last := len(w.active) - 1
	w.active[a.index] = w.active[last]
	w.active[a.index].index = a.index
	w.active[last] = nil
	w.active = w.active[:last]
	if a.lost || !ours {
		a.letGo()
		w.free++
		return true
	}
	a.state = attemptFinished
	w.finished = append(w.finished, a)
	return false
}

// dismiss settles a lease that no handler gets to see; it is called with mu
// held.
func (w *worker) dismiss(a *jobAttempt) {
	a.state = attemptFinished
	a.outcome, a.event = w.decideUnseen(a.lease)
	w.finished = append(w.finished, a)
}

// decideUnseen returns what becomes of a job that no handler gets to see. A
// refused one is not returned by a worker that stops: the next could do no
// more for it.
func (w *worker) decideUnseen(lease *domain.Lease) (domain.Outcome, domain.Event) {
	var outcome domain.Outcome
	switch {
	case lease.Refused != "":
		outcome = domain.Outcome{Kind: domain.Failed, Reason: domain.CleanText(lease.Refused, domain.MaxReason)}
		if !lease.Inherited {
			return outcome, domain.EventQuarantined
		}
	case w.quiet:
		outcome = domain.Outcome{Kind: domain.Returned, Reason: domain.ErrShutdown.Error()}
	default:
		outcome = decideUnknown(w.cfg.Unknown, &lease.Job, w.unknownReason(lease.Job.Name))
	}
	return outcome, eventOf(outcome, attemptEnd{})
}

const namesListed = 10

func (w *worker) unknownReason(name string) string {
	names := slices.Sorted(maps.Keys(w.queue.Routes))
	if len(names) > namesListed {
		names = append(names[:namesListed], "…")
	}
	return fmt.Sprintf("no handler for job name %s on queue %s; handlers: %s",
		domain.Quote(name), w.queue.Name, strings.Join(names, ", "))
}

// eventOf names the decision that an outcome is.
func eventOf(outcome domain.Outcome, end attemptEnd) domain.Event {
	switch outcome.Kind {
	case domain.Completed:
		if _, dropped := errors.AsType[*resultError](end.err); dropped {
			return domain.EventDropped
		}
		if outcome.Reason != "" {
			return domain.EventSkipped
		}
		return domain.EventCompleted
	case domain.Retry:
		if errors.Is(end.cause, domain.ErrTimeout) {
			return domain.EventTimedOut
		}
		return domain.EventRetrying
	case domain.Snoozed:
		return domain.EventSnoozed
	case domain.Returned:
		return domain.EventReturned
	case domain.Parked:
		return domain.EventParked
	case domain.RateLimited:
		return domain.EventLimited
	case domain.WaitingForChildren:
		return domain.EventWaiting
	case domain.Failed:
	}
	return domain.EventFailed
}

// label returns a context that carries the route's profiler labels, by which
// profiles and stack dumps tell handlers apart.
func label(queue domain.QueueName, name string) context.Context {
	return pprof.WithLabels(context.Background(), pprof.Labels("queue", string(queue), "job", name))
}
