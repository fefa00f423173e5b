package differential_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// touches are things done to Redis directly, equally on both databases.
func touches() map[string]func(context.Context, *redis.Client, *step, string) error {
	return map[string]func(context.Context, *redis.Client, *step, string) error{
		// The lock of the job in the slot runs out, or another worker has it.
		"drop lock": func(ctx context.Context, c *redis.Client, s *step, id string) error {
			return c.Del(ctx, keyOf(s, id+":lock")).Err()
		},
		"steal lock": func(ctx context.Context, c *redis.Client, s *step, id string) error {
			return c.Set(ctx, keyOf(s, id+":lock"), "stranger", lockDuration).Err()
		},
		// The lock has two hours left, so that one sees whether it is renewed.
		"age lock": func(ctx context.Context, c *redis.Client, s *step, id string) error {
			return c.PExpire(ctx, keyOf(s, id+":lock"), 2*lockDuration).Err()
		},
		// The next scan may come.
		"end guard": func(ctx context.Context, c *redis.Client, s *step, _ string) error {
			return c.Del(ctx, keyOf(s, "stalled-check")).Err()
		},
		"end limit": func(ctx context.Context, c *redis.Client, s *step, _ string) error {
			return c.Del(ctx, keyOf(s, "limiter")).Err()
		},
		"end deduplication": func(ctx context.Context, c *redis.Client, s *step, _ string) error {
			return c.Del(ctx, keyOf(s, "de:"+s.ID)).Err()
		},
		// Amount hours pass for the finished jobs.
		"age completed": func(ctx context.Context, c *redis.Client, s *step, _ string) error {
			return ageFinished(ctx, c, keyOf(s, "completed"), s.Amount)
		},
		"age failed": func(ctx context.Context, c *redis.Client, s *step, _ string) error {
			return ageFinished(ctx, c, keyOf(s, "failed"), s.Amount)
		},
		// Metrics were last written Amount minutes and a half ago.
		"age metrics": func(ctx context.Context, c *redis.Client, s *step, _ string) error {
			return ageMetrics(ctx, c, s)
		},
		// Amount hours pass for the scheduler and the job it waits for.
		"age schedule": func(ctx context.Context, c *redis.Client, s *step, _ string) error {
			return ageSchedule(ctx, c, s)
		},
	}
}

func keyOf(s *step, name string) string { return "bull:" + s.Queue + ":" + name }

func ageFinished(ctx context.Context, c *redis.Client, key string, hours int) error {
	members, err := c.ZRangeWithScores(ctx, key, 0, -1).Result()
	if err != nil || len(members) == 0 {
		return err
	}
	for i := range members {
		members[i].Score -= float64(int64(hours) * hour)
	}
	return c.ZAdd(ctx, key, members...).Err()
}

// onLocks are the touches that need a job with its lock in the slot.
func onLocks() []string { return []string{"drop lock", "steal lock", "age lock"} }

func (w *world) touchable(s *step, held *slot) bool {
	return !slices.Contains(onLocks(), s.Method) || held != nil && !held.broken
}

func (w *world) touch(ctx context.Context, s *step) ([]result, error) {
	do := touches()[s.Method]
	if do == nil {
		return nil, fmt.Errorf("touch: no way to %s", s.Method)
	}
	held := w.slots[slotKey{s.Queue, s.Slot}]
	if held == nil {
		held = &slot{}
	}
	if slices.Contains(onLocks(), s.Method) {
		exists, err := w.redis[0].Exists(ctx, keyOf(s, held.ids[0])).Result()
		if err != nil || exists == 0 {
			// A lock of nothing: ours would clear it away (protocol 3.4).
			return make([]result, 2), err
		}
	}
	for side, client := range w.redis {
		if err := do(ctx, client, s, held.ids[side]); err != nil {
			return nil, fmt.Errorf("touch: %s: %w", s.Method, err)
		}
	}
	if slices.Contains(onLocks()[:2], s.Method) {
		held.broken = true
	}
	return make([]result, 2), nil
}

// ageMetrics sets the same time on both sides: which minute it is in counts.
func ageMetrics(ctx context.Context, c *redis.Client, s *step) error {
	at := time.Now().Truncate(time.Minute).Add(-time.Duration(s.Amount)*time.Minute - 30*time.Second).UnixMilli()
	for _, set := range []string{"completed", "failed"} {
		key := keyOf(s, "metrics:"+set)
		if exists, err := c.Exists(ctx, key).Result(); err != nil || exists == 0 {
			continue
		}
		if err := c.HSet(ctx, key, "prevTS", at).Err(); err != nil {
			return err
		}
	}
	return nil
}

// ageSchedule moves a delayed run, which has its time in its id.
func ageSchedule(ctx context.Context, c *redis.Client, s *step) error {
	score, err := c.ZScore(ctx, keyOf(s, "repeat"), s.ID).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	moved := int64(score) - int64(s.Amount)*hour
	before, after := fmt.Sprintf("repeat:%s:%d", s.ID, int64(score)), fmt.Sprintf("repeat:%s:%d", s.ID, moved)
	taken, err := c.Exists(ctx, keyOf(s, after)).Result()
	if err != nil || taken == 1 {
		// A run of that very time was there before.
		return err
	}
	due, err := c.ZScore(ctx, keyOf(s, "delayed"), before).Result()
	if err != nil {
		// It is not delayed any more, or there is none.
		return nil //nolint:nilerr // nothing to do
	}
	pipe := c.TxPipeline()
	pipe.Rename(ctx, keyOf(s, before), keyOf(s, after))
	pipe.ZRem(ctx, keyOf(s, "delayed"), before)
	pipe.ZAdd(ctx, keyOf(s, "delayed"), redis.Z{Score: due - float64(int64(s.Amount)*hour*4096), Member: after})
	pipe.ZAdd(ctx, keyOf(s, "repeat"), redis.Z{Score: float64(moved), Member: s.ID})
	_, err = pipe.Exec(ctx)
	return err
}
