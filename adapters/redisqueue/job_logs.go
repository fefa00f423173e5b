package redisqueue

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// LogPage says which lines of a job's log are wanted.
type LogPage struct {
	// Offset is how many lines are passed over, Limit how many are wanted at
	// most; zero means 1,000.
	Offset, Limit int
	// Newest begins with the newest line; without it the oldest comes first.
	Newest bool
}

// Log is a part of a job's log.
type Log struct {
	Lines []string
	// Count is how many lines there are in all.
	Count int
}

// logPage is how many lines are read at a time.
const logPage = 1000

// Log returns lines of the job's log. A job without one, or none at all, has
// no lines.
func (q *Queue) Log(ctx context.Context, id domain.JobID, page LogPage) (Log, error) {
	if page.Offset < 0 || page.Limit < 0 {
		return Log{}, domain.Invalidf("read log: offset %d or limit %d is negative", page.Offset, page.Limit)
	}
	if page.Limit == 0 {
		page.Limit = logPage
	}
	var log Log
	for at, end := min(page.Offset, maxOffset), min(page.Offset, maxOffset)+min(page.Limit, maxOffset); at < end; at += logPage {
		some, err := q.logLines(ctx, id, stretch{from: at, n: min(logPage, end-at), backward: page.Newest})
		if err != nil {
			return Log{}, fmt.Errorf("log of job %s of queue %s: %w", domain.Quote(string(id)), q.name, err)
		}
		log.Lines, log.Count = append(log.Lines, some.Lines...), some.Count
		if len(some.Lines) < min(logPage, end-at) {
			break
		}
	}
	return log, nil
}

// logLines reads lines of the log.
func (q *Queue) logLines(ctx context.Context, id domain.JobID, s stretch) (Log, error) {
	key := q.base + string(id) + ":logs"
	start, stop := s.from, s.from+s.n-1
	if s.backward {
		start, stop = -s.from-s.n, -s.from-1
	}
	var lines *redis.StringSliceCmd
	var length *redis.IntCmd
	_, err := ask(ctx, q.backend, "read log", func() ([]redis.Cmder, error) {
		return q.backend.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			lines = p.LRange(ctx, key, int64(start), int64(stop))
			length = p.LLen(ctx, key)
			return nil
		})
	})
	if err != nil {
		return Log{}, err
	}
	log := Log{Lines: lines.Val(), Count: int(length.Val())}
	if s.backward {
		slices.Reverse(log.Lines)
	}
	return log, nil
}
