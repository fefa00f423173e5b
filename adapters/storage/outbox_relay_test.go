package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
)

// wantNumbers checks that the queue got the numbers below count, each once and
// in order.
func wantNumbers(t *testing.T, queue *recorder, count int) {
	t.Helper()
	var want []string
	for i := range count {
		want = append(want, fmt.Sprint(i))
	}
	if diff := cmp.Diff(want, queue.data("mail")); diff != "" {
		t.Errorf("the queue got (-want +got):\n%s", diff)
	}
}

// lines is a log to look into while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatalf("%s: it never came to that", what)
		}
	}
}

// A transaction that takes long commits rows with smaller ids than those that
// were relayed meanwhile.
func TestRelay_findsRowsThatAreCommittedLate(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	outbox := db.Outbox(storage.OutboxConfig{})
	slow, err := db.Bun().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Enqueue(t.Context(), storage.BunTx(slow), mailJob("0")); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	commitJobs(t, db, outbox, numbered(1, 700)...)
	queue := &recorder{}
	startRelay(t, db, outbox, storage.RelayConfig{Queue: queue})
	queue.await(t, 700)
	if err := slow.Commit(); err != nil {
		t.Fatal(err)
	}
	queue.await(t, 701)
	if got := queue.data("mail"); got[0] != "1" || got[699] != "700" || got[700] != "0" {
		t.Errorf("the queue got %s, …, %s, %s, want 1, …, 700, 0", got[0], got[699], got[700])
	}
}

// Relays take turns, whatever they are told, and nothing is doubled or out of
// order.
func TestRelay_sharesQueuesWithOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		queue := &recorder{}
		for range 2 {
			startRelay(t, db, db.Outbox(storage.OutboxConfig{}), storage.RelayConfig{Queue: queue})
		}
		for first := 0; first < 1000; first += 50 {
			commitJobs(t, db, outbox, numbered(first, 50)...)
		}
		queue.await(t, 1000)
		wantNumbers(t, queue, 1000)
		eventually(t, "rows are deleted", func() bool { return countRows(t, db) == 0 })
	})
}

func countRows(t *testing.T, db *storage.DB) int {
	t.Helper()
	var rows int
	if err := db.Bun().NewRaw("SELECT count(*) FROM outbox").Scan(t.Context(), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// A relay that hangs while it delivers loses its lease. What it then delivers is
// refused by the receipts, and it writes nothing into its successor's rows.
func TestRelay_losesItsLeaseWhenItHangs(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		queue := &recorder{}
		hung, goOn := make(chan struct{}), make(chan struct{})
		hanging := &hangingQueue{recorder: queue, hung: hung, goOn: goOn}
		var log lines
		commitJobs(t, db, outbox, numbered(0, 550)...)
		startRelay(t, db, outbox, storage.RelayConfig{Queue: hanging, Lease: 200 * time.Millisecond, Log: log.logger()})
		<-hung
		startRelay(t, db, db.Outbox(storage.OutboxConfig{}), storage.RelayConfig{Queue: queue})
		queue.await(t, 550)
		close(goOn)
		eventually(t, "the lease is lost", func() bool { return log.count("outbox lease lost") == 1 })
		commitJobs(t, db, outbox, numbered(550, 10)...)
		queue.await(t, 560)
		wantNumbers(t, queue, 560)
		eventually(t, "rows are deleted", func() bool { return countRows(t, db) == 0 })
	})
}

// While a relay holds a queue the others leave it alone, and work on.
func TestRelay_leavesAQueueToItsHolder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		queue := &recorder{}
		hanging := &hangingQueue{recorder: queue, hung: make(chan struct{}), goOn: make(chan struct{})}
		commitJobs(t, db, outbox, numbered(0, 3)...)
		startRelay(t, db, outbox, storage.RelayConfig{Queue: hanging, Queues: []domain.QueueName{"mail"}, Lease: time.Hour})
		<-hanging.hung
		startRelay(t, db, db.Outbox(storage.OutboxConfig{}), storage.RelayConfig{Queue: queue, Lease: time.Hour})
		for i := range 20 {
			commitJobs(t, db, outbox, mailJob("3"), domain.NewJob{Queue: domain.QueueName(fmt.Sprint("other-", i)), Name: "n"})
			queue.await(t, i+1)
		}
		if got := queue.data("mail"); len(got) > 0 {
			t.Errorf("the queue mail got %v, want nothing while its holder hangs", got)
		}
		close(hanging.goOn)
		queue.await(t, 43)
	})
}

