package runner

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// maxSettlements is the largest number of outcomes in one Settle.
const maxSettlements = 50

// worker works one queue: a reserver waits for jobs, each job runs on a
// goroutine of its own, and settlers write outcomes in batches and bring
// the next jobs back with the same call. While a batch is being written the
// jobs that finish gather for the next.
type worker struct {
	queue    Queue
	routes   map[string]*Route
	consumer ports.Consumer
	cfg      Config
	journal  *journal
	log      *slog.Logger
	now      func() time.Time
	dice     func() float64

	mu sync.Mutex
	// free counts the slots that neither hold a job nor are promised to a
	// Reserve or Settle under way.
	free int
	// active are the attempts under way; each knows its index.
	active []*jobAttempt
	// finished are the attempts whose outcome waits to be written, settling
	// those whose outcome is being written, by settler.
	finished []*jobAttempt
	settling [settlers][]*jobAttempt
	// distant tells that the latest batch took a while to be written.
	distant bool
	// reserving tells that a Reserve is under way or its leases have not
	// begun yet.
	reserving bool
	quiet     bool
	// resting tells the goroutines of handlers to end as they become idle.
	resting bool
	drained chan struct{}
	// idle counts the goroutines that wait for a job on next, or are about to.
	idle int
	// begun counts the attempts begun, by which they are ordered.
	begun uint64

	freed  chan struct{}
	settle chan struct{}
	// next hands jobs to goroutines that wait for one; nil tells one to end.
	next chan *jobAttempt

	loops    sync.WaitGroup
	handlers sync.WaitGroup
}

func newWorker(queue Queue, consumer ports.Consumer, r *Runner) *worker {
	routes := make(map[string]*Route, len(queue.Routes))
	for name, route := range queue.Routes {
		route.labels = label(queue.Name, name)
		routes[name] = &route
	}
	return &worker{
		queue: queue, routes: routes, consumer: consumer, cfg: r.cfg, journal: r.journal,
		log: r.ports.Log, now: r.ports.Now, dice: r.ports.Dice,
		free:    queue.Concurrency,
		drained: make(chan struct{}),
		freed:   make(chan struct{}, 1),
		settle:  make(chan struct{}, 1),
		next:    make(chan *jobAttempt, queue.Concurrency),
	}
}

// Start begins to work the queue until reserving ends, and keeps leases and
// writes outcomes until living ends.
func (w *worker) Start(reserving, living context.Context) {
	w.loops.Go(func() { w.reserveLoop(reserving) })
	for settler := range settlers {
		w.loops.Go(func() { w.settleLoop(living, settler) })
	}
	w.loops.Go(func() { w.keepLoop(living) })
}

// Quiesce makes the worker take no further job. Drained is closed when the
// last one is settled.
func (w *worker) Quiesce() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet = true
	w.checkDrained()
}

// unsettled counts the attempts whose outcome is not written yet; it is called
// with mu held.
func (w *worker) unsettled() int {
	count := len(w.finished)
	for _, batch := range w.settling {
		count += len(batch)
	}
	return count
}

// checkDrained is called with mu held.
func (w *worker) checkDrained() {
	if !w.quiet || w.reserving || len(w.active)+w.unsettled() > 0 {
		return
	}
	select {
	case <-w.drained:
	default:
		close(w.drained)
	}
}

// CancelAll ends the contexts of all attempts under way.
func (w *worker) CancelAll(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.active {
		w.end(a, cause)
	}
}

// end ends an attempt's context; it is called with mu held.
func (w *worker) end(a *jobAttempt, cause error) {
	if a.ended.IsZero() {
		a.ended = w.now()
	}
	a.ctx.cancel(cause)
}

// Release gives the jobs whose handlers are still running back to the front
// of the queue, fences the handlers off and returns how many there were. It
// returns when all outcomes are written, or when ctx ends.
func (w *worker) Release(ctx context.Context) int {
	left := w.fence()
	for batch := range slices.Chunk(left, maxSettlements) {
		if _, err := w.write(ctx, batch, new(settleRoom), 0); err != nil {
			w.log.ErrorContext(ctx, "jobs not returned: their leases run out by themselves",
				"queue", w.queue.Name, "count", len(batch), "err", err)
		}
	}
	select {
	case <-w.drained:
	case <-ctx.Done():
	}
	return len(left)
}

// fence takes all attempts out of the active ones, the latest first, so that
// their jobs end up at the front of the queue in their old order.
func (w *worker) fence() []*jobAttempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := slices.SortedFunc(slices.Values(w.active), func(a, b *jobAttempt) int { return cmp.Compare(b.number, a.number) })
	w.active = nil
	kept := left[:0]
	for _, a := range left {
		w.end(a, domain.ErrShutdown)
		a.state = attemptFenced
		a.outcome = domain.Outcome{Kind: domain.Returned, Reason: domain.ErrShutdown.Error()}
		a.event = domain.EventReturned
		w.handlers.Done()
		if !a.lost {
			kept = append(kept, a)
		}
	}
	w.checkDrained()
	return kept
}

// Wait returns when the worker's goroutines have ended, those of handlers
// that were fenced off excepted.
func (w *worker) Wait() {
	w.loops.Wait()
	w.mu.Lock()
	w.resting = true
	w.mu.Unlock()
	w.sendToRest()
	w.handlers.Wait()
}

func (w *worker) recordOf(a *jobAttempt, event domain.Event, reason string) domain.Record {
	return domain.Record{
		Event: event, Queue: w.queue.Name, JobID: a.lease.Job.ID, JobName: a.lease.Job.Name,
		Attempt: a.lease.Job.AttemptsMade + 1, Reason: reason,
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
