package differential_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/test/interop/node"
)

// excluded tells whether the sides would have to differ in the step as things
// are now.
func (w *world) excluded(ctx context.Context, s *step) (bool, error) {
	for _, reason := range []func(context.Context, *step) (bool, error){w.refusals, w.lostLast, w.overLimit, w.staleKeys, w.takenIDs, w.strayNotes, w.anyOrder, w.endedSchedulers, w.selfWaiting, w.latePurges} {
		if excluded, err := reason(ctx, s); err != nil || excluded {
			return excluded, err
		}
	}
	return false, nil
}

// overLimit tells whether a step that takes several jobs meets a rate limit of
// BullMQ 6. Jobs that are only to be failed do not count for it, so that Node
// may go beyond what was left of it before.
func (w *world) overLimit(ctx context.Context, s *step) (bool, error) {
	if w.version[0] != '6' || len(s.Next) < 2 {
		return false, nil
	}
	global, err := w.redis[0].HExists(ctx, keyOf(s, "meta"), "max").Result()
	return w.limited || global, err
}

// strayNotes tells whether the step writes about a job whose lock is gone: Node
// does not look at it, ours does.
func (w *world) strayNotes(ctx context.Context, s *step) (bool, error) {
	if s.Do != "note" {
		return false, nil
	}
	locked, err := w.redis[0].Exists(ctx, keyOf(s, w.slots[slotKey{s.Queue, s.Slot}].ids[0]+":lock")).Result()
	return locked == 0, err
}

// anyOrder tells whether a scan may recover jobs in an order that depends on
// the times in the ids of runs: it takes them out of a set.
func (w *world) anyOrder(ctx context.Context, s *step) (bool, error) {
	if s.Do != "recover" {
		return false, nil
	}
	ids, err := w.redis[0].SMembers(ctx, keyOf(s, "stalled")).Result()
	return len(ids) > 1 && slices.ContainsFunc(ids, isRun), err
}

// endedSchedulers tells whether a scan recovers a run whose scheduler is gone:
// BullMQ 5.70 counts no crashes of runs at all.
func (w *world) endedSchedulers(ctx context.Context, s *step) (bool, error) {
	if w.version != node.V5First || s.Do != "recover" {
		return false, nil
	}
	ids, err := w.redis[0].SMembers(ctx, keyOf(s, "stalled")).Result()
	if err != nil {
		return false, fmt.Errorf("read stalled jobs: %w", err)
	}
	for _, id := range ids {
		if !isRun(id) {
			continue
		}
		exists, err := w.redis[0].Exists(ctx, keyOf(s, id[:strings.LastIndexByte(id, ':')])).Result()
		if err != nil || exists == 0 {
			return exists == 0, err
		}
	}
	return false, nil
}

// refusals tells whether a step that ends several jobs completes one whose
// children do not let it. Ours writes the failure after it has taken other
// jobs, which the sides would have to differ in. So they would if the lock of a
// single one is gone as well: Node looks at the children first, and its try to
// fail the job makes jobs ready that were delayed.
func (w *world) refusals(ctx context.Context, s *step) (bool, error) {
	lost := len(s.Endings) == 1 && w.slots[slotKey{s.Queue, s.Endings[0].Slot}].broken
	if len(s.Endings) < 2 && !lost {
		return false, nil
	}
	var completed []string
	for _, e := range s.Endings {
		if e.Kind != "complete" {
			continue
		}
		job := keyOf(s, w.slots[slotKey{s.Queue, e.Slot}].ids[0])
		failed, err := w.redis[0].ZCard(ctx, job+":unsuccessful").Result()
		if err != nil {
			return false, fmt.Errorf("read children: %w", err)
		}
		pending, err := w.redis[0].SMembers(ctx, job+":dependencies").Result()
		if err != nil {
			return false, fmt.Errorf("read children: %w", err)
		}
		for _, child := range pending {
			if !slices.Contains(completed, child) {
				return true, nil
			}
		}
		if failed > 0 {
			return true, nil
		}
		completed = append(completed, job)
	}
	return false, nil
}