// A database that was restored gives out ids again. Their rows are new ones.
func TestRelay_takesRowsOfARestoredDatabaseForNewOnes(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		db := openSQLite(t)
		restored(t, db, func() { execSQL(t, db, "DELETE FROM sqlite_sequence") })
	})
	t.Run("postgres", func(t *testing.T) {
		uri, db := openAddressed(t)
		restored(t, db, func() { pgtest.Exec(t, uri, "ALTER TABLE worker.outbox ALTER COLUMN id RESTART") })
	})
}

func restored(t *testing.T, db *storage.DB, startAgain func()) {
	t.Helper()
	outbox := db.Outbox(storage.OutboxConfig{})
	queue := &recorder{}
	commitJobs(t, db, outbox, mailJob("0"))
	relayUntil(t, db, outbox, queue, 1)
	startAgain()
	commitJobs(t, db, outbox, mailJob("1"))
	var id int64
	if err := db.Bun().NewRaw("SELECT id FROM outbox").Scan(t.Context(), &id); err != nil || id != 1 {
		t.Fatalf("the new row has the id %d, %v, want 1 again", id, err)
	}
	relayUntil(t, db, outbox, queue, 2)
	wantNumbers(t, queue, 2)
}

// hangingQueue hangs in its first call, whatever becomes of ctx.
type hangingQueue struct {
	*recorder

	hung, goOn chan struct{}
	once       sync.Once
}

// Enqueue implements [ports.Enqueuer].
func (h *hangingQueue) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	h.once.Do(func() {
		close(h.hung)
		<-h.goOn
	})
	return h.recorder.Enqueue(context.WithoutCancel(ctx), jobs...)
}

// A row that the queue will never take is set aside with the reason, and those
// behind it go on.
func TestRelay_setsAsideWhatIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		jobs := numbered(0, 5)
		jobs[1].Data, jobs[3].Data = []byte(`"bad"`), []byte(`"long"`)
		commitJobs(t, db, outbox, jobs...)
		queue := &recorder{before: func(jobs []domain.NewJob) error {
			for i := range jobs {
				switch string(jobs[i].Data) {
				case `"bad"`:
					return domain.Invalidf("it is bad")
				case `"long"`:
					return fmt.Errorf("it is long: %w", domain.ErrTooLarge)
				}
			}
			return nil
		}}
		var log lines
		relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: queue, Log: log.logger()})
		queue.await(t, 3)
		commitJobs(t, db, outbox, mailJob("5"))
		queue.await(t, 4)
		relay.Stop(t.Context())
		if diff := cmp.Diff([]string{"0", "2", "4", "5"}, queue.data("mail")); diff != "" {
			t.Errorf("the queue got (-want +got):\n%s", diff)
		}
		wantRows(t, db, "default", "mail/2 x2")
		if got := log.count("outbox row refused"); got != 2 {
			t.Errorf("%d refused rows are logged, want 2", got)
		}
		var reason string
		if err := db.Bun().NewRaw("SELECT reason FROM outbox ORDER BY id LIMIT 1").Scan(t.Context(), &reason); err != nil || reason != "it is bad" {
			t.Errorf("the reason is %q, %v, want it is bad", reason, err)
		}
	})
}

// Rows that were handed over a day ago, with an end that nobody knows, are not
// handed over again; others of that age are.
func TestRelay_leavesRowsAloneThatMayBeThere(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		commitJobs(t, db, outbox, numbered(0, 3)...)
		day := domain.ReceiptLife.Microseconds()
		execSQL(t, db, fmt.Sprintf("UPDATE outbox SET created_us = created_us - %d", 3*day))
		execSQL(t, db, fmt.Sprintf("UPDATE outbox SET state = 1, token = 5, tried_us = created_us + %d WHERE id = 2", day))
		queue := &recorder{}
		var log lines
		relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: queue, Log: log.logger()})
		queue.await(t, 2)
		eventually(t, "the row is set aside", func() bool { return log.count("outbox row unknown") == 1 })
		commitJobs(t, db, outbox, mailJob("3"))
		queue.await(t, 3)
		relay.Stop(t.Context())
		if diff := cmp.Diff([]string{"0", "2", "3"}, queue.data("mail")); diff != "" {
			t.Errorf("the queue got (-want +got):\n%s", diff)
		}
		wantRows(t, db, "default", "mail/3 x1")
	})
}

