package redisqueue_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/torture/proxy"
)

// A retention that lets very many jobs go at once does not stop the server.
func TestAFinishPurgesAThousandJobsAtMost(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	const old = 1500
	for i := range old {
		r.do(fmt.Sprintf("HSET bull:q:old-%d name n", i), fmt.Sprintf("ZADD bull:q:completed 1 old-%d", i))
	}
	r.add(domain.JobOptions{KeepCompleted: domain.Retention{Limited: true, Age: time.Minute, PerFinish: 1e9}})
	consumer := r.consumer()
	settle(t, consumer, reserve(t, consumer, 1)[0])
	if left := r.rdb.ZCard(t.Context(), "bull:q:completed").Val(); left != old-1000+1 {
		t.Errorf("%d jobs are completed, want the %d that are left and the new one", left, old-1000)
	}
}

// Whatever others wrote as limits, jobs start, and those that start are leased.
func TestLimitsThatOthersWroteStopNoWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set string
		// starts is how many of three jobs may start.
		starts int
		// least and most bound how long the window lasts.
		least, most time.Duration
	}{
		"a window with a fraction":        {set: "HSET bull:q:meta max 2 duration 60000.5", starts: 2, least: 50 * time.Second, most: time.Minute},
		"a window without an end":         {set: "HSET bull:q:meta max 2 duration inf", starts: 2, least: 24 * time.Hour, most: math.MaxInt64},
		"a window beyond all times":       {set: "HSET bull:q:meta max 2 duration 1e20", starts: 2, least: 24 * time.Hour, most: math.MaxInt64},
		"a window that is no number":      {set: "HSET bull:q:meta max 3 duration nan", starts: 3, most: time.Second},
		"a window that is a word":         {set: "HSET bull:q:meta max 3 duration x", starts: 3, most: time.Second},
		"a window that is over":           {set: "HSET bull:q:meta max 3 duration -5", starts: 3, most: time.Second},
		"a rate of none":                  {set: "HSET bull:q:meta max 0 duration 60000", starts: 1, least: 50 * time.Second, most: time.Minute},
		"a rate below none":               {set: "HSET bull:q:meta max -3 duration 60000", starts: 1, least: 50 * time.Second, most: time.Minute},
		"a rate of a half":                {set: "HSET bull:q:meta max 0.5 duration 60000", starts: 1, least: 50 * time.Second, most: time.Minute},
		"a rate that is no number":        {set: "HSET bull:q:meta max nan duration 60000", starts: 3, most: time.Minute},
		"a rate without bound":            {set: "HSET bull:q:meta max inf duration 60000", starts: 3, least: 50 * time.Second, most: time.Minute},
		"a concurrency that is no number": {set: "HSET bull:q:meta concurrency nan", starts: 3},
		"a concurrency with a fraction":   {set: "HSET bull:q:meta concurrency 2.5", starts: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			for range 3 {
				r.add(domain.JobOptions{})
			}
			r.do(c.set)
			consumer := r.consumer()
			leases := reserve(t, consumer, 5)
			if len(leases) != c.starts {
				t.Errorf("%d jobs start, want %d", len(leases), c.starts)
			}
			if ttl := r.rdb.PTTL(t.Context(), "bull:q:limiter").Val(); ttl > c.most || (c.least > 0 && ttl < c.least) {
				t.Errorf("the window lasts %s, want it between %s and %s", ttl, c.least, c.most)
			}
			if n := r.rdb.LLen(t.Context(), "bull:q:active").Val(); int(n) != len(leases) {
				t.Errorf("%d jobs are active, want the %d that are leased", n, len(leases))
			}
			for _, lease := range leases {
				settle(t, consumer, lease)
			}
		})
	}
}

func TestACounterWithAFractionStopsNoWork(t *testing.T) {
	r := newRawQueue(t, nil)
	for range 3 {
		r.add(domain.JobOptions{})
	}
	r.do("HSET bull:q:meta max 2 duration 60000", "SET bull:q:limiter 1.5 PX 60000")
	if leases := reserve(t, r.consumer(), 5); len(leases) != 1 {
		t.Errorf("%d jobs start, want 1: one has started and a half", len(leases))
	}
}

func TestARateOfNoneLetsOneJobStartInAWindow(t *testing.T) {
	r := newRawQueue(t, nil)
	for range 2 {
		r.add(domain.JobOptions{})
	}
	r.do("HSET bull:q:meta max 0 duration 50")
	c := r.consumer()
	for range 2 {
		if leases := reserve(t, c, 5); len(leases) != 1 {
			t.Errorf("%d jobs start, want 1", len(leases))
		}
	}
}

// The jobs without a priority are taken before it shows that those with one are
// something else.
func TestReadyJobsStartThoughThePrioritizedAreSomethingElse(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{ID: "a"})
	r.add(domain.JobOptions{ID: "b"})
	defer r.spoil("bull:q:prioritized")()
	if leases := reserve(t, c, 5); len(leases) != 2 {
		t.Errorf("%d jobs start, want both", len(leases))
	}
	_, err := c.Settle(t.Context(), nil, 5)
	wantLoud(t, "Settle", err)
}

func TestNew_refusesLimitsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, limits := range []map[domain.QueueName]redisqueue.RateLimit{
		{"q": {Max: 1, Per: time.Microsecond}}, {"q": {Max: -1, Per: time.Second}}, {"q": {Max: 1}}, {"a:b": {Max: 1, Per: time.Second}},
	} {
		_, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: "127.0.0.1:1"}, Limits: limits})
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("New with limits %v = %v, want %v", limits, err, domain.ErrInvalid)
		}
	}
}

// A lock that is something else is nobody's: what the call leased beside it is
// handed out all the same.
func TestALostReplyIsRepeatedPastForeignLocks(t *testing.T) {
	r := newRawQueue(t, nil)
	p := proxy.Start(t, r.server.Addr)
	backend := open(t, r.server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "q", Lease: 30 * time.Second})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	r.add(domain.JobOptions{ID: "a"})
	r.add(domain.JobOptions{ID: "b"})
	r.do("RPUSH bull:q:active x y", "RPUSH bull:q:x:lock x", "HSET bull:q:y:lock x y")
	// The server learns the script: the call that loses its reply is carried out.
	if _, err := c.Settle(t.Context(), nil, 0); err != nil {
		t.Fatalf("Settle of nothing = %v, want no error", err)
	}
	loseOne(p)
	reply, err := c.Settle(t.Context(), nil, 5)
	if err != nil || len(reply.Leases) != 2 {
		t.Errorf("Settle = %d leases, %v, want both jobs", len(reply.Leases), err)
	}
	if n := p.Count(proxy.DropReply); n != 1 {
		t.Errorf("%d replies dropped, want 1", n)
	}
}
