package runner

import (
	"time"

	"github.com/taktwork/takt/core/domain"
)

// interrupt ends the run's context and that of its attempt, which is no child of
// it; only the first cause counts. It is called with mu held.
func (s *scheduler) interrupt(r *run, cause error) {
	r.ctx.cancel(cause)
	if a := r.attempt; a != nil {
		a.ctx.cancel(cause)
		s.watch(r, a)
	}
}

// watch has somebody look after an attempt whose context has ended, until its
// handler returns; it is called with mu held.
func (s *scheduler) watch(r *run, a *runAttempt) {
	if a.over || a.watched != nil {
		return
	}
	a.ended, a.watched = make(chan struct{}), make(chan struct{})
	s.driving.Go(func() {
		defer close(a.watched)
		s.awaitEnd(r, a)
	})
}

// awaitEnd waits for a handler whose context has ended. One that goes on is
// reported with its stack; when the scheduler gives back what is left, the run is
// over without it.
func (s *scheduler) awaitEnd(r *run, a *runAttempt) {
	report := time.NewTimer(s.cfg.Timing.Stuck)
	defer report.Stop()
	defer s.markStuck(r, false)
	for {
		select {
		case <-a.ended:
			return
		case <-s.released:
			s.fence(r, a)
			return
		case <-report.C:
			s.markStuck(r, true)
			s.note(r, &domain.Record{Event: domain.EventStuck, Attempt: a.number, Stack: stacksOf(map[string]string{"job": r.job.Name})})
		}
	}
}

func (s *scheduler) markStuck(r *run, stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.stuck = stuck
}

// fence ends a run that was given back, unless its handler has returned just now.
// Whatever the handler does from here on changes nothing.
func (s *scheduler) fence(r *run, a *runAttempt) {
	s.mu.Lock()
	fenced := !a.over
	if fenced {
		a.fenced, r.attempt = true, nil
	}
	s.mu.Unlock()
	if fenced {
		s.endReleased(r, a.number)
		s.forget(r)
	}
}

// endReleased records that the run was given back with all that were left.
func (s *scheduler) endReleased(r *run, attempt int) {
	s.end(r, &domain.Record{Event: domain.EventReleased, Attempt: attempt, Reason: reasonOf(domain.ErrShutdown)})
}
