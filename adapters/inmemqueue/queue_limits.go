package inmemqueue

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// limits are those of one queue.
type limits struct {
	concurrency int
	rate        domain.Rate
	// used is how many jobs started in the window, which is over at windowEnd.
	used      int
	windowEnd instant
}

// left returns how many jobs may start now while so many are active.
func (l *limits) left(active int) int {
	left := math.MaxInt
	if l.concurrency > 0 {
		left = l.concurrency - active
	}
	if l.rate.Max > 0 {
		left = min(left, l.rate.Max-l.used)
	}
	return max(left, 0)
}

// started counts n jobs that start.
func (l *limits) started(n int, now instant) {
	if l.rate.Max == 0 {
		return
	}
	if l.used == 0 {
		l.windowEnd = now.after(l.rate.Per)
	}
	l.used += n
}

// advance ends the window when its time has passed.
func (l *limits) advance(now instant) {
	if l.windowEnd <= now {
		l.used, l.windowEnd = 0, 0
	}
}

// heldUntil returns when jobs may start again, zero if they may.
func (q *queue) heldUntil() instant {
	until := q.limitedUntil
	if l := &q.limits; l.rate.Max > 0 && l.used >= l.rate.Max {
		until = max(until, l.windowEnd)
	}
	return until
}

// Limits returns the limits of the queue; one that does not exist yet has none.
func (b *Backend) Limits(ctx context.Context, queue domain.QueueName) (domain.QueueLimits, error) {
	q, err := b.peek(queue)
	if err != nil {
		return domain.QueueLimits{}, fmt.Errorf("read limits: %w", err)
	}
	if q == nil {
		return domain.QueueLimits{}, ctx.Err()
	}
	now, err := q.enter(ctx)
	if err != nil {
		return domain.QueueLimits{}, fmt.Errorf("read limits: %w", err)
	}
	defer q.mu.Unlock()
	q.turn(now)
	found := domain.QueueLimits{Concurrency: q.limits.concurrency, Rate: q.limits.rate, Active: q.active.len}
	if until := q.heldUntil(); until > 0 {
		found.HeldFor = time.Duration(until - now.at)
	}
	return found, nil
}

// LimitConcurrency bounds the jobs under way at a time.
func (b *Backend) LimitConcurrency(ctx context.Context, name domain.QueueName, n int) error {
	return b.limit(ctx, name, domain.ValidateConcurrency(n), func(q *queue, _ moment) { q.limits.concurrency = n })
}

// LimitRate bounds the jobs that start in a window.
func (b *Backend) LimitRate(ctx context.Context, name domain.QueueName, rate domain.Rate) error {
	return b.limit(ctx, name, rate.Validate(), func(q *queue, _ moment) { q.limits.rate = rate })
}

// Hold lets no job start for d.
func (b *Backend) Hold(ctx context.Context, name domain.QueueName, d time.Duration) error {
	return b.limit(ctx, name, domain.ValidateHold(d), func(q *queue, now moment) {
		q.limits.used, q.limits.windowEnd, q.limitedUntil = 0, 0, 0
		if d > 0 {
			q.limitedUntil = now.at.after(d)
		}
	})
}

// limit changes the queue, unless something is wrong with the change.
func (b *Backend) limit(ctx context.Context, name domain.QueueName, wrong error, change func(*queue, moment)) error {
	if wrong != nil {
		return fmt.Errorf("limit queue %s: %w", domain.Quote(string(name)), wrong)
	}
	q, err := b.queue(name)
	if err != nil {
		return fmt.Errorf("limit queue: %w", err)
	}
	now, err := q.enter(ctx)
	if err != nil {
		return fmt.Errorf("limit queue: %w", err)
	}
	defer q.mu.Unlock()
	q.advance(now)
	change(q, now)
	q.turn(now)
	return nil
}
