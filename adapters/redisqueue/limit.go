package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.Limiter = (*Backend)(nil)

// RateLimit lets Max jobs of a queue start in each window of length Per.
type RateLimit = domain.Rate

// ownLimit is the rate limit of a consumer's own, as move.lua takes it. It
// counts together with those of the other workers that have one; one kept with
// the queue wins.
type ownLimit struct{ max, per string }

func newOwnLimit(limit RateLimit) *ownLimit {
	return &ownLimit{max: strconv.Itoa(max(limit.Max, 0)), per: strconv.FormatInt(limit.Per.Milliseconds(), 10)}
}

func validateLimits(limits map[domain.QueueName]RateLimit) error {
	for _, queue := range slices.Sorted(maps.Keys(limits)) {
		if err := errors.Join(queue.Validate(), limits[queue].Validate()); err != nil {
			return fmt.Errorf("rate limit of queue %s: %w", domain.Quote(string(queue)), err)
		}
	}
	return nil
}

// SetLimit changes the rate limit of this worker, the one that
// [Config.Limits] began with, from the next call for jobs on; the zero limit
// ends it. It is not kept in Redis: other workers go by their own. The error is
// [domain.ErrInvalid].
func (b *Backend) SetLimit(queue domain.QueueName, limit RateLimit) error {
	if err := queue.Validate(); err != nil {
		return fmt.Errorf("set limit: %w", err)
	}
	if err := limit.Validate(); err != nil {
		return fmt.Errorf("set limit of queue %s: %w", queue, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits[queue] = limit
	for _, c := range b.consumers {
		if c.queue == queue {
			c.own.Store(newOwnLimit(limit))
		}
	}
	return nil
}

// Limits implements [ports.Limiter]. A rate limit of this worker's own counts
// for how long no job may start.
func (b *Backend) Limits(ctx context.Context, queue domain.QueueName) (domain.QueueLimits, error) {
	if err := queue.Validate(); err != nil {
		return domain.QueueLimits{}, fmt.Errorf("read limits: %w", err)
	}
	b.mu.Lock()
	own := b.limits[queue].Max
	b.mu.Unlock()
	limits, err := b.readLimits(ctx, queue, own, 0)
	if err != nil {
		return domain.QueueLimits{}, fmt.Errorf("read limits of queue %s: %w", queue, ended(ctx, err))
	}
	return limits, nil
}

// readLimits reads what limit_read.lua tells: own is the rate limit of workers
// that goes behind the queue's, asked one that goes before it; zero is none.
func (b *Backend) readLimits(ctx context.Context, queue domain.QueueName, own, asked int) (domain.QueueLimits, error) {
	base := b.keys.queue(queue)
	args := []any{base, string(b.config.Profile), own, asked}
	reply, err := b.call(ctx, scriptNamed("limit_read"), []string{base + "meta"}, args)
	if err != nil {
		return domain.QueueLimits{}, err
	}
	values, _ := reply.([]any)
	if len(values) != 5 {
		return domain.QueueLimits{}, errReply
	}
	var texts [5]string
	for i := range values {
		texts[i], _ = values[i].(string)
	}
	return domain.QueueLimits{
		Concurrency: storedBound(texts[0]),
		Rate:        domain.Rate{Max: storedBound(texts[1]), Per: storedMillis(texts[2])},
		Active:      int(storedMillis(texts[3]) / time.Millisecond),
		HeldFor:     storedMillis(texts[4]),
	}, nil
}

// storedBound reads a bound that others may have written. One of less than a job
// is negative, for zero stands for none.
func storedBound(text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(n):
		return 0
	case n < 1:
		return -1
	}
	return int(min(n, domain.MaxConcurrency))
}

func storedMillis(text string) time.Duration {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n <= 0 {
		return 0
	}
	const most = float64(1 << 43) // 278 years
	return time.Duration(min(n, most)) * time.Millisecond
}

// LimitConcurrency implements [ports.Limiter], as BullMQ's
// setGlobalConcurrency and removeGlobalConcurrency do.
func (b *Backend) LimitConcurrency(ctx context.Context, queue domain.QueueName, n int) error {
	return b.changeLimit(ctx, queue, domain.ValidateConcurrency(n), "concurrency", n, 0)
}

// LimitRate implements [ports.Limiter], as BullMQ's setGlobalRateLimit and
// removeGlobalRateLimit do.
func (b *Backend) LimitRate(ctx context.Context, queue domain.QueueName, rate domain.Rate) error {
	return b.changeLimit(ctx, queue, rate.Validate(), "rate", rate.Max, rate.Per.Milliseconds())
}

// Hold implements [ports.Limiter], as BullMQ's rateLimit and removeRateLimitKey
// do. Node's workers obey it if they or the queue have a rate limit, Takt's do
// anyway.
func (b *Backend) Hold(ctx context.Context, queue domain.QueueName, d time.Duration) error {
	return b.changeLimit(ctx, queue, domain.ValidateHold(d), "hold", d.Milliseconds(), 0)
}

// changeLimit writes a limit, unless something is wrong with it.
func (b *Backend) changeLimit(ctx context.Context, queue domain.QueueName, wrong error, args ...any) error {
	if err := queue.Validate(); err != nil {
		return fmt.Errorf("limit: %w", err)
	}
	if wrong != nil {
		return fmt.Errorf("limit queue %s: %w", queue, wrong)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	base := b.keys.queue(queue)
	all := append([]any{"", base, string(b.config.Profile)}, args...)
	if _, err := b.numbered(ctx, scriptNamed("limit_change"), []string{"", base + "meta"}, all); err != nil {
		return fmt.Errorf("limit queue %s: %w", queue, ended(ctx, err))
	}
	return nil
}

// RateLimitTTL returns how long no job may start because so many have started in
// the window of a rate limit, or because somebody holds the queue; zero if jobs
// may. For zero jobs it goes by the queue's own rate limit, and without one it
// is how long the window lasts still: BullMQ's getRateLimitTtl.
func (q *Queue) RateLimitTTL(ctx context.Context, jobs int) (time.Duration, error) {
	if jobs < 0 {
		return 0, domain.Invalidf("rate limit of queue %s: %d jobs is negative", q.name, jobs)
	}
	// One job has started in every window.
	limits, err := q.backend.readLimits(ctx, q.name, 1, jobs)
	if err != nil {
		return 0, fmt.Errorf("read rate limit of queue %s: %w", q.name, ended(ctx, err))
	}
	return limits.HeldFor, nil
}
