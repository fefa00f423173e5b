package redisqueue_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
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
			return porttest.QueueBackend{Enqueuer: backend, OpenConsumer: backend.OpenConsumer, Inspector: backend, Limiter: backend}
		},
	}
}

func TestQueueConforms(t *testing.T) {
	t.Parallel()
	porttest.Queue(t, harness(redistest.Start(t)))
}

func TestInspectorConforms(t *testing.T) {
	t.Parallel()
	porttest.Inspector(t, harness(redistest.Start(t)))
}

func TestLimiterConforms(t *testing.T) {
	t.Parallel()
	porttest.Limiter(t, harness(redistest.Start(t)))
}

var _ ports.Inspector = (*redisqueue.Backend)(nil)
