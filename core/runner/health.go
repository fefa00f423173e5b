package runner

import (
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Health is how a runner does, judged by the progress of its loops.
type Health struct {
	State  State
	Queues []QueueHealth
	// Scope says who shares the ledger; empty without scheduled jobs.
	Scope domain.Scope
	// Jobs counts the scheduled jobs, Runs their runs under way here.
	Jobs, Runs int
	// SyncedAgo is how long ago the ledger last answered.
	SyncedAgo time.Duration
	// Overdue is by how much the planner is behind its next tick.
	Overdue time.Duration
	// Problems names what is wrong; empty when all is well.
	Problems []string
}

// QueueHealth is how one queue's worker does.
type QueueHealth struct {
	Queue domain.QueueName
	// Active counts the jobs being worked, Stuck those among them whose
	// handlers ignore the end of their context.
	Active, Stuck int
	// Unsettled counts outcomes that wait to be written.
	Unsettled int
}

// overdueMost is how late the planner may be before it counts as a problem.
const overdueMost = 30 * time.Second

// Health returns how the runner does now.
func (r *Runner) Health() Health {
	r.mu.Lock()
	health := Health{State: r.state}
	workers := r.workers
	r.mu.Unlock()
	for _, w := range workers {
		queue := w.health()
		health.Queues = append(health.Queues, queue)
		if queue.Stuck > 0 {
			health.problem("queue %s: %d handlers ignore the end of their context", queue.Queue, queue.Stuck)
		}
		if queue.Unsettled > maxSettlements*renewalsPerLease {
			health.problem("queue %s: %d outcomes wait to be written", queue.Queue, queue.Unsettled)
		}
	}
	if r.scheduler != nil {
		r.scheduler.health(&health)
	}
	return health
}

func (h *Health) problem(format string, args ...any) {
	h.Problems = append(h.Problems, fmt.Sprintf(format, args...))
}

func (w *worker) health() QueueHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	health := QueueHealth{Queue: w.queue.Name, Active: len(w.active), Unsettled: w.unsettled()}
	for _, a := range w.active {
		if a.stuck {
			health.Stuck++
		}
	}
	return health
}

func (s *scheduler) health(health *Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	health.Scope, health.Jobs, health.Runs = s.scope, len(s.jobs), len(s.runs)
	if !s.loaded || s.quiet {
		return
	}
	health.SyncedAgo = s.ports.Now().Sub(s.lastSync)
	if health.SyncedAgo > s.cfg.Timing.ClaimLease {
		health.problem("the ledger has not answered for %s", health.SyncedAgo.Round(time.Second))
	}
	if next := s.mine.NextDeadline(); !next.IsZero() {
		health.Overdue = max(s.clock.Now().Sub(next), 0)
	}
	if health.Overdue > overdueMost {
		health.problem("the planner is %s behind", health.Overdue.Round(time.Second))
	}
	for _, r := range s.runs {
		if r.stuck {
			health.problem("job %s: its handler ignores the end of its context", r.job.Name)
		}
	}
}
