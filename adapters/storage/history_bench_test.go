package storage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

func BenchmarkRunStoreAppend_onSQLite(b *testing.B) {
	benchAppend(b, func(b *testing.B) *storage.DB { return openSQLite(b) })
}

func BenchmarkRunStoreAppend_onPostgres(b *testing.B) { benchAppend(b, openDurable) }

// benchAppend measures how many records one process writes: outcomes of queue jobs,
// decisions about runs of many jobs, the ends of the runs of ever so many, and runs of
// as many that begin and end in a batch.
func benchAppend(b *testing.B, open func(*testing.B) *storage.DB) {
	b.Helper()
	for name, record := range map[string]func(int) domain.Record{"jobs": pastJob, "runs": pastRun, "ends": pastEnd, "short": shortRun} {
		for _, size := range []int{64, 4096} {
			b.Run(fmt.Sprintf("%s/batch=%d", name, size), func(b *testing.B) {
				store := open(b).RunStore("bench")
				batch, n := make([]domain.Record, size), 0
				for b.Loop() {
					for i := range batch {
						batch[i] = record(n)
						n++
					}
					if err := store.Append(b.Context(), batch); err != nil {
						b.Fatalf("Append = %v, want no error", err)
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// pastTime returns when the nth record was made: one every 200 µs.
func pastTime(n int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 200 * time.Microsecond)
}

// pastJob returns the outcome of the nth queue job.
func pastJob(n int) domain.Record {
	r := domain.Record{
		At: pastTime(n), Replica: fmt.Sprint("replica-", n/5%3), Event: domain.EventCompleted,
		Queue: domain.QueueName(fmt.Sprint("queue-", n/7%5)), JobID: domain.JobID(fmt.Sprint(n)), JobName: fmt.Sprint("name-", n/11%20),
		Attempt: 1, Took: time.Duration(n%1000) * time.Microsecond,
	}
	if n/13%100 == 99 {
		r.Event, r.Reason = domain.EventFailed, "the other side did not answer in time"
	}
	return r
}

// pastRun returns a decision about one of a thousand scheduled jobs.
func pastRun(n int) domain.Record {
	at := pastTime(n)
	r := domain.Record{At: at, Replica: fmt.Sprint("replica-", n/3%3), Run: domain.TickKey(fmt.Sprint("job-", n/3%1000), at.Truncate(time.Second))}
	switch n / 7 % 3 {
	case 0:
		r.Event, r.Late = domain.EventClaimed, time.Millisecond
	case 1:
		r.Event, r.Attempt = domain.EventStarted, 1
	default:
		r.Event, r.Attempt, r.Took = domain.EventCompleted, 1, 5*time.Millisecond
	}
	return r
}

// pastEnd returns the end of a run of one of ten thousand scheduled jobs, each of which
// has another kind.
func pastEnd(n int) domain.Record {
	at := pastTime(n)
	return domain.Record{
		At: at, Replica: "ann", Run: domain.TickKey(fmt.Sprint("job-", n%10_000), at.Truncate(time.Second)),
		Event: domain.EventCompleted, Attempt: 1, Took: 5 * time.Millisecond,
	}
}

// shortRun returns the nth of the records of short runs, three of each: in a second there
// is one of each of ten thousand jobs.
func shortRun(n int) domain.Record {
	run := n / 3
	planned := pastTime(5000 * (run / 10_000))
	r := domain.Record{
		At: planned.Add(time.Duration(run%10_000)*90*time.Microsecond + time.Duration(n%3*300)*time.Microsecond), Replica: "ann",
		Run: domain.TickKey(fmt.Sprint("job-", run%10_000), planned), Event: domain.EventClaimed, Late: time.Duration(run%7) * time.Millisecond,
	}
	switch n % 3 {
	case 1:
		r.Event, r.Attempt = domain.EventStarted, 1
	case 2:
		r.Event, r.Attempt, r.Late, r.Took = domain.EventCompleted, 1, 0, 250*time.Microsecond
	}
	return r
}
