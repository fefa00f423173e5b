package torture_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// contents is what plain commands find in a queue.
type contents struct {
	// places are the lists and sets that name the job, by its id.
	places map[string][]string
	// hashes are the ids that have a hash with a name.
	hashes map[string]bool
	// reasons are why jobs failed, results what they returned, by id.
	reasons, results map[string]string
	// crashes are how often the jobs' leases ran out, by id, where they did.
	crashes map[string]string
	// locks are the ids that somebody has a lease on.
	locks []string
}

const (
	prefix    = "bull"
	queueName = "mail"
	queueBase = prefix + ":" + queueName + ":"
)

// lists and sets are the places where jobs are.
func lists() []string { return []string{"wait", "paused", "active"} }

func sets() []string {
	return []string{"prioritized", "delayed", "completed", "failed", "waiting-children"}
}

// readContents reads the whole queue.
func readContents(ctx context.Context, client *redis.Client) (contents, error) {
	c := contents{
		places: map[string][]string{}, hashes: map[string]bool{},
		reasons: map[string]string{}, results: map[string]string{}, crashes: map[string]string{},
	}
	// In one step: a job that moves meanwhile would be in two places, or none.
	places := append(lists(), sets()...)
	read := make([]*redis.StringSliceCmd, 0, len(places))
	_, err := client.TxPipelined(ctx, func(step redis.Pipeliner) error {
		for _, list := range lists() {
			read = append(read, step.LRange(ctx, queueBase+list, 0, -1))
		}
		for _, set := range sets() {
			read = append(read, step.ZRange(ctx, queueBase+set, 0, -1))
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	for i, ids := range read {
		c.add(places[i], ids.Val())
	}
	return c, c.readHashes(ctx, client)
}

func (c *contents) add(place string, ids []string) {
	for _, id := range ids {
		c.places[id] = append(c.places[id], place)
	}
}

// notJobs are the keys of a queue that hold something else.
func notJobs() map[string]bool {
	names := map[string]bool{"id": true, "meta": true, "events": true, "marker": true, "pc": true, "stalled": true, "stalled-check": true, "limiter": true}
	for _, place := range append(lists(), sets()...) {
		names[place] = true
	}
	return names
}

const page = 2000

// readHashes reads the keys of all jobs, page by page.
func (c *contents) readHashes(ctx context.Context, client *redis.Client) error {
	others := notJobs()
	var cursor uint64
	for {
		keys, next, err := client.Scan(ctx, cursor, queueBase+"*", page).Result()
		if err != nil {
			return err
		}
		var ids []string
		for _, key := range keys {
			id := strings.TrimPrefix(key, queueBase)
			if locked, isLock := strings.CutSuffix(id, ":lock"); isLock {
				c.locks = append(c.locks, locked)
			} else if !others[id] && !strings.Contains(id, ":") {
				ids = append(ids, id)
			}
		}
		if err := c.readJobs(ctx, client, ids); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (c *contents) readJobs(ctx context.Context, client *redis.Client, ids []string) error {
	commands := make([]*redis.SliceCmd, len(ids))
	_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, id := range ids {
			commands[i] = pipe.HMGet(ctx, queueBase+id, "name", "failedReason", "returnvalue", "stc")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read jobs: %w", err)
	}
	for i, command := range commands {
		fields := command.Val()
		c.hashes[ids[i]] = fields[0] != nil
		if reason, ok := fields[1].(string); ok {
			c.reasons[ids[i]] = reason
		}
		if crashes, ok := fields[3].(string); ok {
			c.crashes[ids[i]] = crashes
		}
		if result, ok := fields[2].(string); ok {
			c.results[ids[i]] = result
		}
	}
	return nil
}

// unfinished counts the jobs that are neither completed nor failed.
func unfinished(ctx context.Context, client *redis.Client) (int64, error) {
	var sum int64
	for _, list := range lists() {
		n, err := client.LLen(ctx, queueBase+list).Result()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	for _, set := range []string{"prioritized", "delayed", "waiting-children"} {
		n, err := client.ZCard(ctx, queueBase+set).Result()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
