package runner

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// runAttempt is one attempt of a run's handler.
type runAttempt struct {
	number  int
	started time.Time
	ctx     deferredContext
	// unwatch keeps the end of ctx from having the attempt watched; nil without a
	// timeout.
	unwatch func() bool
	// end is how the handler ended.
	end attemptEnd

	// The fields below are guarded by the scheduler's mutex.

	// ended is closed when the handler has returned, and watched when nobody looks
	// after it any more; both are nil while nobody does.
	ended, watched chan struct{}
	// over tells that the handler has returned, fenced that the run was given back
	// before it did.
	over, fenced bool
}

// attempts tries the run's handler until it succeeds, fails for good, or must
// give up. Attempts never overlap: each waits for the end of the one before.
func (s *scheduler) attempts(r *run, attempt int) {
	for ; ; attempt++ {
		s.note(r, &domain.Record{Event: domain.EventStarted, Attempt: attempt, Late: r.late})
		a := s.beginAttempt(r, attempt)
		if a == nil {
			s.endReleased(r, attempt)
			return
		}
		s.handle(r, a)
		if r.fenced || s.concluded(r, attempt, &a.end) {
			return
		}
	}
}

// depart is the last that a goroutine does that drives a run, even if the handler
// ended it: then another one goes on.
func (s *scheduler) depart(r *run) {
	switch {
	case r.fenced:
	case r.cutOff != nil:
		a := r.cutOff
		r.cutOff = nil
		go s.goOn(r, a)
	default:
		s.forget(r)
	}
}

// goOn goes on with a run after an attempt whose handler ended its goroutine.
func (s *scheduler) goOn(r *run, after *runAttempt) {
	defer s.depart(r)
	if !s.concluded(r, after.number, &after.end) {
		s.attempts(r, after.number+1)
	}
}

// handle calls the handler, on the calling goroutine, and takes note of how that
// ended. It does not return if the handler ended the goroutine.
func (s *scheduler) handle(r *run, a *runAttempt) {
	pprof.SetGoroutineLabels(r.job.profilerLabels())
	defer pprof.SetGoroutineLabels(context.Background())
	protect(func() ([]byte, error) {
		return r.job.Handler.HandleRun(&a.ctx, r.claim.Run, a.number)
	}, func(result []byte, err error) {
		a.end = attemptEnd{result: result, err: err, cause: a.ctx.cause(), took: s.ports.Now().Sub(a.started)}
		a.finish()
		if r.fenced = s.endAttempt(r, a); !r.fenced {
			r.cutOff = a
		}
	})
	r.cutOff = nil
}

// beginAttempt makes the attempt that is under way. It returns nil if the run has
// been given back.
func (s *scheduler) beginAttempt(r *run, number int) *runAttempt {
	a := &runAttempt{number: number, started: s.ports.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.givenBack {
		return nil
	}
	if timeout := r.job.Policy.Timeout; timeout > 0 {
		a.ctx.start(timeout)
		a.unwatch = context.AfterFunc(a.ctx.made, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.watch(r, a)
		})
	}
	r.attempt = a
	if cause := r.ctx.cause(); cause != nil {
		s.interrupt(r, cause)
	}
	return a
}

// finish ends the attempt's context after its handler.
func (a *runAttempt) finish() {
	if a.unwatch != nil {
		a.unwatch()
	}
	a.ctx.cancel(nil)
}

// endAttempt takes note that the handler has returned, and reports whether the run
// was given back before.
func (s *scheduler) endAttempt(r *run, a *runAttempt) (fenced bool) {
	s.mu.Lock()
	if a.fenced {
		s.mu.Unlock()
		return true
	}
	a.over, r.attempt = true, nil
	if a.watched == nil {
		s.mu.Unlock()
		return false
	}
	close(a.ended)
	s.mu.Unlock()
	<-a.watched
	return false
}

// concluded decides what becomes of a run after an attempt, and reports whether
// it is over; if not, it is time for the next attempt.
func (s *scheduler) concluded(r *run, attempt int, end *attemptEnd) bool {
	if end.err == nil && (errors.Is(end.cause, domain.ErrTimeout) || errors.Is(end.cause, domain.ErrLeaseLost)) {
		s.noteLateEnd(r, attempt, end)
	}
	if s.dispatched(r, attempt, end) {
		return true
	}
	step := decideRun(r.job.Policy.Retries, attempt, *end, s.ports.Dice())
	if step.again {
		return !s.awaitNext(r, attempt, end, &step)
	}
	s.conclude(r, attempt, end, &step)
	return true
}

func (s *scheduler) noteLateEnd(r *run, attempt int, end *attemptEnd) {
	s.note(r, &domain.Record{Event: domain.EventLate, Attempt: attempt, Reason: reasonOf(end.cause)})
}

