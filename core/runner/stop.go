package runner

import (
	"context"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// StopBudget says how long each step of a stop may take.
type StopBudget struct {
	// Drain is how long runs and jobs under way may go on.
	Drain time.Duration
	// Cancel is how long handlers have after their context has ended.
	Cancel time.Duration
	// Release bounds the calls that give back what is left, and the last
	// writes of outcomes and records.
	Release time.Duration
}

// StopReport says what a stop left undone.
type StopReport struct {
	// Jobs and Runs count what had begun, and was given back because it did
	// not come to its end in time.
	Jobs, Runs int
}

// Stop stops taking work, lets what is under way end within the budget,
// cancels and gives back the rest, and returns when all goroutines have
// ended except those of handlers that ignore the end of their context.
// A second call returns at once. A stop before the start forbids the start,
// one during the start ends it.
func (r *Runner) Stop(ctx context.Context, budget StopBudget) StopReport {
	if !r.beginStop() {
		return StopReport{}
	}
	r.abort()
	<-r.started
	drained := r.quiesce()
	if !r.within(ctx, drained, budget.Drain) {
		r.cancelAll(domain.ErrShutdown)
		r.within(ctx, drained, budget.Cancel)
	}
	report := r.release(ctx, budget.Release)
	r.flush(ctx, budget.Release)
	r.setState(StateStopped)
	return report
}

// Hurry ends the waits of a stop under way, and of one that is to come: what
// is left is given back now.
func (r *Runner) Hurry() { r.hurry.Do(func() { close(r.hurried) }) }

func (r *Runner) beginStop() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.state {
	case StateNew:
		r.state = StateStopped
		return false
	case StateDraining, StateStopped:
		return false
	case StateStarting, StateRunning:
	}
	r.state = StateDraining
	return true
}

// quiesce stops taking work; the channel closes when all is done.
func (r *Runner) quiesce() <-chan struct{} {
	r.reserving()
	waits := make([]<-chan struct{}, 0, len(r.workers)+1)
	for _, w := range r.workers {
		w.Quiesce()
		waits = append(waits, w.drained)
	}
	if r.scheduler != nil {
		r.scheduler.Quiesce()
		waits = append(waits, r.scheduler.drained)
	}
	all := make(chan struct{})
	r.draining.Go(func() {
		defer close(all)
		for _, drained := range waits {
			select {
			case <-drained:
			case <-r.ended:
				return
			}
		}
	})
	return all
}

// within waits for done, at most for d, until ctx ends or the stop is
// hurried. It reports whether done came first.
func (r *Runner) within(ctx context.Context, done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	case <-r.hurried:
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func (r *Runner) cancelAll(cause error) {
	for _, w := range r.workers {
		w.CancelAll(cause)
	}
	if r.scheduler != nil {
		r.scheduler.CancelAll(cause)
	}
}

// lastCalls is how long the calls that give work back may last in a stop that
// was hurried or left them no time.
const lastCalls = time.Second

// release gives back whatever is still under way. It goes on when ctx has
// ended: what is not given back blocks others for a lease.
func (r *Runner) release(ctx context.Context, limit time.Duration) StopReport {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(limit, lastCalls))
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	r.draining.Go(func() {
		select {
		case <-done:
			return
		case <-r.hurried:
		}
		if !within(done, lastCalls) {
			cancel()
		}
	})
	var report StopReport
	jobs := make([]int, len(r.workers))
	var calls sync.WaitGroup
	for i, w := range r.workers {
		calls.Go(func() { jobs[i] = w.Release(ctx) })
	}
	if r.scheduler != nil {
		report.Runs = r.scheduler.Release(ctx)
	}
	calls.Wait()
	for _, n := range jobs {
		report.Jobs += n
	}
	return report
}

// flush ends the loops and writes the last records.
func (r *Runner) flush(ctx context.Context, limit time.Duration) {
	if r.scheduler != nil {
		// It has no wake under way that lasts: wakes only plan.
		if err := r.ports.Waker.Stop(context.WithoutCancel(ctx)); err != nil {
			r.ports.Log.WarnContext(ctx, "waker not stopped", "err", err)
		}
	}
	r.living()
	close(r.ended)
	r.draining.Wait()
	for _, w := range r.workers {
		w.Wait()
	}
	if r.scheduler != nil {
		r.scheduler.Wait()
	}
	r.journal.Stop(max(limit, lastCalls))
}

// within waits for done, at most for d, and reports whether it came.
func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
