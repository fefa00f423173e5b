package inmemqueue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/ports/porttest"
)

func queueHarness() porttest.QueueHarness {
	return porttest.QueueHarness{
		Features: porttest.QueueFeatures{
			FIFO: true, Bounded: true, CrashOrder: true,
			Precision: time.Millisecond, Lease: 10 * time.Second, Unit: time.Second,
		},
		Open: func(t testing.TB, limits porttest.QueueLimits) porttest.QueueBackend {
			backend := inmemqueue.New(inmemqueue.Config{
				MaxJobs: limits.MaxJobs, MaxBytes: limits.MaxBytes, MaxPayload: limits.MaxPayload,
			})
			t.Cleanup(func() {
				if err := backend.Close(); err != nil {
					t.Errorf("Close() = %v, want no error", err)
				}
			})
			return porttest.QueueBackend{Enqueuer: backend, OpenConsumer: backend.OpenConsumer, Inspector: backend, Limiter: backend}
		},
		Advance: time.Sleep,
		Run:     synctest.Test,
	}
}

func TestQueueConforms(t *testing.T) { porttest.Queue(t, queueHarness()) }

func TestInspectorConforms(t *testing.T) { porttest.Inspector(t, queueHarness()) }

func TestLimiterConforms(t *testing.T) { porttest.Limiter(t, queueHarness()) }

func BenchmarkQueue(b *testing.B) {
	porttest.BenchQueue(b, queueHarness().Open(b, porttest.QueueLimits{}))
}
