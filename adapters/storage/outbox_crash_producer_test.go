package storage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// place is a database; the path is that of the file, if it is one.
type place struct {
	db   *storage.DB
	path string
}

// producer is one with a connection of its own and, from begin on, a transaction. After
// crash it is no longer used.
type producer interface {
	begin(ctx context.Context) error
	transaction() storage.Tx
	// order stores an order with the number.
	order(ctx context.Context, number int) error
	commit(ctx context.Context) error
	// crash ends it, whatever it is in, and returns what is there for the next one.
	crash(t *testing.T) place
}

type pgxProducer struct {
	place

	uri  domain.Secret
	conn *pgx.Conn
	tx   pgx.Tx
}

func (p *pgxProducer) begin(ctx context.Context) (err error) {
	if p.conn, err = pgx.Connect(ctx, p.uri.Reveal()); err == nil {
		p.tx, err = p.conn.Begin(ctx)
	}
	return err
}

func (p *pgxProducer) transaction() storage.Tx { return storage.PgxTx(p.tx) }

func (p *pgxProducer) order(ctx context.Context, number int) error {
	_, err := p.tx.Exec(ctx, "INSERT INTO worker.orders VALUES ($1)", number)
	return err
}

func (p *pgxProducer) commit(ctx context.Context) error { return p.tx.Commit(ctx) }

func (p *pgxProducer) crash(*testing.T) place {
	if p.conn != nil {
		_ = p.conn.PgConn().Conn().Close()
	}
	return p.place
}

type bunProducer struct {
	place

	conn bun.Conn
	tx   bun.Tx
}

func (p *bunProducer) begin(ctx context.Context) (err error) {
	if p.conn, err = p.db.Bun().Conn(ctx); err == nil {
		p.tx, err = p.conn.BeginTx(ctx, nil)
	}
	return err
}

func (p *bunProducer) transaction() storage.Tx { return storage.BunTx(p.tx) }

func (p *bunProducer) order(ctx context.Context, number int) error {
	_, err := p.tx.NewRaw("INSERT INTO orders VALUES (?)", number).Exec(ctx)
	return err
}

func (p *bunProducer) commit(context.Context) error { return p.tx.Commit() }

func (p *bunProducer) rollback() error {
	err := p.tx.Rollback()
	_ = p.conn.Close()
	return err
}

func (p *bunProducer) crash(t *testing.T) place {
	t.Helper()
	if p.tx.Tx == nil {
		return p.place
	}
	if p.db.Dialect() == storage.SQLite {
		left := copyOf(t, p.path)
		_ = p.rollback()
		return left
	}
	_ = p.conn.Raw(func(conn any) error { return conn.(*stdlib.Conn).Conn().PgConn().Conn().Close() })
	// Rollback and Close free what waits for the end of the transaction; it had none.
	_ = p.rollback()
	return p.place
}

// copyOf returns what a process would find that opens the file after one that has it
// open crashed.
func copyOf(t *testing.T, path string) place {
	t.Helper()
	to := filepath.Join(t.TempDir(), "takt.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return place{openFile(t, to), to}
}

// A producer crashes at each of its statements in turn: jobs are there if and only if
// the order that they belong to is.
func TestOutbox_takesNothingFromAProducerThatCrashed(t *testing.T) {
	t.Parallel()
	onPostgres := func(t *testing.T) (domain.Secret, place) {
		uri, db := openAddressed(t)
		pgtest.Exec(t, uri, "CREATE TABLE worker.orders (id bigint); GRANT SELECT, INSERT ON worker.orders TO worker_run")
		return pgtest.As(t, uri, "worker_run"), place{db: db}
	}
	for name, start := range map[string]func(t *testing.T) (place, func(place) producer){
		"pgx": func(t *testing.T) (place, func(place) producer) {
			uri, at := onPostgres(t)
			return at, func(at place) producer { return &pgxProducer{place: at, uri: uri} }
		},
		"bun on postgres": func(t *testing.T) (place, func(place) producer) {
			_, at := onPostgres(t)
			return at, func(at place) producer { return &bunProducer{place: at} }
		},
		"bun on sqlite": func(t *testing.T) (place, func(place) producer) {
			path := filepath.Join(t.TempDir(), "takt.db")
			db := openFile(t, path)
			execSQL(t, db, "CREATE TABLE orders (id bigint)")
			return place{db, path}, func(at place) producer { return &bunProducer{place: at} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, open := start(t)
			produceAndCrash(t, at, open)
		})
	}
}

func produceAndCrash(t *testing.T, at place, open func(place) producer) {
	t.Helper()
	outbox := func() *storage.Outbox {
		return at.db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprintf("%T", open(at))})
	}
	const statements = 5
	for crash := range statements + 1 {
		p := open(at)
		produce(t, p, outbox(), crash)
		at = p.crash(t)
	}
	db := at.db
	var orders []int64
	if err := db.Bun().NewRaw("SELECT id FROM orders ORDER BY id").Scan(t.Context(), &orders); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(orders, []int64{statements}) {
		t.Errorf("the orders are %v, want the one that was committed", orders)
	}
	queue := &recorder{}
	relayUntil(t, db, outbox(), queue, 2*len(orders))
	var want []string
	for _, id := range orders {
		want = append(want, strconv.FormatInt(id, 10), strconv.FormatInt(id, 10))
	}
	if got := queue.data("mail"); !slices.Equal(got, want) {
		t.Errorf("the queue got %v, want %v", got, want)
	}
}

// produce stores the order of the number, with a job before and one behind it, up
// to so many statements; the last one is the commit.
func produce(t *testing.T, p producer, outbox *storage.Outbox, statements int) {
	t.Helper()
	job := mailJob(strconv.Itoa(statements))
	for i, statement := range []func() error{
		func() error { return p.begin(t.Context()) },
		func() error { return outbox.Enqueue(t.Context(), p.transaction(), job) },
		func() error { return p.order(t.Context(), statements) },
		func() error { return outbox.Enqueue(t.Context(), p.transaction(), job) },
		func() error { return p.commit(t.Context()) },
	} {
		if i >= statements {
			return
		}
		if err := statement(); err != nil {
			t.Fatalf("statement %d = %v, want no error", i, err)
		}
	}
}
