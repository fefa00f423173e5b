package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Errors of [Runner.Trigger].
var (
	// ErrUnknownJob says that no scheduled job has the name.
	ErrUnknownJob = errors.New("unknown scheduled job")
	// ErrDisabled says that the job, or the scheduler, is switched off.
	ErrDisabled = errors.New("disabled")
	// ErrStopping says that the worker takes no new run.
	ErrStopping = errors.New("worker is stopping")
)

// triggered is the answer to a trigger: a run that has begun, or what became
// of it otherwise.
type triggered struct {
	run    *run
	report RunReport
	err    error
}

// trigger claims a run for the job now and drives it. When ctx ends before
// the ledger has answered, the run may still begin.
func (s *scheduler) trigger(ctx context.Context, job *jobState, key domain.RunKey) (*run, RunReport, error) {
	if !s.enter() {
		return nil, RunReport{}, ErrStopping
	}
	answer := make(chan triggered, 1)
	go func() {
		defer s.leave()
		answer <- s.claimNow(job, key)
	}()
	select {
	case a := <-answer:
		return a.run, a.report, a.err
	case <-ctx.Done():
		return nil, RunReport{Run: key}, ctx.Err()
	}
}

// claimNow claims a run that no tick made and begins it.
func (s *scheduler) claimNow(job *jobState, key domain.RunKey) triggered {
	asked := s.ports.Now()
	slot := slotFor(job.Policy.Overlap, key.Origin)
	verdict, err := s.claims.Do(s.living, domain.Intent{
		Run: key, Replica: s.cfg.Replica, Fingerprint: job.Fingerprint, Slot: slot, Lease: s.cfg.Timing.ClaimLease,
	})
	if err != nil {
		return triggered{err: fmt.Errorf("claim run: %w", err)}
	}
	report := RunReport{Run: key, Event: domain.EventSkipped}
	switch verdict.Kind {
	case domain.Granted, domain.Queued:
		s.journal.Record(domain.Record{Event: domain.EventClaimed, Run: key})
		s.preempt(slot, &verdict)
		return triggered{run: s.begin(job, grant{claim: verdict.Claim, asked: asked}), report: report}
	case domain.Taken:
		report.Reason, report.By = domain.ReasonTaken, verdict.Owner
		if key.Origin == domain.OriginStart {
			// Whoever has it records it.
			return triggered{report: report}
		}
	case domain.Superseded:
		report.Reason = domain.ReasonSuperseded
	case domain.Paused:
		report.Reason = domain.ReasonPaused
	case domain.Blocked, domain.Moved, domain.Lost:
		report.Reason, report.By = domain.ReasonOverlap, verdict.By.String()
	}
	s.skip(job, key, report.Reason, &verdict)
	return triggered{report: report}
}

// runOnStart begins the runs that jobs want when a worker starts. They run
// beside one another and beside the start; a failure stops nothing.
func (s *scheduler) runOnStart() {
	for _, name := range s.names {
		job := s.jobs[name]
		id := s.cfg.Replica
		switch job.Policy.OnStart {
		case domain.StartNever:
			continue
		case domain.StartOncePerDeploy:
			id = orDefault(s.cfg.DeployID, id)
		case domain.StartEachReplica:
		}
		if job.Disabled {
			continue
		}
		key := domain.RunKey{Job: name, Origin: domain.OriginStart, OriginID: id}
		s.loops.Go(func() { s.triggerOnStart(job, key) })
	}
}

// triggerOnStart triggers the run, repeating the call until the ledger has
// answered or the scheduler stops.
func (s *scheduler) triggerOnStart(job *jobState, key domain.RunKey) {
	var failing outage
	for {
		_, _, err := s.trigger(s.quieting, job, key)
		if err == nil || s.quieting.Err() != nil {
			return
		}
		pause, report := failing.failed(s.ports.Now())
		if report {
			s.ports.Log.WarnContext(s.quieting, "run on start not begun yet", "job", job.Name, "err", err)
		}
		wait(s.quieting, pause)
	}
}

// unknownJob names the jobs there are.
func (s *scheduler) unknownJob(name string) error {
	known := strings.Join(s.names, ", ")
	return fmt.Errorf("%w %s; known are: %s", ErrUnknownJob, domain.Quote(name), known)
}
