package runner

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// presenceBeat is how often a replica gives a sign of life in the history.
const presenceBeat = 30 * time.Second

// appear tells in the history that this replica lives from now on, until ctx
// ends.
func (r *Runner) appear(ctx context.Context) {
	began := r.ports.Now()
	r.sign(domain.EventWorkerStarted, began)
	r.draining.Go(func() {
		defer r.sign(domain.EventWorkerStopped, began)
		r.live(ctx, began)
	})
}

// sign records a sign of life.
func (r *Runner) sign(event domain.Event, began time.Time) {
	record := domain.Record{Event: event, Took: r.ports.Now().Sub(began)}
	if r.scheduler != nil {
		record.By = r.scheduler.catalog
	}
	r.journal.Record(record)
}

// live gives signs of life until ctx ends, and keeps the definitions known. A
// history that cannot be read does not keep it from the former.
func (r *Runner) live(ctx context.Context, began time.Time) {
	beat := time.NewTicker(presenceBeat)
	defer beat.Stop()
	var known definitionsKept
	for {
		var again <-chan time.Time
		if r.scheduler != nil {
			if pause := r.scheduler.keepDefinitions(ctx, &known); pause > 0 {
				again = time.After(pause)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
			continue
		case <-beat.C:
		}
		if ctx.Err() != nil {
			return
		}
		r.sign(domain.EventWorkerAlive, began)
	}
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
