package differential_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/test/interop/node"
)

// What ours does otherwise by intention is left to Node on both databases
// (package doc).

// pausesAlike: pausing twice ours tells once, and it never overwrites a list.
func (w *world) pausesAlike(ctx context.Context, s *step) (bool, error) {
	paused, err := w.redis[0].HExists(ctx, keyOf(s, "meta"), "paused").Result()
	if err != nil || paused {
		return false, err
	}
	exists, err := w.redis[0].Exists(ctx, keyOf(s, "paused")).Result()
	return exists == 0, err
}

// resumesAlike is pausesAlike for the end of a pause.
func (w *world) resumesAlike(ctx context.Context, s *step) (bool, error) {
	paused, err := w.redis[0].HExists(ctx, keyOf(s, "meta"), "paused").Result()
	if err != nil || !paused {
		return false, err
	}
	exists, err := w.redis[0].Exists(ctx, keyOf(s, "paused"), keyOf(s, "wait")).Result()
	return exists < 2, err
}

// cleansAlike: waiting jobs are those of both lists for ours, and of the jobs
// that stay it counts none for the limit.
func (w *world) cleansAlike(ctx context.Context, s *step) (bool, error) {
	state := argument[string](s, 2)
	switch state {
	case "paused":
		return false, nil
	case "completed", "failed":
		return true, nil
	case "wait":
		exists, err := w.redis[0].Exists(ctx, keyOf(s, "paused")).Result()
		if err != nil || exists > 0 {
			return false, err
		}
	}
	if alike, err := w.releasesAlike(ctx, s); err != nil || !alike {
		return false, err
	}
	anyStays := state == "active" || argument[int64](s, 0) > 0 || len(w.schedulers[s.Queue]) > 0
	return argument[int](s, 1) == 0 || !anyStays, nil
}

// obliteratesAlike: ours removes parents that wait and the rate limit, too, and
// what BullMQ 6 left in the list that BullMQ 5 does not look into.
func (w *world) obliteratesAlike(ctx context.Context, s *step) (bool, error) {
	exists, err := w.redis[0].Exists(ctx, keyOf(s, "waiting-children"), keyOf(s, "limiter")).Result()
	if err != nil || exists > 0 {
		return false, err
	}
	if alike, err := w.releasesAlike(ctx, s); err != nil || !alike {
		return false, err
	}
	// Node pauses the queue before.
	return w.pausesAlike(ctx, s)
}

// releasesAlike tells whether removing jobs of the queue releases one parent at
// most: ours removes those first that are next in line, Node in any order.
func (w *world) releasesAlike(ctx context.Context, s *step) (bool, error) {
	parents := map[string]bool{}
	for _, place := range []string{"wait", "paused", "active", "prioritized", "delayed", "completed", "failed"} {
		ids, err := members(ctx, w.redis[0], keyOf(s, place))
		if err != nil {
			return false, err
		}
		for _, id := range ids {
			parent, err := w.parentElsewhere(ctx, s, id)
			if err != nil {
				return false, err
			}
			parents[parent] = true
		}
	}
	delete(parents, "")
	return len(parents) < 2, nil
}

// parentElsewhere returns the key of the next job above one that is in another
// queue: those of the same queue are removed with their last child.
func (w *world) parentElsewhere(ctx context.Context, s *step, id string) (string, error) {
	key := keyOf(s, id)
	for range 10 {
		parent, err := w.redis[0].HGet(ctx, key, "parentKey").Result()
		if errors.Is(err, redis.Nil) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("read job: %w", err)
		}
		if !strings.HasPrefix(parent, keyOf(s, "")) {
			return parent, nil
		}
		key = parent
	}
	return "", nil
}

// members returns what is in a list or sorted set.
func members(ctx context.Context, client *redis.Client, key string) ([]string, error) {
	kind, err := client.Type(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	read := client.LRange
	if kind == "zset" {
		read = client.ZRange
	}
	ids, err := read(ctx, key, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return ids, nil
}

// schedulesAlike: a run that waits in a queue that BullMQ 6 paused stays beside
// the new one for Node, which looks for it in the list of BullMQ 5.
func (w *world) schedulesAlike(ctx context.Context, s *step) (bool, error) {
	if w.version[0] != '6' {
		return true, nil
	}
	paused, err := w.redis[0].HExists(ctx, keyOf(s, "meta"), "paused").Result()
	if err != nil || !paused {
		return !paused, err
	}
	waiting, err := w.redis[0].LRange(ctx, keyOf(s, "wait"), 0, -1).Result()
	return !slices.ContainsFunc(waiting, isRun), err
}

// found is what decides where a job goes.
type found struct {
	priority int
	lifo     bool
	parent   bool
}

func (w *world) look(ctx context.Context, s *step, id string) (found, error) {
	values, err := w.redis[0].HMGet(ctx, keyOf(s, id), "priority", "opts", "parentKey").Result()
	if err != nil {
		return found{}, fmt.Errorf("read job: %w", err)
	}
	var f found
	text, _ := values[0].(string)
	f.priority, _ = strconv.Atoi(text)
	text, _ = values[1].(string)
	var options struct{ LIFO bool }
	_ = json.Unmarshal([]byte(text), &options)
	f.lifo = options.LIFO
	f.parent = values[2] != nil
	return f, nil
}

// retriesAlike: ours goes by BullMQ 6.
func (w *world) retriesAlike(ctx context.Context, s *step) (bool, error) {
	if w.version[0] != '5' {
		return true, nil
	}
	job, err := w.look(ctx, s, s.ID)
	return job.priority == 0 && (w.version != node.V5First || !job.parent), err
}

// retriesAllAlike: jobs of ours keep their priorities and are retried each as
// by itself.
func (w *world) retriesAllAlike(ctx context.Context, s *step) (bool, error) {
	ids, err := w.redis[0].ZRange(ctx, keyOf(s, cmp.Or(argument[struct{ State string }](s, 0).State, "failed")), 0, -1).Result()
	if err != nil {
		return false, fmt.Errorf("read jobs: %w", err)
	}
	for _, id := range ids {
		job, err := w.look(ctx, s, id)
		if err != nil || job.priority > 0 || job.lifo || w.version[0] == '5' && job.parent {
			return false, err
		}
	}
	return true, nil
}

// promotesAllAlike: jobs of ours keep their priorities.
func (w *world) promotesAllAlike(ctx context.Context, s *step) (bool, error) {
	ids, err := w.redis[0].ZRange(ctx, keyOf(s, "delayed"), 0, -1).Result()
	if err != nil {
		return false, fmt.Errorf("read jobs: %w", err)
	}
	for _, id := range ids {
		job, err := w.look(ctx, s, id)
		if err != nil || job.priority > 0 {
			return false, err
		}
	}
	return true, nil
}

// forgetDelays has the jobs that are promoted without their delays, which Node
// leaves with them.
func (w *world) forgetDelays(ctx context.Context, s *step) error {
	ids, err := w.redis[0].ZRange(ctx, keyOf(s, "delayed"), 0, -1).Result()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := w.redis[0].HSet(ctx, keyOf(s, id), "delay", 0).Err(); err != nil {
			return err
		}
	}
	return nil
}

// showsParents: BullMQ 5.70 goes on showing the parent that a job was taken
// from.
func (w *world) showsParents(context.Context, *step) (bool, error) {
	return w.version != node.V5First || !w.unlinked, nil
}

// unlinksAlike: a job without a parent is no error to ours.
func (w *world) unlinksAlike(ctx context.Context, s *step) (bool, error) {
	return w.redis[0].HExists(ctx, keyOf(s, s.ID), "parentKey").Result()
}
