package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/torture/proxy"
)

// losing returns a consumer of the queue "mail" behind a proxy.
func losing(t *testing.T, jobs int) (ports.Consumer, *proxy.Proxy) {
	t.Helper()
	backend, p, _ := unsteady(t)
	for i := range jobs {
		job := domain.NewJob{Queue: "mail", Name: "send", Options: domain.JobOptions{Attempts: i + 1}}
		if _, err := backend.Enqueue(t.Context(), job); err != nil {
			t.Fatalf("Enqueue = %v, want no error", err)
		}
	}
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	// The server learns the script: later calls are carried out at once.
	leases := reserve(t, c, 1)
	_, err = c.Settle(t.Context(), []domain.Settlement{{Lease: leases[0].Ref(), Outcome: domain.Outcome{Kind: domain.Returned}}}, 0)
	if err != nil {
		t.Fatalf("Settle = %v, want no error", err)
	}
	return c, p
}

// reserveInVain calls Reserve while all replies are lost, until ctx ends.
func reserveInVain(t *testing.T, c ports.Consumer, p *proxy.Proxy, limit int) {
	t.Helper()
	p.Set(proxy.All(proxy.Verdict{Kind: proxy.DropReply}))
	defer p.Set(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if leases, err := c.Reserve(ctx, limit); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Reserve without replies = %d leases, %v, want the end of its context", len(leases), err)
	}
}

func TestJobsOfCallsThatWereGivenUpComeBack(t *testing.T) {
	c, p := losing(t, 1)
	for range 3 {
		reserveInVain(t, c, p, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	leases, err := c.Reserve(ctx, 1)
	if err != nil {
		t.Fatalf("Reserve = %v, want the job that nobody got", err)
	}
	if leases[0].Job.Crashes != 0 {
		t.Errorf("Crashes = %d, want none", leases[0].Job.Crashes)
	}
	settle(t, c, leases[0])
}

func TestJobsThatNobodyGotComeBackBesideOtherCalls(t *testing.T) {
	const jobs = 200
	c, p := losing(t, jobs)
	reserveInVain(t, c, p, 50)
	var wg sync.WaitGroup
	got := make(chan domain.Lease, jobs)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 4 {
		wg.Go(func() {
			leases, err := c.Reserve(ctx, 50)
			if err != nil {
				t.Errorf("Reserve = %v, want jobs", err)
			}
			for i := range leases {
				got <- leases[i]
			}
		})
	}
	wg.Wait()
	close(got)
	seen := map[string]bool{}
	for lease := range got {
		if key := fmt.Sprint(lease.Job.ID); seen[key] {
			t.Errorf("job %s was leased twice", key)
		} else {
			seen[key] = true
		}
	}
}

func TestClosingIsQuickHoweverManyQueuesOweJobs(t *testing.T) {
	backend, p, _ := unsteady(t)
	for _, queue := range []domain.QueueName{"a", "b", "c", "d", "e"} {
		c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: queue, Worker: "w", Lease: time.Minute})
		if err != nil {
			t.Fatalf("OpenConsumer = %v, want a consumer", err)
		}
		reserveInVain(t, c, p, 1)
	}
	p.Set(proxy.All(proxy.Verdict{Kind: proxy.DropReply}))
	began := time.Now()
	if err := backend.Close(); err != nil {
		t.Errorf("Close = %v, want no error", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %s while the server did not answer, want about a second", took)
	}
}

func TestClosingGivesBackTheJobsThatNobodyGot(t *testing.T) {
	backend, p, said := unsteady(t)
	enqueueOne(t, backend)
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	lease := reserve(t, c, 1)[0]
	settle(t, c, lease)
	enqueueOne(t, backend)
	reserveInVain(t, c, p, 1)
	if err := backend.Close(); err != nil {
		t.Errorf("Close = %v, want no error", err)
	}
	after := openAt(t, p.Addr)
	counts, err := after.Counts(t.Context(), "mail")
	if err != nil || counts[0].Jobs[domain.StateActive] != 0 || counts[0].Jobs[domain.StateWait] != 1 {
		t.Errorf("Counts = %v, %v, want one job that waits; log: %s", counts, err, said.text.String())
	}
}

func openAt(t *testing.T, addr string) *redisqueue.Backend {
	t.Helper()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: addr}})
	if err != nil {
		t.Fatalf("New = %v, want a backend", err)
	}
	t.Cleanup(func() { _ = backend.Close() })
	return backend
}