// A queue that is full, or away, holds its rows up and no others.
func TestRelay_waitsForItsQueue(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		var refusals atomic.Int64
		queue := &recorder{before: func(jobs []domain.NewJob) error {
			switch {
			case jobs[0].Queue != "mail":
				return nil
			case len(jobs) > 40:
				return fmt.Errorf("room for 40: %w", ports.ErrQueueFull)
			case refusals.Add(1) <= 2:
				return ports.ErrUnavailable
			}
			return nil
		}}
		var log lines
		commitJobs(t, db, outbox, append(numbered(0, 90), domain.NewJob{Queue: "other", Name: "n"})...)
		relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: queue, Log: log.logger()})
		queue.await(t, 91)
		relay.Stop(t.Context())
		wantNumbers(t, queue, 90)
		wantRows(t, db, "default")
		if held, on := log.count("outbox held up"), log.count("outbox goes on"); held == 0 || on == 0 {
			t.Errorf("%d lines say that the queue is held up and %d that it goes on, want some", held, on)
		}
	})
}

// The backends of all connections are ended again and again: the relay listens
// again, and all rows come once and in order.
func TestRelay_survivesTheEndOfItsConnections(t *testing.T) {
	t.Parallel()
	uri, db := openAddressed(t)
	outbox := db.Outbox(storage.OutboxConfig{})
	queue := &recorder{}
	relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: queue})
	conn, err := pgx.Connect(t.Context(), uri.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // asked and done
	for first := 0; first < 500; first += 50 {
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := outbox.Enqueue(t.Context(), storage.PgxTx(tx), numbered(first, 50)...); err != nil {
			t.Fatalf("Enqueue = %v, want no error", err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		pgtest.Exec(t, uri, fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %d)`, conn.PgConn().PID()))
	}
	queue.await(t, 500)
	wantNumbers(t, queue, 500)
	eventually(t, "the relay listens again", relay.IsHeard)
}

// What LISTEN never hears is found by looking: a pooler lends its connections by
// the transaction.
func TestRelay_looksWhereItHearsNothing(t *testing.T) {
	t.Parallel()
	db, elsewhere := openPostgres(t), pgtest.Database(t)
	outbox := db.Outbox(storage.OutboxConfig{})
	queue := &recorder{}
	relay := db.NewRelay(outbox, storage.RelayConfig{Queue: queue, Log: slog.New(slog.DiscardHandler)}).
		ListenOver(func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, elsewhere.Reveal()) })
	relay.Start()
	defer relay.Stop(t.Context())
	for first := range 20 {
		commitJobs(t, db, outbox, mailJob(fmt.Sprint(first)))
		queue.await(t, first+1)
	}
	wantNumbers(t, queue, 20)
	if relay.IsHeard() {
		t.Error("the relay relies on what it hears, want it to look")
	}
}

func TestRelay_hearsFromTheServer(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	queue := &recorder{}
	relay := startRelay(t, db, db.Outbox(storage.OutboxConfig{}), storage.RelayConfig{Queue: queue})
	eventually(t, "the relay hears itself", relay.IsHeard)
	// Another process enqueues.
	other := db.Outbox(storage.OutboxConfig{})
	for first := range 20 {
		commitJobs(t, db, other, mailJob(fmt.Sprint(first)))
		queue.await(t, first+1)
	}
	wantNumbers(t, queue, 20)
}

func TestRelay_stopsWhileItsQueueHangs(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	outbox := db.Outbox(storage.OutboxConfig{})
	commitJobs(t, db, outbox, numbered(0, 3)...)
	entered := make(chan struct{})
	var once sync.Once
	hanging := enqueuerFunc(func(ctx context.Context, _ ...domain.NewJob) ([]domain.EnqueueResult, error) {
		once.Do(func() { close(entered) })
		<-ctx.Done()
		return nil, ctx.Err()
	})
	relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: hanging, Lease: time.Hour})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	relay.Stop(ctx)
	relay.Stop(ctx)
	wantRows(t, db, "default", "mail/1 x3")
	db.NewRelay(outbox, storage.RelayConfig{}).Stop(t.Context())
}

type enqueuerFunc func(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error)

// Enqueue implements [ports.Enqueuer].
func (f enqueuerFunc) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	return f(ctx, jobs...)
}

// A relay that was stopped in order leaves its queues to the next one at once.
func TestRelay_leavesQueuesToTheNext(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		full := errors.New("away")
		first := &recorder{before: func([]domain.NewJob) error { return full }}
		var log lines
		commitJobs(t, db, outbox, numbered(0, 3)...)
		relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: first, Lease: time.Hour, Log: log.logger()})
		eventually(t, "the queue is held up", func() bool { return log.count("outbox held up") > 0 })
		relay.Stop(t.Context())
		queue := &recorder{}
		relayUntil(t, db, outbox, queue, 3)
		wantNumbers(t, queue, 3)
	})
}

// A relay that reaches the database but not its queue leaves the rows, in their
// order, to one that does.
func TestRelay_leavesWhatItCannotDeliverToOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		cutOff := &recorder{before: func([]domain.NewJob) error { return ports.ErrUnavailable }}
		var log lines
		commitJobs(t, db, outbox, numbered(0, 3)...)
		startRelay(t, db, outbox, storage.RelayConfig{Queue: cutOff, Lease: time.Hour, Log: log.logger()})
		eventually(t, "the queue is held up", func() bool { return log.count("outbox held up") > 0 })
		queue := &recorder{}
		startRelay(t, db, db.Outbox(storage.OutboxConfig{}), storage.RelayConfig{Queue: queue, Lease: time.Hour})
		queue.await(t, 3)
		wantNumbers(t, queue, 3)
		eventually(t, "rows are deleted", func() bool { return countRows(t, db) == 0 })
	})
}

// A relay lost its queue to another one, which took over its rows and went away.
// Jobs that were over meanwhile are not handed over again, nor are their rows
// kept.
func TestRelay_writesTheEndOfJobsThatItCouldNotWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		var calls atomic.Int64
		queue := &recorder{before: func([]domain.NewJob) error { calls.Add(1); return nil }}
		relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: queue, Volatile: true})
		commitJobs(t, db, outbox, numbered(0, 3)...)
		queue.await(t, 3)
		loseRows(t, db, "UPDATE outbox SET token = 5")
		for _, job := range queue.all() {
			relay.Ended([]string{job.Receipt})
		}
		execSQL(t, db, "UPDATE outbox_relays SET until_us = 0")
		eventually(t, "rows are deleted", func() bool { return countRows(t, db) == 0 })
		eventually(t, "rows are forgotten", func() bool { return relay.Followed() == 0 })
		if handed := relay.Handed(); len(handed) > 0 || calls.Load() != 1 {
			t.Errorf("Handed() = %v after %d deliveries, want none after one", handed, calls.Load())
		}
	})
}

// Rows that another relay took over and deleted are forgotten.
func TestRelay_forgetsRowsThatOthersDeleted(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		queue := &recorder{}
		relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: queue, Volatile: true})
		commitJobs(t, db, outbox, mailJob("0"))
		queue.await(t, 1)
		loseRows(t, db, "DELETE FROM outbox")
		relay.Ended([]string{queue.all()[0].Receipt})
		execSQL(t, db, "UPDATE outbox_relays SET until_us = 0")
		commitJobs(t, db, outbox, mailJob("1"))
		queue.await(t, 2)
		relay.Ended([]string{queue.all()[1].Receipt})
		eventually(t, "rows are forgotten", func() bool { return relay.Followed() == 0 })
		wantNumbers(t, queue, 2)
	})
}

// loseRows has another relay take the queues over, and do this to their rows.
func loseRows(t *testing.T, db *storage.DB, text string) {
	t.Helper()
	tx, err := db.Bun().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	later := time.Now().Add(time.Hour).UnixMicro()
	for _, text := range []string{fmt.Sprintf("UPDATE outbox_relays SET token = 5, until_us = %d", later), text} {
		if _, err := tx.NewRaw(text).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// A worker that stops has better to do than to wait for news that it will not act on.
func TestRelay_stopsAlthoughItListens(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	outbox := db.Outbox(storage.OutboxConfig{})
	const relays = 3
	var stopping time.Duration
	for range relays {
		relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: &recorder{}})
		eventually(t, "the relay hears of new rows", relay.IsHeard)
		began := time.Now()
		relay.Stop(t.Context())
		stopping += time.Since(began)
	}
	if patience := relays * time.Second; stopping >= patience {
		t.Errorf("%d relays stop in %v, want less than calls wait for their answers: %v", relays, stopping, patience)
	}
}
