package redisqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// DeduplicationOwner returns the id of the job that holds the deduplication
// key, or [ports.ErrNotFound] if none does. The owner of a key with a TTL may be
// gone already.
func (q *Queue) DeduplicationOwner(ctx context.Context, key string) (domain.JobID, error) {
	owner := ""
	err := q.backend.repeat(ctx, "read deduplication key", func() (err error) {
		owner, err = q.backend.client.Get(ctx, q.base+"de:"+key).Result()
		if errors.Is(err, redis.Nil) {
			owner, err = "", nil
		}
		return err
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("queue %s: key %s: %w", q.name, domain.Quote(key), ended(ctx, err))
	case owner == "":
		return "", fmt.Errorf("queue %s: owner of deduplication key %s: %w", q.name, domain.Quote(key), ports.ErrNotFound)
	}
	return domain.JobID(owner), nil
}

// FreeDeduplication frees the deduplication key, whoever holds it, and tells
// whether anybody did. The owner goes on, and a job that is kept to follow it
// does so still.
func (q *Queue) FreeDeduplication(ctx context.Context, key string) (freed bool, err error) {
	return q.freeDeduplication(ctx, "key", key)
}

// FreeDeduplicationOf frees the deduplication key that the job holds, and tells
// whether it held one: the key may be another job's by now. The error is
// [ports.ErrNotFound] if the job is not there.
func (q *Queue) FreeDeduplicationOf(ctx context.Context, id domain.JobID) (freed bool, err error) {
	return q.freeDeduplication(ctx, "job", string(id))
}

func (q *Queue) freeDeduplication(ctx context.Context, kind, text string) (bool, error) {
	args := []any{"", q.base, kind, text}
	reply, err := q.backend.numbered(ctx, scriptNamed("dedup_free"), []string{"", q.base + "meta"}, args)
	if err != nil {
		return false, fmt.Errorf("queue %s: deduplication of %s %s: %w", q.name, kind, domain.Quote(text), ended(ctx, err))
	}
	switch reply {
	case int64(1):
		return true, nil
	case int64(0):
		return false, nil
	}
	return false, fmt.Errorf("queue %s: job %s: %w", q.name, domain.Quote(text), ports.ErrNotFound)
}
