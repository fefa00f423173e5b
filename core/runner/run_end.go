package runner

import (
	"errors"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// refused ends a run that the ledger did not let start.
func (s *scheduler) refused(r *run, verdict *domain.Verdict) {
	if verdict.Kind == domain.Blocked {
		s.end(r, &domain.Record{Event: domain.EventSkipped, Reason: domain.ReasonOverlap, By: verdict.By.String()})
		return
	}
	s.end(r, &domain.Record{Event: domain.EventLost, Reason: "the claim is another replica's", By: verdict.Owner})
}

// giveUp ends a run that did nothing yet.
func (s *scheduler) giveUp(r *run, cause error) {
	switch {
	case errors.Is(cause, domain.ErrShutdown):
		s.end(r, &domain.Record{Event: domain.EventReleased, Reason: reasonOf(cause)})
		s.handBack(r)
	case errors.Is(cause, domain.ErrPreempted):
		s.end(r, &domain.Record{Event: domain.EventCancelled, Reason: reasonOf(cause)})
		s.finish(r, domain.EndFinished)
	default:
		s.end(r, &domain.Record{Event: domain.EventLost, Reason: reasonOf(cause)})
	}
}

// handBack releases the claim of a run that did not come to its end, and
// counts it if it had begun: one that another replica begins leaves nothing undone.
func (s *scheduler) handBack(r *run) {
	s.mu.Lock()
	if r.begun {
		s.handedBack++
	}
	s.mu.Unlock()
	s.finish(r, domain.EndReleased)
}

func (s *scheduler) charge(r *run, attempts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.charged = attempts
}

// note records a decision about the run.
func (s *scheduler) note(r *run, record *domain.Record) {
	record.Run = r.claim.Run
	s.journal.note(record)
}

// end records what became of the run.
func (s *scheduler) end(r *run, record *domain.Record) {
	record.Run = r.claim.Run
	r.report.Event, r.report.Reason, r.report.By = record.Event, record.Reason, record.By
	r.report.JobID, r.report.Attempts = record.JobID, record.Attempt
	s.mu.Lock()
	r.ended = true
	r.job.note(record, s.clock.Now())
	s.mu.Unlock()
	s.journal.note(record)
}

// finish ends the claim, repeating the call until the ledger has answered or
// the scheduler has stopped.
func (s *scheduler) finish(r *run, end domain.RunEnd) {
	var failing outage
	for {
		ref := s.ref(r)
		held, err := s.finishes.Do(s.living, domain.RunResult{Claim: ref, End: end, Attempts: r.charged})
		switch {
		case err == nil && held, errors.Is(err, ports.ErrClosed):
			return
		case err == nil && s.ref(r) != ref:
			continue
		case err == nil:
			s.noteLostEnd(r)
			return
		}
		if !s.awaitFinish(r, &failing, err) {
			return
		}
	}
}

func (s *scheduler) noteLostEnd(r *run) {
	s.note(r, &domain.Record{Event: domain.EventLost, Reason: "the end of the run came too late: the claim is another replica's"})
}

// awaitFinish waits until it is worth asking again for the end of the claim. It
// reports false if the scheduler has stopped meanwhile.
func (s *scheduler) awaitFinish(r *run, failing *outage, err error) bool {
	pause, report := failing.failed(s.ports.Now())
	if report {
		s.ports.Log.WarnContext(s.living, "end of run not written", "run_id", r.claim.Run.String(), "err", err)
	}
	return wait(s.living, pause)
}
