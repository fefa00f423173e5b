package runner

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

const (
	// presenceBeat is how often a replica gives a sign of life in the history.
	presenceBeat = 30 * time.Second
	// registeredAgain is how often definitions are recorded anew, so that the
	// history still knows them when what was recorded at the start is pruned.
	registeredAgain = 24 * time.Hour
	// registeredAtOnce bounds how many definitions are recorded in one go: a
	// journal that takes in many more than its store does would shed.
	registeredAtOnce = journalLimit / 8
)

// appear tells in the history that this replica lives from now on, until ctx
// ends.
func (r *Runner) appear(ctx context.Context) {
	r.journal.Record(domain.Record{Event: domain.EventWorkerStarted})
	r.draining.Go(func() {
		defer r.journal.Record(domain.Record{Event: domain.EventWorkerStopped})
		r.live(ctx)
	})
}

// live gives signs of life until ctx ends.
func (r *Runner) live(ctx context.Context) {
	beat := time.NewTicker(presenceBeat)
	defer beat.Stop()
	r.recordDefinitions(ctx)
	recorded := r.ports.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		if ctx.Err() != nil {
			return
		}
		r.journal.Record(domain.Record{Event: domain.EventWorkerAlive})
		if now := r.ports.Now(); now.Sub(recorded) >= registeredAgain {
			r.recordDefinitions(ctx)
			recorded = now
		}
	}
}

// recordDefinitions records the definitions of all jobs.
func (r *Runner) recordDefinitions(ctx context.Context) {
	if r.scheduler == nil {
		return
	}
	names := r.scheduler.names
	for len(names) > 0 {
		some := names[:min(len(names), registeredAtOnce)]
		r.scheduler.recordDefinitions(some)
		if names = names[len(some):]; len(names) > 0 && !wait(ctx, 2*journalPause) {
			return
		}
	}
}

// recordDefinitions is not overtaken by a change of a definition, which is
// recorded with mu held, too.
func (s *scheduler) recordDefinitions(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.recordDefinition(s.jobs[name])
	}
}

// recordDefinition records which definition of the job this replica has, and
// whether it plans it; it is called with mu held.
func (s *scheduler) recordDefinition(job *jobState) {
	record := domain.Record{
		Event: domain.EventRegistered, Run: domain.RunKey{Job: job.Name}, Schedule: schedule.Text(job.Schedule),
	}
	switch {
	case job.Disabled:
		record.Reason = domain.ReasonDisabled
	case job.state.Superseded:
		record.Reason = domain.ReasonSuperseded
	}
	s.journal.Record(record)
}

// recordPause records that the job was paused or resumed. The replica that is
// preferred for the job does so for all; it is called with mu held.
func (s *scheduler) recordPause(job *jobState) {
	if !s.prefers(job.Name) {
		return
	}
	event := domain.EventJobResumed
	if job.state.Paused {
		event = domain.EventJobPaused
	}
	s.journal.Record(domain.Record{Event: event, Run: domain.RunKey{Job: job.Name}})
}
