package differential_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// addTwins are for producers.
func addTwins() map[string]twin {
	return map[string]twin{
		"queue add":     {call: (*call).add, alike: (*world).addsAlike},
		"queue addBulk": {call: (*call).add, alike: (*world).addsAlike},
	}
}

// add answers the ids of the jobs, or the one alone.
func (c *call) add(ctx context.Context) (any, error) {
	given := newJobs(c.step)
	jobs := make([]redisqueue.NewJob, len(given))
	for i := range given {
		var err error
		if jobs[i], err = given[i].ours(); err != nil {
			return nil, err
		}
	}
	added, err := c.queue.Add(ctx, jobs...)
	if err != nil {
		return nil, err
	}
	ids := make([]domain.JobID, len(added))
	for i := range added {
		ids[i] = added[i].ID
	}
	if c.Method == "add" {
		return ids[0], nil
	}
	return ids, nil
}

// addsAlike tells whether ours knows all that is to be added, and goes by the
// same rules with it.
func (w *world) addsAlike(ctx context.Context, s *step) (bool, error) {
	for _, job := range newJobs(s) {
		opts, err := readOptions(job.Opts)
		if err != nil || !opts.known(w.version) {
			return false, nil //nolint:nilerr // ours does not know it
		}
		if opts.Deduplication != nil {
			alike, err := w.ownerAlike(ctx, s, opts.Deduplication.Key)
			if err != nil || !alike {
				return false, err
			}
		}
		if opts.Parent != nil {
			alike, err := w.linksAlike(ctx, s, opts.JobID)
			if err != nil || !alike {
				return false, err
			}
		}
	}
	return true, nil
}

// ownerAlike tells whether ours goes by the same rules with the owner of the
// deduplication key. If that is gone, BullMQ 5 refuses jobs of the key for ever,
// BullMQ 6 and ours do not (protocol 2.17). If it is a child and replaced, Node
// leaves its parent waiting for it for ever.
func (w *world) ownerAlike(ctx context.Context, s *step, key string) (bool, error) {
	owner, err := w.redis[0].Get(ctx, keyOf(s, "de:"+key)).Result()
	if errors.Is(err, redis.Nil) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read owner: %w", err)
	}
	exists, err := w.redis[0].Exists(ctx, keyOf(s, owner)).Result()
	if err != nil || exists == 0 {
		return w.version[0] != '5', err
	}
	child, err := w.redis[0].HExists(ctx, keyOf(s, owner), "parentKey").Result()
	return !child, err
}

// linksAlike tells whether a job that is to have a parent is new, if BullMQ 5
// adds it: it does otherwise with one that is there already (protocol 6.1).
func (w *world) linksAlike(ctx context.Context, s *step, id string) (bool, error) {
	if w.version[0] != '5' || id == "" {
		return true, nil
	}
	exists, err := w.redis[0].Exists(ctx, keyOf(s, id)).Result()
	return exists == 0, err
}
