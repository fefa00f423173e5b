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

// harness plays cases beside one another, for most of them wait most of the time.
// open opens a backend with a prefix of its own.
func harness(open func(t testing.TB, change func(*redisqueue.Config)) *redisqueue.Backend) porttest.QueueHarness {
	return porttest.QueueHarness{
		Features: porttest.QueueFeatures{
			FIFO: true, QuarantineOnReserve: true, RecoverRounds: 3,
			Precision: 50 * time.Millisecond, Lease: 400 * time.Millisecond, Unit: 250 * time.Millisecond,
		},
		Advance: func(d time.Duration) { <-time.After(d) },
		Open: func(t testing.TB, limits porttest.QueueLimits) porttest.QueueBackend {
			t.Helper()
			backend := open(t, func(c *redisqueue.Config) { c.MaxPayload = limits.MaxPayload })
			if err := backend.Await(t.Context()); err != nil {
				t.Fatalf("Await = %v, want no error", err)
			}
			return porttest.QueueBackend{Enqueuer: backend, OpenConsumer: backend.OpenConsumer, Inspector: backend, Limiter: backend}
		},
		Run: func(t *testing.T, test func(*testing.T)) {
			t.Helper()
			t.Parallel()
			test(t)
		},
	}
}

func TestQueueConforms(t *testing.T) {
	t.Parallel()
	porttest.Queue(t, guardedHarness(t))
}

func TestInspectorConforms(t *testing.T) {
	t.Parallel()
	porttest.Inspector(t, guardedHarness(t))
}

func TestLimiterConforms(t *testing.T) {
	t.Parallel()
	porttest.Limiter(t, guardedHarness(t))
}

var _ ports.Inspector = (*redisqueue.Backend)(nil)
