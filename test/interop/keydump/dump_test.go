package keydump_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/redistest"
)

// run writes what one worker might leave behind.
type run struct {
	at         int64
	uuid       string
	opts       string
	token      string
	attempts   string
	finishedAt float64
}

func (r run) write(t *testing.T, client *redis.Client) keydump.Dump {
	t.Helper()
	ctx := t.Context()
	job := "bull:mail:" + r.uuid
	run := "repeat:daily:" + time.UnixMilli(r.at).Format("0601021504050")
	for _, err := range []error{
		client.HSet(ctx, job, "name", "send", "data", "{}", "opts", r.opts, "timestamp", r.at, "atm", r.attempts, "pb", r.token).Err(),
		client.HSet(ctx, "bull:mail:meta", "version", "bullmq:"+r.token, "opts.maxLenEvents", 10000).Err(),
		client.Set(ctx, job+":lock", r.token, time.Minute).Err(),
		client.ZAdd(ctx, "bull:mail:completed", redis.Z{Score: r.finishedAt, Member: r.uuid}).Err(),
		client.ZAdd(ctx, "bull:mail:prioritized", redis.Z{Score: 2<<32 + 1, Member: "p"}).Err(),
		client.ZAdd(ctx, "bull:mail:delayed", redis.Z{Score: float64(r.at) * 4096, Member: run}).Err(),
		client.XAdd(ctx, &redis.XAddArgs{Stream: "bull:mail:events", Values: []any{"event", "completed", "jobId", r.uuid, "returnvalue", `{"b":1,"a":2}`}}).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return take(t, client)
}

func take(t *testing.T, client *redis.Client) keydump.Dump {
	t.Helper()
	dump, err := keydump.Take(context.Background(), client, "bull:mail:")
	if err != nil {
		t.Fatal(err)
	}
	return dump
}

var oneRun = run{
	at: 1_700_000_000_000, uuid: "0b6c4ff0-5f0e-4a0e-9d52-111111111111", token: "t1",
	opts: `{"attempts":3,"backoff":{"type":"fixed","delay":10}}`, attempts: "1", finishedAt: 1_700_000_000_500,
}

func TestTake_IsTheSameForRunsThatDifferInTimesAndNames(t *testing.T) {
	server := redistest.Start(t)
	other := oneRun
	other.at, other.finishedAt, other.token = 1_800_000_000_000, 1_800_000_000_900, "t2"
	other.uuid = "0b6c4ff0-5f0e-4a0e-9d52-222222222222"
	other.opts = `{"backoff":{"delay":10,"type":"fixed"}, "attempts":3}`

	if diff := keydump.Diff(oneRun.write(t, server.ClientOf(0)), other.write(t, server.ClientOf(1))); diff != "" {
		t.Errorf("dumps differ:\n%s", diff)
	}
}

func TestTake_ShowsWhatAProgramCouldTellApart(t *testing.T) {
	server := redistest.Start(t)
	client := server.ClientOf(1)
	want := oneRun.write(t, server.ClientOf(0))
	job := "bull:mail:" + oneRun.uuid
	for name, change := range map[string]func(ctx context.Context) error{
		"a lock without a TTL":      func(ctx context.Context) error { return client.Persist(ctx, job+":lock").Err() },
		"another count of attempts": func(ctx context.Context) error { return client.HSet(ctx, job, "atm", 2).Err() },
		"a missing field":           func(ctx context.Context) error { return client.HDel(ctx, job, "timestamp").Err() },
		"another score of priority": func(ctx context.Context) error { return client.ZIncrBy(ctx, "bull:mail:prioritized", 1, "p").Err() },
		"a further key":             func(ctx context.Context) error { return client.Set(ctx, "bull:mail:pc", 1, 0).Err() },
		"another option":            func(ctx context.Context) error { return client.HSet(ctx, job, "opts", `{"attempts":4}`).Err() },
		"a further event": func(ctx context.Context) error {
			return client.XAdd(ctx, &redis.XAddArgs{Stream: "bull:mail:events", Values: []any{"event", "drained"}}).Err()
		},
		"a list instead of a string": func(ctx context.Context) error { return client.RPush(ctx, "bull:mail:wait", "x").Err() },
	} {
		if err := client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if diff := keydump.Diff(want, oneRun.write(t, client)); diff != "" {
			t.Fatalf("dumps of equal runs differ:\n%s", diff)
		}
		if err := change(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keydump.Diff(want, take(t, client)) == "" {
			t.Errorf("%s is not seen", name)
		}
	}
}

func TestDump_WithoutLeavesKeysOut(t *testing.T) {
	dump := oneRun.write(t, redistest.Start(t).Client()).Without(":events", ":lock")
	for key := range dump {
		if strings.HasSuffix(key, ":events") || strings.HasSuffix(key, ":lock") {
			t.Errorf("key %s is still there", key)
		}
	}
}
