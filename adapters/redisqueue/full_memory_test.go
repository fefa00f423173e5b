package redisqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// fillMemory makes the server refuse whatever would need more memory.
func (r *rawQueue) fillMemory() {
	r.Helper()
	r.do("CONFIG SET maxmemory 100kb")
	if err := r.rdb.Set(r.Context(), "more", "x", 0).Err(); err == nil {
		r.Fatal("SET under a full memory = no error, want it refused")
	}
}

func TestLeasesLastWhileTheMemoryOfRedisIsFull(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{})
	lease := reserve(t, c, 1)[0]
	r.do("PEXPIRE bull:q:1:lock 10000")
	r.fillMemory()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	lost, err := c.Extend(ctx, []domain.LeaseRef{lease.Ref()})
	if err != nil || len(lost) > 0 {
		t.Fatalf("Extend = %v, %v, want nothing lost", lost, err)
	}
	if left := r.rdb.PTTL(t.Context(), "bull:q:1:lock").Val(); left < 20*time.Second {
		t.Errorf("the lock lasts %s after Extend, want about 30s", left)
	}
}

func TestDueJobsAreWorkedWhileTheMemoryOfRedisIsFull(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{ID: "plain"})
	r.add(domain.JobOptions{ID: "due", Delay: time.Millisecond})
	r.do("ZADD bull:q:delayed 4096 due")
	r.do("HDEL bull:q:meta opts.maxLenEvents")
	r.fillMemory()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		leases, err := c.Reserve(ctx, 1)
		cancel()
		if err != nil {
			t.Fatalf("Reserve = %v, want a job", err)
		}
		settle(t, c, leases[0])
	}
}

func TestStalledJobsComeBackWhileTheMemoryOfRedisIsFull(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) { c.StalledInterval = time.Millisecond })
	c := r.consumer()
	r.add(domain.JobOptions{})
	reserve(t, c, 1)
	r.do("DEL bull:q:1:lock", "SADD bull:q:stalled 1")
	r.fillMemory()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if recovered, err := c.Recover(ctx); err != nil || len(recovered) != 1 {
		t.Fatalf("Recover = %v, %v, want the job", recovered, err)
	}
}

func TestLogLinesAreNotLostWhileTheMemoryOfRedisIsFull(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{})
	note := []domain.Note{{Lease: reserve(t, c, 1)[0].Ref(), Log: []string{"said"}}}
	r.fillMemory()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Annotate(ctx, note); err == nil {
		t.Error("Annotate under a full memory = no error, want that it waits")
	}
	r.do("CONFIG SET maxmemory 0")
	if lost, err := c.Annotate(t.Context(), note); err != nil || len(lost) > 0 {
		t.Errorf("Annotate = %v, %v, want it written", lost, err)
	}
	r.wantList("bull:q:1:logs", "said")
}

// When the memory is full, that is when jobs are to be removed and queues to be
// paused.
func TestQueuesAreOperatedWhileTheMemoryOfRedisIsFull(t *testing.T) {
	r := newRawQueue(t, nil)
	// Its run stays, in the midst of those that go.
	r.add(domain.JobOptions{ID: "a"})
	r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Hour})
	r.add(domain.JobOptions{ID: "b"})
	r.do("HSET bull:q:f name n timestamp 1", "ZADD bull:q:failed 1 f")
	run := r.rdb.LIndex(t.Context(), "bull:q:wait", 1).Val()
	r.fillMemory()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, op := range []domain.Operation{{Kind: domain.OpPause}, {Kind: domain.OpDrain}, {Kind: domain.OpRetry}, {Kind: domain.OpResume}} {
		if _, err := r.backend.Apply(ctx, "q", op); err != nil {
			t.Errorf("Apply(%s) = %v, want no error", op.Kind, err)
		}
	}
	r.wantList("bull:q:wait", "f", run)
	if _, err := r.backend.Apply(ctx, "q", domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{"f", "gone"}}); err != nil {
		t.Errorf("Apply(remove) = %v, want no error", err)
	}
	r.wantKey("bull:q:f", false)
}
