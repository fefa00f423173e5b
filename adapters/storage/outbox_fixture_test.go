package storage_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// relayLease is short enough to wait for its end, and longer than a busy machine
// leaves a relay without a turn.
const relayLease = 2 * time.Second

// recorder is a queue that keeps what it accepted, with the receipts it has seen.
type recorder struct {
	// before and after are called around each call; their errors are its answer.
	before, after func(jobs []domain.NewJob) error

	mu       sync.Mutex
	jobs     []domain.NewJob
	receipts map[string]bool
	changed  chan struct{}
}

// Enqueue implements [ports.Enqueuer].
func (r *recorder) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.before != nil {
		if err := r.before(jobs); err != nil {
			return nil, err
		}
	}
	results := r.add(jobs)
	if r.after != nil {
		if err := r.after(jobs); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (r *recorder) add(jobs []domain.NewJob) []domain.EnqueueResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	results := make([]domain.EnqueueResult, len(jobs))
	for i := range jobs {
		results[i].Status = domain.ReceiptKnown
		if r.receipts[jobs[i].Receipt] {
			continue
		}
		if r.receipts == nil {
			r.receipts = make(map[string]bool)
		}
		r.receipts[jobs[i].Receipt] = true
		r.jobs = append(r.jobs, jobs[i])
		results[i].Status = domain.Accepted
	}
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	return results
}

func (r *recorder) all() []domain.NewJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]domain.NewJob(nil), r.jobs...)
}

// data returns the payloads of a queue in the order in which they came.
func (r *recorder) data(queue domain.QueueName) []string {
	var data []string
	for _, job := range r.all() {
		if job.Queue == queue {
			data = append(data, string(job.Data))
		}
	}
	return data
}

// await waits until the queue has accepted so many jobs.
func (r *recorder) await(tb testing.TB, jobs int) {
	tb.Helper()
	for {
		r.mu.Lock()
		got := len(r.jobs)
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		if got >= jobs {
			return
		}
		select {
		case <-changed:
		case <-tb.Context().Done():
			tb.Fatalf("%d jobs came, want %d", got, jobs)
		}
	}
}

// commitJobs enqueues the jobs in a transaction of their own.
func commitJobs(tb testing.TB, db *storage.DB, outbox *storage.Outbox, jobs ...domain.NewJob) {
	tb.Helper()
	tx, err := db.Bun().BeginTx(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	if err := outbox.Enqueue(tb.Context(), storage.BunTx(tx), jobs...); err != nil {
		tb.Fatalf("Enqueue = %v, want no error", err)
	}
	if err := tx.Commit(); err != nil {
		tb.Fatal(err)
	}
}

// numbered returns jobs whose payloads are the numbers from first on.
func numbered(first, count int) []domain.NewJob {
	jobs := make([]domain.NewJob, count)
	for i := range jobs {
		jobs[i] = mailJob(fmt.Sprint(first + i))
	}
	return jobs
}

// startRelay starts a relay that is stopped with the test.
func startRelay(tb testing.TB, db *storage.DB, outbox *storage.Outbox, config storage.RelayConfig) *storage.Relay {
	tb.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Lease == 0 {
		config.Lease = relayLease
	}
	relay := db.NewRelay(outbox, config)
	relay.Start()
	tb.Cleanup(func() { relay.Stop(context.WithoutCancel(tb.Context())) })
	return relay
}

// relayUntil relays until the queue has so many jobs and no row is left.
func relayUntil(t *testing.T, db *storage.DB, outbox *storage.Outbox, queue *recorder, jobs int) {
	t.Helper()
	relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: queue})
	queue.await(t, jobs)
	eventually(t, "all rows are delivered", func() bool { return rowsOf(t, db, outbox) == 0 })
	relay.Stop(t.Context())
}

// wantRows checks which rows the namespace has: "queue/state xN" each.
func wantRows(tb testing.TB, db *storage.DB, namespace string, want ...string) {
	tb.Helper()
	var rows []struct {
		Queue string
		State int
		Count int
	}
	err := db.Bun().NewRaw("SELECT queue, state, count(*) AS count FROM outbox WHERE namespace = ? GROUP BY queue, state ORDER BY queue, state", namespace).
		Scan(context.WithoutCancel(tb.Context()), &rows)
	if err != nil {
		tb.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		got = append(got, fmt.Sprintf("%s/%d x%d", row.Queue, row.State, row.Count))
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		tb.Errorf("the rows are %q, want %q", got, want)
	}
}

// onBoth runs the test on both dialects, beside others.
func onBoth(t *testing.T, test func(t *testing.T, db *storage.DB)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// execSQL carries out SQL that has no values.
func execSQL(tb testing.TB, db *storage.DB, text string) {
	tb.Helper()
	if _, err := db.Bun().NewRaw(text).Exec(tb.Context()); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
}
