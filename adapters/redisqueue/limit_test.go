package redisqueue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func (r *rawQueue) wantLimits(want domain.QueueLimits) {
	r.Helper()
	if got, err := r.backend.Limits(r.Context(), "q"); err != nil || got != want {
		r.Errorf("Limits = %+v, %v, want %+v", got, err, want)
	}
}

func TestLimitsThatOthersWroteAreRead(t *testing.T) {
	r := newRawQueue(t, nil)
	for _, c := range []struct {
		meta string
		want domain.QueueLimits
	}{
		{"concurrency 2.7 max 1e3 duration 1500.5", domain.QueueLimits{Concurrency: 2, Rate: domain.Rate{Max: 1000, Per: 1500 * time.Millisecond}}},
		{"concurrency 0 max -3 duration 0", domain.QueueLimits{Concurrency: -1, Rate: domain.Rate{Max: -1}}},
		{"concurrency many max x duration y", domain.QueueLimits{}},
		{"concurrency 1e300 max inf duration 1e300", domain.QueueLimits{
			Concurrency: domain.MaxConcurrency, Rate: domain.Rate{Max: domain.MaxConcurrency, Per: (1 << 43) * time.Millisecond},
		}},
		{"concurrency nan max nan duration nan", domain.QueueLimits{}},
	} {
		r.do("DEL bull:q:meta", "HSET bull:q:meta "+c.meta)
		r.wantLimits(c.want)
	}
}

func TestACounterThatIsNoneHoldsNothing(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("SET bull:q:limiter x PX 60000")
	r.wantLimits(domain.QueueLimits{})
	r.do("SET bull:q:limiter 9007199254740991")
	r.wantLimits(domain.QueueLimits{})
	queue, err := r.backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	if left, err := queue.RateLimitTTL(t.Context(), 1); err != nil || left != 0 {
		t.Errorf("RateLimitTTL = %s, %v, want 0: a counter without an end counts for nothing", left, err)
	}
	if _, err := queue.RateLimitTTL(t.Context(), -1); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("RateLimitTTL(-1) = %v, want %v", err, domain.ErrInvalid)
	}
}

func TestLimitsOfWrongTypesAreLoud(t *testing.T) {
	r := newRawQueue(t, nil)
	for _, key := range []string{"meta", "limiter", "active"} {
		mend := r.spoil("bull:q:" + key)
		_, err := r.backend.Limits(t.Context(), "q")
		wantLoud(t, "Limits", err)
		mend()
	}
	mend := r.spoil("bull:q:meta")
	wantLoud(t, "LimitConcurrency", r.backend.LimitConcurrency(t.Context(), "q", 1))
	wantLoud(t, "LimitRate", r.backend.LimitRate(t.Context(), "q", domain.Rate{Max: 1, Per: time.Second}))
	mend()
}

func TestALiftedLimitWakesAWorker(t *testing.T) {
	r := newRawQueue(t, nil)
	limit := func(n int) {
		t.Helper()
		if err := r.backend.LimitConcurrency(t.Context(), "q", n); err != nil {
			t.Fatal(err)
		}
		r.do("ZREM bull:q:marker 1")
	}
	c := r.consumer()
	limit(1)
	r.add(domain.JobOptions{})
	r.add(domain.JobOptions{})
	reserve(t, c, 1)
	r.do("DEL bull:q:marker")
	limit(1)
	r.wantKey("bull:q:marker", false)
	limit(2)
	r.wantKey("bull:q:marker", true)
	r.do("DEL bull:q:marker bull:q:wait")
	limit(0)
	r.wantKey("bull:q:marker", false)
}

func TestALimitIsSetOnceThoughItsReplyIsLost(t *testing.T) {
	backend, p, _ := unsteady(t)
	limit := func(n int) {
		t.Helper()
		if err := backend.LimitConcurrency(t.Context(), "q", n); err != nil {
			t.Fatalf("LimitConcurrency(%d) = %v, want no error", n, err)
		}
	}
	// The server learns the script: later calls are carried out at once.
	limit(1)
	loseOne(p)
	limit(2)
	p.Set(nil)
	if got, err := backend.Limits(t.Context(), "q"); err != nil || got.Concurrency != 2 {
		t.Errorf("Limits = %+v, %v, want a concurrency of 2", got, err)
	}
}

func TestBackendSetLimit_changesTheLimitOfThisWorker(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) {
		c.Limits = map[domain.QueueName]redisqueue.RateLimit{"q": {Max: 2, Per: time.Hour}}
	})
	for range 6 {
		r.add(domain.JobOptions{})
	}
	before, take := r.consumer(), func(want int) {
		t.Helper()
		c := r.consumer()
		if reply, err := c.Settle(t.Context(), nil, 5); err != nil || len(reply.Leases) != want {
			t.Errorf("a consumer that was opened now leased %d jobs, %v, want %d", len(reply.Leases), err, want)
		}
	}
	set := func(limit redisqueue.RateLimit) {
		t.Helper()
		if err := r.backend.SetLimit("q", limit); err != nil {
			t.Fatal(err)
		}
	}
	take(2)
	take(0)
	set(redisqueue.RateLimit{Max: 3, Per: time.Hour})
	reserve(t, before, 5)
	take(0)
	set(redisqueue.RateLimit{})
	take(3)
	if err := r.backend.SetLimit("a:b", redisqueue.RateLimit{}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("SetLimit(a:b) = %v, want %v", err, domain.ErrInvalid)
	}
	if err := r.backend.SetLimit("q", redisqueue.RateLimit{Max: 1}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("SetLimit without a window = %v, want %v", err, domain.ErrInvalid)
	}
}
