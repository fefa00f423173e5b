package inmemqueue

import (
	"context"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// waiter is a Reserve that waits. Leases are handed to it, nil when the queue
// is closed; it is off the list of waiters from then on.
type waiter struct {
	limit int
	lease time.Duration
	ready chan []domain.Lease
}

// turn lets time act and serves those who wait. Every call that may have made
// a job workable ends with it, so no job is workable while anybody waits.
func (q *queue) turn(now moment) {
	q.advance(now)
	for len(q.waiters) > 0 {
		workable := q.workable()
		if workable == 0 {
			break
		}
		w := q.waiters[0]
		// Those who wait share what there is.
		share := (workable + len(q.waiters) - 1) / len(q.waiters)
		q.unlist(0)
		w.ready <- q.lease(min(share, w.limit), w.lease, now)
	}
	q.setAlarm(now)
}

func (q *queue) unlist(i int) {
	last := len(q.waiters) - 1
	copy(q.waiters[i:], q.waiters[i+1:])
	q.waiters[last] = nil
	q.waiters = q.waiters[:last]
}

// enter locks the queue for a call, unless ctx has ended or the queue is closed.
func (q *queue) enter(ctx context.Context) (moment, error) {
	if err := ctx.Err(); err != nil {
		return moment{}, err
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return moment{}, ports.ErrClosed
	}
	// Read under the mutex, so that time never runs backwards on a queue.
	return q.clock.read(), nil
}

// reserve leases up to limit jobs and blocks while there are none.
func (q *queue) reserve(ctx context.Context, limit int, lease time.Duration) ([]domain.Lease, error) {
	now, err := q.enter(ctx)
	if err != nil {
		return nil, err
	}
	q.turn(now)
	if leases := q.lease(limit, lease, now); leases != nil {
		q.mu.Unlock()
		return leases, nil
	}
	w := q.enlist(limit, lease)
	q.setAlarm(now)
	q.mu.Unlock()

	select {
	case leases := <-w.ready:
		return q.served(w, leases)
	case <-ctx.Done():
		return q.giveUp(ctx, w)
	}
}

func (q *queue) enlist(limit int, lease time.Duration) *waiter {
	w := &waiter{ready: make(chan []domain.Lease, 1)}
	if last := len(q.spare) - 1; last >= 0 {
		w = q.spare[last]
		q.spare = q.spare[:last]
	}
	w.limit, w.lease = limit, lease
	q.waiters = append(q.waiters, w)
	return w
}

func (q *queue) served(w *waiter, leases []domain.Lease) ([]domain.Lease, error) {
	if leases == nil {
		return nil, ports.ErrClosed
	}
	q.mu.Lock()
	q.spare = append(q.spare, w)
	q.mu.Unlock()
	return leases, nil
}

// giveUp ends a wait. Leases that came in the same moment are not lost.
func (q *queue) giveUp(ctx context.Context, w *waiter) ([]domain.Lease, error) {
	q.mu.Lock()
	for i := range q.waiters {
		if q.waiters[i] == w {
			q.unlist(i)
			q.spare = append(q.spare, w)
			q.setAlarm(q.clock.read())
			q.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	q.mu.Unlock()
	return q.served(w, <-w.ready)
}

// setAlarm arms the alarm for the moment at which time alone makes a job
// workable, if anybody waits for it.
func (q *queue) setAlarm(now moment) {
	at := endOfTime
	if len(q.waiters) > 0 && !q.paused && !q.closed {
		if len(q.delayed) > 0 {
			at = q.delayed[0].due()
		}
		if until := q.heldUntil(); until > 0 {
			at = until
		}
	}
	q.alarm.set(at, now.at)
}

// wake is called by the alarm that was set for at.
func (q *queue) wake(at instant) {
	q.mu.Lock()
	defer q.mu.Unlock()
	// An alarm that was replaced while it waited for the mutex is not this one.
	if q.alarm.at == at {
		q.alarm.at = 0
	}
	if !q.closed {
		q.turn(q.clock.read())
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	for _, w := range q.waiters {
		w.ready <- nil
	}
	q.waiters = nil
	q.alarm.set(endOfTime, 0)
	q.mu.Unlock()
	q.alarm.running.Wait()
}

// alarm calls ring once at a moment. Its methods are called under the mutex
// of the queue, and ring clears at.
type alarm struct {
	ring    func(at instant)
	at      instant
	timer   *time.Timer
	running sync.WaitGroup
}

// set replaces the moment; the end of time means never.
func (a *alarm) set(at, now instant) {
	if at == endOfTime {
		at = 0
	}
	if at == a.at {
		return
	}
	if a.timer != nil && a.timer.Stop() {
		a.running.Done()
	}
	a.at = at
	if at == 0 {
		return
	}
	a.running.Add(1)
	a.timer = time.AfterFunc(time.Duration(at-now), func() {
		defer a.running.Done()
		a.ring(at)
	})
}
