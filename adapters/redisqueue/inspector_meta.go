package redisqueue

import (
	"context"
	"fmt"
	"time"
)

// Meta are the settings that BullMQ keeps with a queue (protocol 1.3).
type Meta struct {
	// Version is what the queue's last Node client left, "bullmq:5.81.5";
	// empty if there was none.
	Version string
	// Paused tells that no jobs are handed out.
	Paused bool
	// MaxEvents is about how many events are kept; zero if nobody has said so.
	MaxEvents int
	// Concurrency is how many jobs all workers together may have under way;
	// zero for no limit.
	Concurrency int
	// Limit is the rate limit of all workers together; the zero value for none.
	Limit RateLimit
}

// Meta returns the queue's settings. A queue that does not exist has none.
// Numbers that make no sense read as zero.
func (q *Queue) Meta(ctx context.Context) (Meta, error) {
	fields, err := ask(ctx, q.backend, "read settings", func() (map[string]string, error) {
		return q.backend.client.HGetAll(ctx, q.base+"meta").Result()
	})
	if err != nil {
		return Meta{}, fmt.Errorf("settings of queue %s: %w", q.name, err)
	}
	_, paused := fields["paused"]
	return Meta{
		Version: fields["version"], Paused: paused, MaxEvents: count(fields["opts.maxLenEvents"]),
		Concurrency: count(fields["concurrency"]),
		Limit:       RateLimit{Max: count(fields["max"]), Per: time.Duration(count(fields["duration"])) * time.Millisecond},
	}, nil
}

// IsPaused tells whether the queue hands out no jobs.
func (q *Queue) IsPaused(ctx context.Context) (bool, error) {
	meta, err := q.Meta(ctx)
	return meta.Paused, err
}

// IsMaxed tells whether as many jobs are under way as the queue's concurrency
// allows. A queue without that limit never is.
func (q *Queue) IsMaxed(ctx context.Context) (bool, error) {
	meta, err := q.Meta(ctx)
	if err != nil || meta.Concurrency == 0 {
		return false, err
	}
	active, err := ask(ctx, q.backend, "count active jobs", func() (int64, error) {
		return q.backend.client.LLen(ctx, q.base+"active").Result()
	})
	if err != nil {
		return false, fmt.Errorf("active jobs of queue %s: %w", q.name, err)
	}
	return active >= int64(meta.Concurrency), nil
}

// ask sends a question until the server answers or ctx ends. It is for what
// changes nothing.
func ask[T any](ctx context.Context, b *Backend, op string, send func() (T, error)) (answer T, err error) {
	err = b.repeat(ctx, op, func() error {
		answer, err = send()
		return err
	})
	return answer, ended(ctx, err)
}
