package differential_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// dump is what a database holds: each key's lines, made comparable.
type dump map[string][]string

// entry is one key as it is read.
type entry struct {
	key   string
	kind  *redis.StatusCmd
	ttl   *redis.DurationCmd
	value redis.Cmder
}

// takeDump reads all keys of BullMQ's.
func takeDump(ctx context.Context, client *redis.Client, n normaliser) (dump, error) {
	keys, err := client.Keys(ctx, "bull:*").Result()
	if err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	slices.Sort(keys)
	entries := make([]entry, len(keys))
	pipe := client.Pipeline()
	for i, key := range keys {
		entries[i] = entry{key: key, kind: pipe.Type(ctx, key), ttl: pipe.PTTL(ctx, key)}
	}
	if _, err := pipe.Exec(ctx); err != nil && len(keys) > 0 {
		return nil, fmt.Errorf("dump: %w", err)
	}
	for i := range entries {
		entries[i].value = readKey(ctx, pipe, entries[i].kind.Val(), keys[i])
	}
	if _, err := pipe.Exec(ctx); err != nil && len(keys) > 0 {
		return nil, fmt.Errorf("dump: %w", err)
	}
	out := dump{}
	for i := range entries {
		out[freshName(out, n.text(keys[i]))] = n.lines(&entries[i])
	}
	return out, nil
}

// freshName numbers the keys that differ in their times alone, runs of one
// scheduler in one hour, in the order of these times.
func freshName(taken dump, name string) string {
	fresh := name
	for i := 2; taken[fresh] != nil; i++ {
		fresh = fmt.Sprintf("%s (%d)", name, i)
	}
	return fresh
}

func readKey(ctx context.Context, pipe redis.Pipeliner, kind, key string) redis.Cmder {
	switch kind {
	case "string":
		return pipe.Get(ctx, key)
	case "list":
		return pipe.LRange(ctx, key, 0, -1)
	case "set":
		return pipe.SMembers(ctx, key)
	case "hash":
		return pipe.HGetAll(ctx, key)
	case "zset":
		return pipe.ZRangeWithScores(ctx, key, 0, -1)
	case "stream":
		// As it comes: a map would lose the order of the fields.
		return pipe.Do(ctx, "XRANGE", key, "-", "+")
	}
	return pipe.Exists(ctx, key)
}

// diff returns the first keys that differ, Node's lines marked with a minus.
func (d dump) diff(ours dump) string {
	const most = 4
	var out strings.Builder
	found := 0
	for _, key := range sortedKeys(d, ours) {
		if slices.Equal(d[key], ours[key]) {
			continue
		}
		if found++; found > most {
			out.WriteString("... and more\n")
			break
		}
		fmt.Fprintf(&out, "%s\n", key)
		writeLines(&out, d[key], ours[key])
	}
	return out.String()
}

var eventJob = regexp.MustCompile(` jobId=\S+`)

// sortEvents puts together the events of each job, in their order.
func (d dump) sortEvents() {
	for _, queue := range queues() {
		lines := d["bull:"+queue+":events"]
		slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(eventJob.FindString(a), eventJob.FindString(b)) })
	}
}

func sortedKeys(a, b dump) []string {
	var keys []string
	for key := range a {
		keys = append(keys, key)
	}
	for key := range b {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// writeLines writes both texts without what they have in common at their
// beginnings and ends.
func writeLines(out *strings.Builder, node, ours []string) {
	head := 0
	for head < min(len(node), len(ours)) && node[head] == ours[head] {
		head++
	}
	tail := 0
	for tail < min(len(node), len(ours))-head && node[len(node)-1-tail] == ours[len(ours)-1-tail] {
		tail++
	}
	if head > 0 {
		fmt.Fprintf(out, "    %d equal lines, the last: %s\n", head, node[head-1])
	}
	for _, line := range node[head : len(node)-tail] {
		fmt.Fprintf(out, "  - %s\n", line)
	}
	for _, line := range ours[head : len(ours)-tail] {
		fmt.Fprintf(out, "  + %s\n", line)
	}
}

// hoursOf rounds to whole hours.
func hoursOf(d time.Duration) int64 { return int64((d + 30*time.Minute) / time.Hour) }
