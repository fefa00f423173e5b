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

// attempts tries the run's handler until it succeeds, fails for good, or must
// give up. Attempts never overlap: each waits for the end of the one before.
func (s *scheduler) attempts(r *run) {
	for attempt := s.charged(r) + 1; ; attempt++ {
		s.note(r, domain.Record{Event: domain.EventStarted, Attempt: attempt, Late: r.late})
		end, fenced := s.attempt(r, attempt)
		if fenced {
			s.end(r, domain.Record{Event: domain.EventReleased, Attempt: attempt, Reason: reasonOf(domain.ErrShutdown)})
			return
		}
		if end.err == nil && (errors.Is(end.cause, domain.ErrTimeout) || errors.Is(end.cause, domain.ErrLeaseLost)) {
			s.note(r, domain.Record{Event: domain.EventLate, Attempt: attempt, Reason: reasonOf(end.cause)})
		}
		if s.dispatched(r, attempt, &end) {
			return
		}
		step := decideRun(r.job.Policy.Retries, attempt, end, s.ports.Dice())
		if !step.again {
			s.conclude(r, attempt, end, step)
			return
		}
		event := step.event
		if errors.Is(end.cause, domain.ErrTimeout) {
			event = domain.EventTimedOut
		}
		s.charge(r, attempt)
		s.note(r, domain.Record{Event: event, Attempt: attempt, Took: end.took, Wait: step.wait, Reason: step.reason, Stack: step.stack})
		if !s.pause(r, step.wait) {
			return
		}
		r.late = 0
	}
}

// attempt runs the handler once. fenced tells that the scheduler gave the run
// back while the handler went on.
func (s *scheduler) attempt(r *run, attempt int) (end attemptEnd, fenced bool) {
	ctx, cancel := attemptContext(r.ctx, r.job.Policy.Timeout)
	defer cancel(nil)
	started := s.ports.Now()
	ended := make(chan attemptEnd, 1)
	s.handles.Go(func() {
		pprof.SetGoroutineLabels(r.job.profilerLabels())
		protect(func() ([]byte, error) {
			return r.job.Handler.HandleRun(ctx, r.claim.Run, attempt)
		}, func(result []byte, err error) {
			ended <- attemptEnd{result: result, err: err, cause: context.Cause(ctx), took: s.ports.Now().Sub(started)}
		})
	})
	select {
	case end = <-ended:
		return end, false
	case <-ctx.Done():
	}
	return s.awaitEnd(r, attempt, ended)
}

// awaitEnd waits for a handler whose context has ended. One that goes on is
// reported with its stack.
func (s *scheduler) awaitEnd(r *run, attempt int, ended <-chan attemptEnd) (end attemptEnd, fenced bool) {
	report := time.NewTimer(s.cfg.Timing.Stuck)
	defer report.Stop()
	defer s.markStuck(r, false)
	for {
		select {
		case end = <-ended:
			return end, false
		case <-s.released:
			s.mu.Lock()
			s.fenced++
			s.mu.Unlock()
			return attemptEnd{}, true
		case <-report.C:
			s.markStuck(r, true)
			s.note(r, domain.Record{Event: domain.EventStuck, Attempt: attempt, Stack: stacksOf(map[string]string{"job": r.job.Name})})
		}
	}
}

func (s *scheduler) markStuck(r *run, stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.stuck = stuck
}

// dispatched puts the payload of a successful attempt on the job's queue and
// reports whether the run is over with that. A dispatch that was refused
// makes the attempt a failed one.
func (s *scheduler) dispatched(r *run, attempt int, end *attemptEnd) bool {
	if kind, _ := classify(*end); kind != endSuccess || r.job.Target.Inline() {
		return false
	}
	if len(end.result) > s.cfg.MaxPayload {
		end.err = fmt.Errorf("payload of %d bytes, at most %d are allowed: %w", len(end.result), s.cfg.MaxPayload, domain.ErrTooLarge)
		return false
	}
	result, err := s.dispatch(r, end.result)
	if err != nil {
		end.err, end.cause = err, context.Cause(r.ctx)
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
	s.end(r, record)
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
		if errors.Is(err, ports.ErrClosed) || s.living.Err() != nil || !wait(r.ctx, pause) {
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
func (s *scheduler) conclude(r *run, attempt int, end attemptEnd, step runStep) {
	s.end(r, domain.Record{Event: step.event, Attempt: attempt, Took: end.took, Late: r.late, Reason: step.reason, Stack: step.stack})
	if step.event == domain.EventLost {
		return
	}
	if step.event == domain.EventReleased {
		s.handBack(r)
		return
	}
	s.finish(r, domain.EndFinished)
}