// selfWaiting tells whether the step adds a job that would wait for itself, as
// ours refuses to do. Node counts it as not done where it leaves out others.
func (w *world) selfWaiting(_ context.Context, s *step) (bool, error) {
	switch {
	case s.Do == "flow":
		return slices.ContainsFunc(flowsOf(s), func(root flowNode) bool { return root.waitsForOneOf(nil) }), nil
	case s.Do == "queue" && (s.Method == "add" || s.Method == "addBulk"):
		return slices.ContainsFunc(newJobs(s), func(job newJob) bool {
			node := flowNode{newJob: job, Queue: s.Queue}
			return node.waitsForOneOf(nil)
		}), nil
	}
	return false, nil
}

// latePurges tells whether a step that ends several jobs may purge a finished one
// for which a parent waits. Ours purges after it has written all outcomes (protocol
// 9, F9), and so that parent is ready after jobs that the step puts back.
func (w *world) latePurges(ctx context.Context, s *step) (bool, error) {
	if len(s.Endings) < 2 {
		return false, nil
	}
	for _, set := range []string{"completed", "failed"} {
		ids, err := w.redis[0].ZRange(ctx, keyOf(s, set), 0, -1).Result()
		if err != nil {
			return false, fmt.Errorf("read finished jobs: %w", err)
		}
		for _, id := range ids {
			parent, err := w.redis[0].HGet(ctx, keyOf(s, id), "parentKey").Result()
			if errors.Is(err, redis.Nil) {
				continue
			}
			if err != nil {
				return false, fmt.Errorf("read parent: %w", err)
			}
			waits, err := w.redis[0].SIsMember(ctx, parent+":dependencies", keyOf(s, id)).Result()
			if err != nil || waits {
				return waits, err
			}
		}
	}
	return false, nil
}

// lostLast tells whether the last of several jobs that the step ends is another's
// by now: Node sees after each job whether the queue is drained, ours after all
// of them.
func (w *world) lostLast(_ context.Context, s *step) (bool, error) {
	last := len(s.Endings) - 1
	return last > 0 && w.slots[slotKey{s.Queue, s.Endings[last].Slot}].broken, nil
}

// staleKeys tells whether the step adds a job with a deduplication key whose
// owner is gone, or a child.
func (w *world) staleKeys(ctx context.Context, s *step) (bool, error) {
	for _, job := range s.Jobs {
		if job.Dedup == "" {
			continue
		}
		if alike, err := w.ownerAlike(ctx, s, job.Dedup); err != nil || !alike {
			return !alike, err
		}
	}
	return false, nil
}

// takenIDs tells whether the step ends a job while one is kept to follow it
// whose id another one has by now: Node adds it a second time, under the same
// id, ours does without.
func (w *world) takenIDs(ctx context.Context, s *step) (bool, error) {
	if s.Do != "settle" {
		return false, nil
	}
	for _, dedup := range []string{"x", "y"} {
		id, err := w.redis[0].HGet(ctx, keyOf(s, "dn:"+dedup), "jid").Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read who follows: %w", err)
		}
		exists, err := w.redis[0].Exists(ctx, keyOf(s, id)).Result()
		if err != nil || exists == 1 {
			return exists == 1, err
		}
	}
	return false, nil
}

// clearGone clears away on Node's side what is left of jobs whose hash was gone
// when the worker ended them. Ours does it by itself (protocol 3.4).
func (w *world) clearGone(ctx context.Context, s *step, r result) error {
	if s.Do != "settle" || len(r.OK) == 0 {
		return nil
	}
	var answer taken
	if err := json.Unmarshal(r.OK, &answer); err != nil {
		return fmt.Errorf("read what was taken: %w", err)
	}
	for i, status := range answer.Statuses {
		id := w.slots[slotKey{s.Queue, s.Endings[i].Slot}].ids[0]
		exists, err := w.redis[0].Exists(ctx, keyOf(s, id)).Result()
		if err != nil {
			return fmt.Errorf("clear away: %w", err)
		}
		if exists == 1 || status != "lost" {
			continue
		}
		pipe := w.redis[0].Pipeline()
		pipe.Del(ctx, keyOf(s, id+":lock"))
		pipe.LRem(ctx, keyOf(s, "active"), -1, id)
		pipe.SRem(ctx, keyOf(s, "stalled"), id)
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("clear away: %w", err)
		}
	}
	return nil
}
