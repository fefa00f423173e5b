package differential_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// lastEvents are the ids of the last events of the queues, by side.
type lastEvents [2]map[string]string

func (w *world) lastEvents(ctx context.Context) (lastEvents, error) {
	var last lastEvents
	for side, client := range w.redis {
		last[side] = map[string]string{}
		for _, queue := range queues() {
			entries, err := client.XRevRangeN(ctx, "bull:"+queue+":events", "+", "-", 1).Result()
			if err != nil {
				return last, fmt.Errorf("read events: %w", err)
			}
			last[side][queue] = "-"
			if len(entries) > 0 {
				last[side][queue] = "(" + entries[0].ID
			}
		}
	}
	return last, nil
}

// retell takes the events of removed jobs out of the queues into the answers,
// where their order does not matter: children come in any.
func (w *world) retell(ctx context.Context, before lastEvents, results []result) error {
	for _, queue := range queues() {
		key := "bull:" + queue + ":events"
		released, err := w.dropReleases(ctx, key, before[0][queue])
		if err != nil {
			return err
		}
		for side, client := range w.redis {
			told, err := takeRemovals(ctx, client, key, before[side][queue], released)
			if err != nil {
				return err
			}
			if results[side].OK, err = json.Marshal([]any{results[side].OK, told}); err != nil {
				return fmt.Errorf("retell: %w", err)
			}
		}
	}
	return nil
}

// dropReleases leaves out what Node tells of parents that it makes ready because
// their children are removed, and removes themselves in the same step. Ours
// removes them where they wait. It returns these parents.
func (w *world) dropReleases(ctx context.Context, key, from string) (map[any]bool, error) {
	entries, err := w.redis[0].XRange(ctx, key, from, "+").Result()
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	told, removed := map[any][]string{}, map[any]bool{}
	for _, entry := range entries {
		id := entry.Values["jobId"]
		switch {
		case entry.Values["prev"] == "waiting-children" && entry.Values["event"] == "waiting":
			told[id] = append(told[id], entry.ID)
		case entry.Values["event"] == "removed" && told[id] != nil:
			removed[id] = true
		}
	}
	for id := range removed {
		if err := w.redis[0].XDel(ctx, key, told[id]...).Err(); err != nil {
			return nil, fmt.Errorf("drop events: %w", err)
		}
	}
	return removed, nil
}

// takeRemovals takes the events of removed jobs out of a queue and returns them,
// without where released parents were.
func takeRemovals(ctx context.Context, client *redis.Client, key, from string, released map[any]bool) ([]string, error) {
	entries, err := client.XRange(ctx, key, from, "+").Result()
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	told := []string{}
	for _, entry := range entries {
		id := entry.Values["jobId"]
		if entry.Values["event"] != "removed" {
			continue
		}
		text := fmt.Sprint("removed ", id)
		if !released[id] {
			text += fmt.Sprint(" from ", entry.Values["prev"])
		}
		told = append(told, text)
		if err := client.XDel(ctx, key, entry.ID).Err(); err != nil {
			return nil, fmt.Errorf("drop events: %w", err)
		}
	}
	slices.Sort(told)
	return told, nil
}
