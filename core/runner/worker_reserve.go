package runner

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Waits after calls that a store did not answer.
const (
	outageFirst = 100 * time.Millisecond
	outageMost  = 2 * time.Second
)

// outage paces the retries of calls to a store that does not answer, and
// tells whether to report the failure: once a second at most.
type outage struct {
	wait     time.Duration
	reported time.Time
}

func (o *outage) failed(now time.Time) (wait time.Duration, report bool) {
	o.wait = min(max(o.wait*2, outageFirst), outageMost)
	if report = now.Sub(o.reported) >= time.Second; report {
		o.reported = now
	}
	return o.wait, report
}

func (o *outage) over() { o.wait = 0 }

// reserveLoop waits for jobs whenever slots are free, until ctx ends.
func (w *worker) reserveLoop(ctx context.Context) {
	var failing outage
	for ctx.Err() == nil {
		limit := w.takeFree(ctx)
		if limit == 0 {
			return
		}
		leases, err := w.consumer.Reserve(ctx, limit)
		w.begin(leases)
		w.reserved(limit - len(leases))
		switch {
		case err == nil:
			failing.over()
		case ctx.Err() != nil || errors.Is(err, ports.ErrClosed):
			return
		default:
			pause, report := failing.failed(w.now())
			if report {
				w.log.WarnContext(ctx, "queue cannot be read", "queue", w.queue.Name, "err", err)
			}
			wait(ctx, pause)
		}
	}
}

// takeFree waits for free slots, takes them and returns how many it took;
// none when ctx has ended.
func (w *worker) takeFree(ctx context.Context) int {
	for {
		w.mu.Lock()
		free := min(w.free, maxSettlements)
		if free > 0 && !w.quiet {
			w.free -= free
			w.reserving = true
			w.mu.Unlock()
			return free
		}
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return 0
		case <-w.freed:
		}
	}
}

// reserved ends a Reserve that left slots unused.
func (w *worker) reserved(unused int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reserving = false
	w.free += unused
	w.checkDrained()
}

// begin starts an attempt for each lease. Each has a slot already. Leases
// that come after the worker was told to stop go back at once.
func (w *worker) begin(leases []domain.Lease) {
	if len(leases) == 0 {
		return
	}
	now := w.now()
	attempts := make([]jobAttempt, len(leases))
	w.mu.Lock()
	if w.quiet {
		// Each goes back to the front, so that the first must go last.
		slices.Reverse(leases)
	}
	for i := range leases {
		attempts[i].lease, attempts[i].started = &leases[i], now
		w.beginOne(&attempts[i])
	}
	unsettled := len(w.finished) > 0
	w.mu.Unlock()
	if unsettled {
		signal(w.settle)
	}
	// The handlers have waited for long enough: what the caller does next has
	// time.
	runtime.Gosched()
}

// beginOne is called with mu held.
func (w *worker) beginOne(a *jobAttempt) {
	w.begun++
	a.number = w.begun
	route, known := w.routes[a.lease.Job.Name]
	if known && a.lease.Refused == "" && route.startedEnough(&a.lease.Job, 0) {
		a.lease.Refused = startsExceeded
	}
	if w.quiet || !known || a.lease.Refused != "" {
		w.dismiss(a)
		return
	}
	a.route, a.trusted = route, a.started.Add(a.lease.For)
	a.worker, a.ctx.attempt = w, a
	a.ctx.start(route.Timeout)
	a.index = len(w.active)
	w.active = append(w.active, a)
	w.hand(a)
}

// hand gives the attempt to a goroutine that waits for one, or to a new one;
// it is called with mu held. Next has room for every slot, so it never blocks.
func (w *worker) hand(a *jobAttempt) {
	if w.idle > 0 {
		w.idle--
		w.next <- a
		return
	}
	w.handlers.Add(1)
	go w.handle(a)
}
