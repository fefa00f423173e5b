package redisqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"

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

// AddLog adds a line to the job's log, of which the newest keep lines stay;
// zero keeps all. It returns how many there are then. The error is
// [ports.ErrNotFound], or [domain.ErrInvalid] for a negative number.
func (q *Queue) AddLog(ctx context.Context, id domain.JobID, line string, keep int) (int, error) {
	if keep == 0 {
		return q.changeLog(ctx, id, "", "add", domain.CleanText(line, domain.MaxStack))
	}
	if keep < 0 {
		return 0, domain.Invalidf("add log: %d lines to keep is negative", keep)
	}
	return q.changeLog(ctx, id, strconv.Itoa(keep), "add", domain.CleanText(line, domain.MaxStack))
}

// ClearLog drops the lines of the job's log but the newest keep. The error is
// [ports.ErrNotFound], or [domain.ErrInvalid] for a negative number.
func (q *Queue) ClearLog(ctx context.Context, id domain.JobID, keep int) error {
	if keep < 0 {
		return domain.Invalidf("clear log: %d lines to keep is negative", keep)
	}
	_, err := q.changeLog(ctx, id, strconv.Itoa(keep), "clear")
	return err
}

// changeLog changes the job's log, and returns how many lines it has then.
func (q *Queue) changeLog(ctx context.Context, id domain.JobID, keep string, change ...string) (int, error) {
	u, err := q.operate(ctx, "operate_log", false, append([]string{string(id), keep}, change...)...)
	code, lines := u.number(), u.number()
	if err == nil {
		err = u.err
	}
	if err == nil {
		err = codeError(code)
	}
	if err != nil {
		return 0, fmt.Errorf("log of job %s of queue %s: %w", domain.Quote(string(id)), q.name, err)
	}
	return lines, nil
}