// awaitNext waits until it is time for the next attempt. It reports false if the
// run was given back or lost meanwhile.
func (s *scheduler) awaitNext(r *run, attempt int, end *attemptEnd, step *runStep) bool {
	event := step.event
	if errors.Is(end.cause, domain.ErrTimeout) {
		event = domain.EventTimedOut
	}
	s.charge(r, attempt)
	s.note(r, &domain.Record{Event: event, Attempt: attempt, Took: end.took, Wait: step.wait, Reason: step.reason, Stack: step.stack})
	if !s.pause(r, step.wait) {
		return false
	}
	r.late = 0
	return true
}

// dispatched puts the payload of a successful attempt on the job's queue and
// reports whether the run is over with that. A dispatch that was refused
// makes the attempt a failed one; if the queue takes no more jobs here, the run
// is given back.
func (s *scheduler) dispatched(r *run, attempt int, end *attemptEnd) bool {
	if kind, _ := classify(*end); kind != endSuccess || r.job.Target.Inline() {
		return false
	}
	if len(end.result) > s.cfg.MaxPayload {
		end.err = fmt.Errorf("payload of %d bytes, at most %d are allowed: %w", len(end.result), s.cfg.MaxPayload, domain.ErrTooLarge)
		return false
	}
	result, err := s.dispatch(r, end.result)
	switch {
	case errors.Is(err, ports.ErrClosed):
		end.err, end.cause = err, domain.ErrShutdown
		return false
	case err != nil:
		end.err, end.cause = err, r.ctx.cause()
		return false
	}
	if result.Err != nil {
		end.err = refused(result.Err)
		return false
	}
	record := domain.Record{
		Event: domain.EventFired, Attempt: attempt, Took: end.took, Late: r.late,
		Queue: r.job.Target.Queue, JobID: result.ID, JobName: r.job.Target.JobName,
	}
	switch result.Status {
	case domain.DispatchBlocked:
		record.Event, record.Reason, record.By, record.JobID = domain.EventSkipped, domain.ReasonOverlap, string(result.ID), ""
	case domain.DispatchLost:
		record.Event, record.Reason, record.JobID = domain.EventLost, "the claim is another replica's", ""
	case domain.Dispatched:
	}
	s.end(r, &record)
	return true
}

// dispatch repeats the call until it is answered; it may be repeated, for the
// receipt lets the job through once. It gives up with the run.
func (s *scheduler) dispatch(r *run, payload []byte) (domain.DispatchResult, error) {
	var failing outage
	for {
		result, err := s.dispatches.Do(s.living, domain.Dispatch{Claim: s.ref(r), Job: s.newJob(r, payload)})
		if err == nil {
			return result, nil
		}
		pause, report := failing.failed(s.ports.Now())
		if report && s.living.Err() == nil {
			s.ports.Log.WarnContext(s.living, "run not dispatched yet", "run_id", r.claim.Run.String(), "err", err)
		}
		if errors.Is(err, ports.ErrClosed) || s.living.Err() != nil || !wait(&r.ctx, pause) {
			return domain.DispatchResult{}, err
		}
	}
}

// refused marks a refusal that the next attempt would meet again.
func refused(err error) error {
	if errors.Is(err, domain.ErrInvalid) {
		return domain.Permanent(err)
	}
	return err
}

// newJob builds the queue job of a run. Its id and receipt come from the
// run's key, so that it is enqueued once however often it is dispatched.
func (s *scheduler) newJob(r *run, payload []byte) domain.NewJob {
	target := &r.job.Target
	options := target.Options
	options.ID = r.claim.Run.JobID(s.cfg.Namespace)
	if r.job.Policy.Scope == domain.ScopeCompletion {
		options.Deduplication = domain.Deduplication{Key: "overlap." + s.cfg.Namespace + "." + r.job.Name}
	}
	if payload == nil {
		payload = []byte("null")
	}
	return domain.NewJob{
		Queue: target.Queue, Name: target.JobName, Data: payload, Options: options,
		Receipt: s.cfg.Namespace + "/" + r.claim.Run.String(),
	}
}

// conclude ends a run whose last attempt is over.
func (s *scheduler) conclude(r *run, attempt int, end *attemptEnd, step *runStep) {
	s.end(r, &domain.Record{Event: step.event, Attempt: attempt, Took: end.took, Late: r.late, Reason: step.reason, Stack: step.stack})
	switch step.event { //nolint:exhaustive // all others finish the claim
	case domain.EventLost:
	case domain.EventReleased:
		s.handBack(r)
	default:
		s.finish(r, domain.EndFinished)
	}
}
