package porttest

import (
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// batch is how many jobs one call of the benchmark carries.
const batch = 50

// BenchQueue measures a job's way through a queue: enqueued, leased and
// completed in batches of 50 by one worker, kept not at all. One operation is
// one job.
func BenchQueue(b *testing.B, backend QueueBackend) {
	b.Helper()
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: testQueue, Worker: "bench", Lease: time.Minute})
	if err != nil {
		b.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	jobs := newJobs(batch)
	for i := range jobs {
		jobs[i].Options.KeepCompleted = domain.KeepNone()
	}
	outcome := completed()
	settlements := make([]domain.Settlement, 0, batch)
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= batch {
		n := min(left, batch)
		if _, err := backend.Enqueuer.Enqueue(b.Context(), jobs[:n]...); err != nil {
			b.Fatalf("Enqueue = %v, want no error", err)
		}
		for n > 0 {
			leases, err := consumer.Reserve(b.Context(), n)
			if err != nil {
				b.Fatalf("Reserve = %v, want jobs", err)
			}
			settlements = settlements[:0]
			for i := range leases {
				settlements = append(settlements, domain.Settlement{Lease: leases[i].Ref(), Outcome: outcome})
			}
			if _, err := consumer.Settle(b.Context(), settlements, 0); err != nil {
				b.Fatalf("Settle = %v, want no error", err)
			}
			n -= len(leases)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
