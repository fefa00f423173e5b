package storage_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// mailJob returns a job of the queue mail.
func mailJob(data string) domain.NewJob {
	return domain.NewJob{Queue: "mail", Name: "send", Data: []byte(data)}
}

// transaction is one of the caller's, whatever library it is of.
type transaction struct {
	storage.Tx

	commit, rollback func() error
}

// begins are the ways to begin a transaction, by library.
func begins(tb testing.TB, uri domain.Secret, postgres, sqlite *storage.DB) map[string]func() (*storage.DB, transaction) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), uri.Reveal())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) })
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	ctx := context.WithoutCancel(tb.Context())
	ofSQL := func(db *storage.DB) func() (*storage.DB, transaction) {
		return func() (*storage.DB, transaction) {
			tx, err := db.Bun().DB.BeginTx(ctx, &sql.TxOptions{})
			must(err)
			return db, transaction{Tx: storage.SQLTx(tx), commit: tx.Commit, rollback: tx.Rollback}
		}
	}
	ofBun := func(db *storage.DB) func() (*storage.DB, transaction) {
		return func() (*storage.DB, transaction) {
			tx, err := db.Bun().BeginTx(ctx, nil)
			must(err)
			return db, transaction{Tx: storage.BunTx(tx), commit: tx.Commit, rollback: tx.Rollback}
		}
	}
	return map[string]func() (*storage.DB, transaction){
		"pgx": func() (*storage.DB, transaction) {
			tx, err := conn.Begin(ctx)
			must(err)
			return postgres, transaction{
				Tx:     storage.PgxTx(tx),
				commit: func() error { return tx.Commit(ctx) }, rollback: func() error { return tx.Rollback(ctx) },
			}
		},
		"sql on postgres": ofSQL(postgres), "sql on sqlite": ofSQL(sqlite),
		"bun on postgres": ofBun(postgres), "bun on sqlite": ofBun(sqlite),
	}
}

// openAddressed returns what [openPostgres] does, and the superuser's address of it.
func openAddressed(tb testing.TB) (domain.Secret, *storage.DB) {
	tb.Helper()
	uri := migrated(tb)
	return uri, openAs(tb, uri, "worker_run")
}

func TestOutbox_isPartOfTheCallersTransaction(t *testing.T) {
	uri, postgres := openAddressed(t)
	for name, begin := range begins(t, uri, postgres, openSQLite(t)) {
		t.Run(name, func(t *testing.T) {
			db, tx := begin()
			outbox := db.Outbox(storage.OutboxConfig{Namespace: strings.ReplaceAll(name, " ", "-")})
			if err := outbox.Enqueue(t.Context(), tx.Tx, mailJob(`{"to":"ann"}`)); err != nil {
				t.Fatalf("Enqueue = %v, want no error", err)
			}
			if err := tx.rollback(); err != nil {
				t.Fatal(err)
			}
			_, tx = begin()
			// As many jobs as take statements of all sizes, some without data.
			var jobs []domain.NewJob
			for range 321 {
				jobs = append(jobs, mailJob(`{"to":"bob"}`), domain.NewJob{Queue: "other", Name: "empty"})
			}
			if err := outbox.Enqueue(t.Context(), tx.Tx, jobs...); err != nil {
				t.Fatalf("Enqueue = %v, want no error", err)
			}
			if err := tx.commit(); err != nil {
				t.Fatal(err)
			}
			queue := &recorder{}
			relayUntil(t, db, outbox, queue, len(jobs))
			if got, want := queue.data("mail"), strings.Repeat(`{"to":"bob"}`, 321); strings.Join(got, "") != want {
				t.Errorf("the queue mail got %q, want what was committed", got)
			}
			if got := len(queue.data("other")); got != 321 {
				t.Errorf("the queue other got %d jobs, want 321", got)
			}
		})
	}
}

