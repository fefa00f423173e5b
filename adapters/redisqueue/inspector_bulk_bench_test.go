package redisqueue_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// benchFlow is how many jobs a flow has, its root included.
const benchFlow = 500

// fillMany puts n jobs into a list or set, or nowhere, a few thousand a call; or
// makes flows of them, whose children are completed.
//
//nolint:dupword // Lua
const fillMany = `
local place, from, to, flow = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for i = from, to do
  local id = 'j' .. i
  redis.call('HSET', 'bull:q:' .. id, 'name', 'n', 'data', '{"a":1}', 'opts', '{"attempts":1}', 'timestamp', 1, 'delay', 0, 'priority', 0)
  local root = 'j' .. i - (i - 1) % flow
  if place == 'flows' and root == id then
    redis.call('RPUSH', 'bull:q:wait', id)
  elseif place == 'flows' then
    redis.call('HSET', 'bull:q:' .. id, 'parentKey', 'bull:q:' .. root, 'parent', '{}')
    redis.call('HSET', 'bull:q:' .. root .. ':processed', 'bull:q:' .. id, '1')
    redis.call('ZADD', 'bull:q:completed', i, id)
  elseif place == 'wait' then
    redis.call('LPUSH', 'bull:q:wait', id)
  elseif place ~= '' then
    redis.call('ZADD', 'bull:q:' .. place, 4096 * i, id)
  end
end`

// benchJobs is how many jobs the operations are measured on: a million, or
// what TAKT_BENCH_JOBS says.
func benchJobs(b *testing.B) int {
	b.Helper()
	text := os.Getenv("TAKT_BENCH_JOBS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// longestPing sends PING after PING until the context ends, and returns how
// long the slowest took.
func longestPing(ctx context.Context, rdb *redis.Client) <-chan time.Duration {
	longest := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for ctx.Err() == nil {
			sent := time.Now()
			if rdb.Ping(context.WithoutCancel(ctx)).Err() != nil {
				break
			}
			most = max(most, time.Since(sent))
		}
		longest <- most
	}()
	return longest
}

// bulkCase is an operation on all jobs of a place.
type bulkCase struct {
	name, place string
	apply       func(ctx context.Context, r *rawQueue) (int, error)
}

// measure carries the operation out once on so many jobs, which are made while
// the clock stands still.
func (c *bulkCase) measure(b *testing.B, r *rawQueue, jobs int) {
	b.Helper()
	b.StopTimer()
	for from := 1; from <= jobs; from += 5000 {
		err := r.rdb.Eval(b.Context(), fillMany, []string{"bull:q:meta"}, c.place, from, min(from+4999, jobs), benchFlow).Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			b.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(b.Context())
	longest := longestPing(ctx, r.rdb)
	b.StartTimer()
	n, err := c.apply(b.Context(), r)
	b.StopTimer()
	stop()
	b.ReportMetric(float64(<-longest)/float64(time.Millisecond), "longest-ping-ms")
	if err != nil || n != jobs {
		b.Fatalf("%s = %d, %v, want %d", c.name, n, err, jobs)
	}
	if err := r.rdb.FlushDB(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// BenchmarkBulk measures how long operations on a million jobs keep the server
// from answering anybody else.
func BenchmarkBulk(b *testing.B) {
	for _, c := range []bulkCase{
		{"clean", "completed", func(ctx context.Context, r *rawQueue) (int, error) {
			return r.handle().Clean(ctx, redisqueue.CleanOptions{State: domain.StateCompleted})
		}},
		{"drain", "wait", func(ctx context.Context, r *rawQueue) (int, error) {
			return r.handle().Drain(ctx, redisqueue.DrainOptions{})
		}},
		{"retry", "failed", func(ctx context.Context, r *rawQueue) (int, error) {
			return r.handle().RetryAll(ctx, redisqueue.RetryAllOptions{})
		}},
		{"promote", "delayed", func(ctx context.Context, r *rawQueue) (int, error) {
			return r.handle().PromoteAll(ctx, redisqueue.Bulk{})
		}},
		{"orphans", "", func(ctx context.Context, r *rawQueue) (int, error) {
			return r.handle().RemoveOrphans(ctx, redisqueue.Bulk{})
		}},
		{"remove", "flows", func(ctx context.Context, r *rawQueue) (int, error) {
			var roots []domain.JobID
			for i := 1; i <= benchJobs(b); i += benchFlow {
				roots = append(roots, domain.JobID("j"+strconv.Itoa(i)))
			}
			ids, err := r.backend.Apply(ctx, "q", domain.Operation{Kind: domain.OpRemove, IDs: roots})
			return len(ids) * benchFlow, err
		}},
		{"obliterate", "wait", func(ctx context.Context, r *rawQueue) (int, error) {
			if err := r.handle().Pause(ctx); err != nil {
				return 0, err
			}
			return r.handle().Obliterate(ctx, redisqueue.ObliterateOptions{})
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			jobs, r := benchJobs(b), newRawQueue(b, nil)
			for b.Loop() {
				c.measure(b, r, jobs)
			}
		})
	}
}
