package keydump

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// Dump is the text of each key: its type, whether it has a TTL, its content.
type Dump map[string][]string

// raw is what Redis has under one key.
type raw struct {
	kind string
	ttl  bool
	text string
	list []string
	hash map[string]string
	zset []redis.Z
	log  []redis.XMessage
}

// Take reads all keys that begin with the prefix, for instance "bull:mail:".
// Nobody should write to them meanwhile.
func Take(ctx context.Context, client redis.Cmdable, prefix string) (Dump, error) {
	keys, err := scan(ctx, client, prefix)
	if err != nil {
		return nil, fmt.Errorf("dump %s: %w", prefix, err)
	}
	raws := map[string]raw{}
	for _, key := range keys {
		value, err := read(ctx, client, key)
		if err != nil {
			return nil, fmt.Errorf("dump %s: %w", key, err)
		}
		if value.kind != "none" {
			raws[key] = value
		}
	}
	return normalise(raws), nil
}

func scan(ctx context.Context, client redis.Cmdable, prefix string) ([]string, error) {
	var keys []string
	pattern := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(prefix) + "*"
	each := client.Scan(ctx, 0, pattern, 1000).Iterator()
	for each.Next(ctx) {
		keys = append(keys, each.Val())
	}
	slices.Sort(keys)
	return slices.Compact(keys), each.Err()
}

func read(ctx context.Context, client redis.Cmdable, key string) (raw, error) {
	var value raw
	var err error
	if value.kind, err = client.Type(ctx, key).Result(); err != nil {
		return raw{}, err
	}
	ttl, err := client.PTTL(ctx, key).Result()
	if err != nil {
		return raw{}, err
	}
	value.ttl = ttl >= 0
	switch value.kind {
	case "string":
		value.text, err = client.Get(ctx, key).Result()
	case "list":
		value.list, err = client.LRange(ctx, key, 0, -1).Result()
	case "set":
		value.list, err = client.SMembers(ctx, key).Result()
	case "hash":
		value.hash, err = client.HGetAll(ctx, key).Result()
	case "zset":
		value.zset, err = client.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "stream":
		value.log, err = client.XRange(ctx, key, "-", "+").Result()
	}
	return value, err
}

// Without returns the dump without the keys whose names end in one of the
// suffixes, for what two runs need not have in common.
func (d Dump) Without(suffixes ...string) Dump {
	kept := maps.Clone(d)
	maps.DeleteFunc(kept, func(key string, _ []string) bool {
		return slices.ContainsFunc(suffixes, func(suffix string) bool { return strings.HasSuffix(key, suffix) })
	})
	return kept
}

// Diff returns what differs, want marked with a minus, or "".
func Diff(want, got Dump) string { return cmp.Diff(want, got) }
