package redisqueue_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/test/redistest"
)

// open returns a backend of the server's database 0, closed with the test.
func open(t testing.TB, server *redistest.Server, change func(*redisqueue.Config)) *redisqueue.Backend {
	t.Helper()
	config := redisqueue.Config{
		Connection: redisqueue.Connection{Addr: server.Addr},
		// A scan is guarded for less than a lease of the suites.
		StalledInterval: 50 * time.Millisecond,
	}
	if change != nil {
		change(&config)
	}
	backend, err := redisqueue.New(config)
	if err != nil {
		t.Fatalf("New = %v, want a backend", err)
	}
	t.Cleanup(func() {
		if err := backend.Close(); err != nil {
			t.Errorf("Close = %v, want no error", err)
		}
	})
	return backend
}

//nolint:unused // for the suites, which come with the inspector
func harness(server *redistest.Server) porttest.QueueHarness {
	return porttest.QueueHarness{
		Features: porttest.QueueFeatures{
			FIFO: true, QuarantineOnReserve: true, RecoverRounds: 3,
			Precision: 50 * time.Millisecond, Lease: 400 * time.Millisecond, Unit: 250 * time.Millisecond,
		},
		Advance: func(d time.Duration) { <-time.After(d) },
		Open: func(t testing.TB, limits porttest.QueueLimits) porttest.QueueBackend {
			if err := server.Client().FlushDB(t.Context()).Err(); err != nil {
				t.Fatalf("FLUSHDB = %v, want no error", err)
			}
			backend := open(t, server, func(c *redisqueue.Config) { c.MaxPayload = limits.MaxPayload })
			return porttest.QueueBackend{Enqueuer: backend, OpenConsumer: backend.OpenConsumer}
		},
	}
}

func TestJobsPassThrough(t *testing.T) {
	backend := open(t, redistest.Start(t), nil)
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	jobs := make([]domain.NewJob, 120)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: "mail", Name: "send"}
	}
	if _, err := backend.Enqueue(t.Context(), jobs...); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	leases, err := c.Reserve(t.Context(), 50)
	for done := 0; done < len(jobs); done += len(leases) {
		if err != nil {
			t.Fatalf("after %d jobs: %v, want the next", done, err)
		}
		var settlements []domain.Settlement
		for i := range leases {
			settlements = append(settlements, domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}})
		}
		var reply domain.SettleReply
		if reply, err = c.Settle(t.Context(), settlements, 50); len(reply.Leases) > 0 {
			leases = reply.Leases
		}
	}
}
