package redisqueue

import (
	"context"
	"crypto/md5" //nolint:gosec // BullMQ names repeatable jobs by it
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// RemoveScheduler removes the scheduler, and the job it waits for if that is
// delayed. A job that is ready or being worked runs still, as the last one.
// It returns false if there was none of that id, which is a key for the
// repeatable jobs of BullMQ 5.
func (q *Queue) RemoveScheduler(ctx context.Context, id string) (bool, error) {
	args := []any{"", q.base, string(q.backend.config.Profile), id}
	reply, err := q.backend.numbered(ctx, scriptNamed("scheduler_remove"), []string{"", q.base + "meta", q.base + "repeat"}, args)
	if err != nil {
		return false, fmt.Errorf("remove scheduler: %w", ended(ctx, err))
	}
	u := unpackerOf(reply)
	removed := u.number()
	if u.err != nil {
		return false, fmt.Errorf("remove scheduler: %w", errReply)
	}
	return removed == 1, nil
}

// Repeatable is what BullMQ 5 knows a repeatable job by: one that was added by
// Queue.add with the option repeat, before there were schedulers.
type Repeatable struct {
	// Name is the name of the job, JobID the option jobId; empty if there was
	// none.
	Name, JobID string
	// Every is the interval. Either it or Pattern is set.
	Every   time.Duration
	Pattern string
	Zone    string
	// EndDate is when it ends; the zero time means never.
	EndDate time.Time
}

// Key returns the key of the repeatable job, by which it is listed among the
// schedulers. One that was added with a key of its own has that key.
func (r Repeatable) Key() string {
	suffix := r.Pattern
	if suffix == "" {
		suffix = strconv.FormatInt(r.Every.Milliseconds(), 10)
	}
	end := ""
	if !r.EndDate.IsZero() {
		end = strconv.FormatInt(r.EndDate.UnixMilli(), 10)
	}
	sum := md5.Sum([]byte(r.Name + ":" + r.JobID + ":" + end + ":" + r.Zone + ":" + suffix)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// RemoveRepeatable removes a repeatable job of BullMQ 5, as
// [Queue.RemoveScheduler] does. It returns false if there was none.
func (q *Queue) RemoveRepeatable(ctx context.Context, r Repeatable) (bool, error) {
	return q.RemoveScheduler(ctx, r.Key())
}