func TestOutbox_refusesBeforeItWrites(t *testing.T) {
	db := openSQLite(t)
	outbox := db.Outbox(storage.OutboxConfig{MaxPayload: 100})
	untouched := func(context.Context, string, ...any) error {
		t.Error("a statement was carried out, want none")
		return nil
	}
	for name, job := range map[string]domain.NewJob{
		"no queue":     {Name: "send"},
		"no name":      {Queue: "mail"},
		"priority":     {Queue: "mail", Name: "send", Options: domain.JobOptions{Priority: -1}},
		"not JSON":     mailJob("{"),
		"receipt":      {Queue: "mail", Name: "send", Receipt: "mine"},
		"key with NUL": {Queue: "mail", Name: "send", Options: domain.JobOptions{Deduplication: domain.Deduplication{Key: "a\x00"}}},
	} {
		if err := outbox.Enqueue(t.Context(), untouched, mailJob("1"), job); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Enqueue(%s) = %v, want ErrInvalid", name, err)
		}
	}
	long := mailJob(`"` + strings.Repeat("x", 100) + `"`)
	if err := outbox.Enqueue(t.Context(), untouched, long); !errors.Is(err, domain.ErrTooLarge) {
		t.Errorf("Enqueue(102 bytes) = %v, want ErrTooLarge", err)
	}
	if err := outbox.Enqueue(t.Context(), storage.BunTx(db.Bun()), mailJob("1")); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("Enqueue(no transaction) = %v, want ErrInvalid", err)
	}
}

func TestOutbox_tellsThatThereIsNone(t *testing.T) {
	uri := pgtest.Database(t)
	db := open(t, storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: uri}})
	tx, err := db.Bun().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // asked and done
	if err := db.Outbox(storage.OutboxConfig{}).Enqueue(t.Context(), storage.BunTx(tx), mailJob("1")); !errors.Is(err, storage.ErrSchema) {
		t.Errorf("Enqueue(no schema) = %v, want ErrSchema", err)
	}
}

// The application's role may add rows by their first columns, and nothing else.
func TestOutbox_takesFromARoleThatMayOnlyInsert(t *testing.T) {
	uri, db := openAddressed(t)
	pgtest.Exec(t, uri, `
CREATE ROLE shop LOGIN;
GRANT USAGE ON SCHEMA worker TO shop;
GRANT INSERT (namespace, queue, name, data, options) ON worker.outbox TO shop;`)
	t.Cleanup(func() { pgtest.Exec(t, uri, `DROP OWNED BY shop; DROP ROLE shop`) })
	config, err := pgx.ParseConfig(uri.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	config.User = "shop"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // asked and done
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	outbox := db.Outbox(storage.OutboxConfig{})
	if err := outbox.Enqueue(t.Context(), storage.PgxTx(tx), mailJob("7")); err != nil {
		t.Fatalf("Enqueue as shop = %v, want no error", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{
		"SELECT * FROM worker.outbox", "DELETE FROM worker.outbox", "UPDATE worker.outbox SET state = 0",
		"INSERT INTO worker.outbox (namespace, queue, name, data, options, epoch) VALUES ('', '', '', '', '', gen_random_uuid())",
	} {
		if _, err := conn.Exec(t.Context(), forbidden); err == nil {
			t.Errorf("%s is allowed, want it refused", forbidden)
		}
	}
	queue := &recorder{}
	relayUntil(t, db, outbox, queue, 1)
	if got := queue.data("mail"); !cmp.Equal(got, []string{"7"}) {
		t.Errorf("the queue got %q, want 7", got)
	}
}

// Options come out as they went in.
func TestOutbox_keepsOptions(t *testing.T) {
	db := openSQLite(t)
	outbox := db.Outbox(storage.OutboxConfig{})
	options := domain.JobOptions{
		ID: "a-1", Delay: 90 * time.Minute, Priority: 7, LIFO: true, Attempts: 3,
		Backoff:       domain.Backoff{Kind: domain.BackoffExponential, Delay: 1500 * time.Millisecond, Jitter: 0.3},
		KeepCompleted: domain.KeepNone(), KeepFailed: domain.Retention{Limited: true, Count: 5, Age: time.Hour, PerFinish: 7},
		Deduplication: domain.Deduplication{Key: `größe "1"`, Mode: domain.DedupDebounce, TTL: time.Minute},
	}
	commitJobs(t, db, outbox, domain.NewJob{Queue: "mail", Name: "send", Data: []byte(`"é"`), Options: options}, mailJob("1"))
	queue := &recorder{}
	relayUntil(t, db, outbox, queue, 2)
	got := queue.all()
	// The delay counts from the enqueue.
	if waited := options.Delay - got[0].Options.Delay; waited < 0 || waited > time.Minute {
		t.Errorf("the delay is %s, want what is left of %s", got[0].Options.Delay, options.Delay)
	}
	got[0].Options.Delay = options.Delay
	if diff := cmp.Diff([]domain.JobOptions{options, {}}, []domain.JobOptions{got[0].Options, got[1].Options}); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}
