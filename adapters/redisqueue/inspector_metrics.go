package redisqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// Metrics are how many jobs ended, as the workers have counted that have
// metrics switched on (protocol 2.19).
type Metrics struct {
	// Count is how many ended so far.
	Count int
	// Latest is when the latest full minute was added to the points, and
	// LatestCount what Count was then.
	Latest      time.Time
	LatestCount int
	// Points are how many ended in each minute, the newest minute first.
	Points []int
	// Kept is how many points there are.
	Kept int
}

// metricsPage is how many points are read at a time.
const metricsPage = 10_000

// Metrics returns how many jobs were completed, or have failed, with up to
// limit minutes behind the newest offset ones; a limit of zero means all.
// The error is [domain.ErrInvalid] for another state.
func (q *Queue) Metrics(ctx context.Context, state domain.State, offset, limit int) (Metrics, error) {
	if state != domain.StateCompleted && state != domain.StateFailed {
		return Metrics{}, domain.Invalidf("metrics: state %s, only completed and failed jobs are counted", domain.Quote(string(state)))
	}
	if offset < 0 || limit < 0 {
		return Metrics{}, domain.Invalidf("metrics: offset %d or limit %d is negative", offset, limit)
	}
	key := q.base + "metrics:" + string(state)
	m, err := q.metricsHead(ctx, key)
	if err == nil {
		m.Points, err = q.metricsPoints(ctx, key+":data", offset, metricsEnd(m.Kept, offset, limit))
	}
	if err != nil {
		return Metrics{}, fmt.Errorf("metrics of queue %s: %w", q.name, err)
	}
	return m, nil
}

func (q *Queue) metricsHead(ctx context.Context, key string) (Metrics, error) {
	var fields *redis.SliceCmd
	var length *redis.IntCmd
	_, err := ask(ctx, q.backend, "read metrics", func() ([]redis.Cmder, error) {
		return q.backend.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			fields = p.HMGet(ctx, key, "count", "prevTS", "prevCount")
			length = p.LLen(ctx, key+":data")
			return nil
		})
	})
	if err != nil {
		return Metrics{}, err
	}
	var texts [3]string
	for i, value := range fields.Val() {
		texts[i], _ = value.(string)
	}
	m := Metrics{Count: count(texts[0]), LatestCount: count(texts[2]), Kept: int(length.Val())}
	if texts[1] != "" {
		m.Latest = millisTime(texts[1])
	}
	return m, nil
}

func metricsEnd(kept, offset, limit int) int {
	if limit == 0 {
		return kept
	}
	return min(kept, min(offset, maxOffset)+min(limit, maxOffset))
}

// metricsPoints reads the points from offset up to end.
func (q *Queue) metricsPoints(ctx context.Context, key string, offset, end int) ([]int, error) {
	var points []int
	for at := offset; at < end; at += metricsPage {
		last := min(at+metricsPage, end) - 1
		texts, err := ask(ctx, q.backend, "read metrics", func() ([]string, error) {
			return q.backend.client.LRange(ctx, key, int64(at), int64(last)).Result()
		})
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			points = append(points, count(text))
		}
	}
	return points, nil
}
