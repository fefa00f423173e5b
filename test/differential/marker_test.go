package differential_test

import (
	"context"
	"fmt"
	"math"

	"github.com/redis/go-redis/v9"
)

// markers are what one database holds for waiting workers of a queue.
type markers struct {
	base  bool
	delay string
}

// popMarkers reads the markers of all queues of both databases and takes them
// away, so that after the next step there are those that it wrote.
func (w *world) popMarkers(ctx context.Context) (map[string][2]markers, error) {
	found := map[string][2]markers{}
	for side, client := range w.redis {
		pipe := client.Pipeline()
		for _, queue := range queues() {
			pipe.ZPopMin(ctx, "bull:"+queue+":marker", 10)
		}
		replies, err := pipe.Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("read markers: %w", err)
		}
		for i, queue := range queues() {
			both := found[queue]
			for _, z := range replies[i].(*redis.ZSliceCmd).Val() {
				if z.Member == "0" {
					both[side].base = true
				} else {
					both[side].delay += fmt.Sprintf(" %v at %s", z.Member, w.normal.score("marker", z.Score))
				}
			}
			found[queue] = both
		}
	}
	return found, nil
}

// compareMarkers says which markers of the step differ although it matters.
func (w *world) compareMarkers(ctx context.Context) (string, error) {
	found, err := w.popMarkers(ctx)
	if err != nil {
		return "", err
	}
	if w.unmarked {
		w.unmarked = false
		return "", nil
	}
	for _, queue := range queues() {
		node, ours := found[queue][0], found[queue][1]
		if node.delay != ours.delay {
			due, err := w.firstDue(ctx, queue)
			if err != nil {
				return "", err
			}
			if ours.delay != due {
				return fmt.Sprintf("delay marker of %s: node has%s, ours has%s, the first is due%s", queue, node.delay, ours.delay, due), nil
			}
		}
		if node.base == ours.base {
			continue
		}
		useful, err := w.jobsAreReady(ctx, queue)
		if err != nil {
			return "", err
		}
		if node.base == useful {
			return fmt.Sprintf("base marker of %s: node %t, ours %t, jobs are ready: %t", queue, node.base, ours.base, useful), nil
		}
	}
	return "", nil
}

// firstDue returns what the delay marker of the queue ought to say.
func (w *world) firstDue(ctx context.Context, queue string) (string, error) {
	first, err := w.redis[0].ZRangeWithScores(ctx, "bull:"+queue+":delayed", 0, 0).Result()
	if err != nil || len(first) == 0 {
		return "", err
	}
	return " 1 at " + w.normal.time(math.Floor(first[0].Score/4096)), nil
}

// jobsAreReady tells whether a worker could take a job of the queue.
func (w *world) jobsAreReady(ctx context.Context, queue string) (bool, error) {
	pipe, base := w.redis[0].Pipeline(), "bull:"+queue+":"
	waiting, prioritized := pipe.LLen(ctx, base+"wait"), pipe.ZCard(ctx, base+"prioritized")
	active, paused := pipe.LLen(ctx, base+"active"), pipe.HExists(ctx, base+"meta", "paused")
	concurrency := pipe.HGet(ctx, base+"meta", "concurrency")
	if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil { //nolint:errorlint // the client returns it bare
		return false, fmt.Errorf("read queue: %w", err)
	}
	if most, err := concurrency.Int64(); err == nil && active.Val() >= most {
		return false, nil
	}
	return waiting.Val()+prioritized.Val() > 0 && !paused.Val(), nil
}
