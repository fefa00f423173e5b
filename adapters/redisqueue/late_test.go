package redisqueue_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// lateLease is a lease that a test can outlast.
const lateLease = 400 * time.Millisecond

// lateReply returns a consumer of a queue with one job, whose next script call
// is answered after d.
func lateReply(t *testing.T, d time.Duration) (*redistest.Server, ports.Consumer) {
	t.Helper()
	server := redistest.Start(t)
	p := proxy.Start(t, server.Addr)
	backend := open(t, server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })
	enqueueOne(t, backend)
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: lateLease})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	// The scripts are there: the next call is carried out at once.
	leases, err := c.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatalf("Reserve = %v, want a lease", err)
	}
	settle(t, c, leases[0])
	enqueueOne(t, backend)
	delayScript(p, d)
	return server, c
}

// delayScript keeps the reply to the next script call back for d.
func delayScript(p *proxy.Proxy, d time.Duration) {
	late := false
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if late || !bytes.Contains(e.Request[:min(len(e.Request), 64)], []byte("eval")) {
			return proxy.Verdict{}
		}
		late = true
		return proxy.Verdict{Delay: d}
	})
}

func settle(t *testing.T, c ports.Consumer, lease domain.Lease) {
	t.Helper()
	reply, err := c.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 0)
	if err != nil || reply.Statuses[0] != domain.Settled {
		t.Fatalf("Settle = %v, %v, want it settled", reply.Statuses, err)
	}
}

func TestALeaseCountsFromWhenItWasAskedFor(t *testing.T) {
	server, c := lateReply(t, lateLease/4)
	leases, err := c.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatalf("Reserve = %v, want a lease", err)
	}
	left := server.Client().PTTL(t.Context(), "bull:mail:2:lock").Val()
	if got := leases[0].For; got > left+50*time.Millisecond || got <= 0 {
		t.Errorf("For = %s when the reply was a quarter of a lease under way and the lock lasts %s, want no more than that", got, left)
	}
}

func TestAJobWhoseLeaseRanOutOnTheWayIsNotHandedOut(t *testing.T) {
	_, c := lateReply(t, lateLease+100*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 2*lateLease)
	defer cancel()
	if leases, err := c.Reserve(ctx, 1); len(leases) > 0 {
		t.Fatalf("Reserve = job %s with a lease of %s, %v; its lease had run out", leases[0].Job.ID, leases[0].For, err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		recovered, err := c.Recover(t.Context())
		if err != nil {
			t.Fatalf("Recover = %v, want no error", err)
		}
		if len(recovered) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the job is not recovered")
		}
	}
	leases, err := c.Reserve(t.Context(), 1)
	if err != nil || len(leases) != 1 || leases[0].Job.Crashes != 1 {
		t.Fatalf("Reserve = %v, %v, want the job after one crash", leases, err)
	}
	settle(t, c, leases[0])
}

func TestALateAnswerForgetsNothingOfOtherJobs(t *testing.T) {
	server := redistest.Start(t)
	p := proxy.Start(t, server.Addr)
	backend := open(t, server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })
	job := domain.NewJob{Queue: "mail", Name: "send", Options: domain.JobOptions{KeepCompleted: domain.KeepNone()}}
	if _, err := backend.Enqueue(t.Context(), job, job); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: lateLease})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	first := reserve(t, c, 1)
	if err := server.Client().PExpire(t.Context(), "bull:mail:1:lock", time.Minute).Err(); err != nil {
		t.Fatalf("PEXPIRE = %v, want no error", err)
	}
	delayScript(p, lateLease+100*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 2*lateLease)
	defer cancel()
	if leases, err := c.Reserve(ctx, 1); len(leases) > 0 {
		t.Fatalf("Reserve = %d leases, %v, want none that lasts", len(leases), err)
	}
	settle(t, c, first[0])
	if n := server.Client().Exists(t.Context(), "bull:mail:1").Val(); n != 0 {
		t.Error("the job is kept once completed, want its own retention: none")
	}
}

// TestALeaseThatIsMostlyOverIsRenewedOnTheWay leaves whoever gets it the time to
// renew it: a keeper looks three times in a lease.
func TestALeaseThatIsMostlyOverIsRenewedOnTheWay(t *testing.T) {
	_, c := lateReply(t, lateLease*3/4)
	leases, err := c.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatalf("Reserve = %v, want a lease", err)
	}
	if got := leases[0].For; got < lateLease/2 {
		t.Errorf("For = %s of %s, want half of it at least", got, lateLease)
	}
	settle(t, c, leases[0])
}
