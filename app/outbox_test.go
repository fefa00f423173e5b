package app_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// mailbox is a feature whose queue mail hands each job to handle.
func mailbox(outbox **app.Outbox, handle func(app.Job[int]) error) app.Option {
	return app.Feature("mailbox", func(o *app.Outbox) app.Contribution {
		*outbox = o
		return app.Contribution{Queues: []string{"mail", "idle"}, Handlers: []app.Handler{
			app.Handle("mail", "send", func(_ context.Context, job app.Job[int]) (any, error) { return nil, handle(job) }),
		}}
	})
}

func outboxIn(path string, change func(*app.Settings)) app.Settings {
	s := app.Settings{Storage: storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}}}
	if change != nil {
		change(&s)
	}
	return s
}

// enqueueAll commits the numbers, and rolls back as many others.
func enqueueAll(t *testing.T, outbox *app.Outbox, numbers ...int) {
	t.Helper()
	db, ok := outbox.DB()
	if !ok {
		t.Fatal("DB() is none, want the worker's own")
	}
	for _, commit := range []bool{false, true} {
		tx, err := db.Bun().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range numbers {
			if !commit {
				n = -n
			}
			options := domain.JobOptions{KeepCompleted: domain.KeepNone()}
			if err := outbox.Enqueue(t.Context(), storage.BunTx(tx), "mail", "send", n, options); err != nil {
				t.Fatalf("Enqueue(%d) = %v, want no error", n, err)
			}
		}
		end := tx.Rollback
		if commit {
			end = tx.Commit
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
}

func startWorker(t *testing.T, s app.Settings, log *slog.Logger, options ...app.Option) *app.App {
	t.Helper()
	worker, err := app.New(s, log, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Stop(context.WithoutCancel(t.Context())) })
	return worker
}

// What is committed is handled, on whatever queue, and nothing else is.
func TestOutbox_reachesEachBackend(t *testing.T) {
	server := redistest.Start(t)
	for name, change := range map[string]func(*app.Settings){
		"memory": nil,
		"redis": func(s *app.Settings) {
			s.Backend, s.Redis = config.BackendRedis, redisqueue.Connection{Addr: server.Addr}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var outbox *app.Outbox
			handled := make(chan int, 10)
			path := filepath.Join(t.TempDir(), "takt.db")
			worker := startWorker(t, outboxIn(path, change), slog.New(slog.DiscardHandler), mailbox(&outbox, func(job app.Job[int]) error {
				handled <- job.Data
				return nil
			}))
			enqueueAll(t, outbox, 1, 2, 3)
			var got []int
			for range 3 {
				got = append(got, <-handled)
			}
			slices.Sort(got)
			if !slices.Equal(got, []int{1, 2, 3}) {
				t.Errorf("handled are %v, want 1, 2 and 3", got)
			}
			if report := worker.Stop(t.Context()); !report.Clean() {
				t.Errorf("Stop() = %+v, want nothing left", report)
			}
			if left := rowsIn(t, path); left != 0 {
				t.Errorf("%d rows are left in the outbox, want none", left)
			}
		})
	}
}

func rowsIn(t *testing.T, path string) int {
	t.Helper()
	db, err := storage.Open(t.Context(), outboxIn(path, nil).Storage)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // asked and done
	var rows int
	if err := db.Bun().NewRaw("SELECT count(*) FROM outbox").Scan(t.Context(), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// A worker that stops with jobs in memory leaves them to the next one.
func TestOutbox_survivesTheMemoryOfTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "takt.db")
	var outbox *app.Outbox
	var once sync.Once
	entered := make(chan struct{})
	first := startWorker(t, outboxIn(path, nil), slog.New(slog.DiscardHandler), mailbox(&outbox, func(app.Job[int]) error {
		once.Do(func() { close(entered) })
		return app.Snooze(1 << 40)
	}))
	enqueueAll(t, outbox, 1, 2, 3)
	<-entered
	if report := first.Stop(t.Context()); len(report.Dropped) > 0 {
		t.Errorf("Stop() = %+v, want nothing dropped", report)
	}
	if left := rowsIn(t, path); left != 3 {
		t.Errorf("%d rows are left in the outbox, want all 3", left)
	}
	handled := make(chan int, 10)
	second := startWorker(t, outboxIn(path, nil), slog.New(slog.DiscardHandler), mailbox(&outbox, func(job app.Job[int]) error {
		handled <- job.Data
		return nil
	}))
	got := []int{<-handled, <-handled, <-handled}
	slices.Sort(got)
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("handled are %v, want 1, 2 and 3", got)
	}
	second.Stop(t.Context())
	if left := rowsIn(t, path); left != 0 {
		t.Errorf("%d rows are left in the outbox, want none", left)
	}
}

// The rows of a queue whose feature is withheld are left to a worker that can
// work them, and other queues go on.
func TestOutbox_leavesQueuesOfWithheldFeatures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "takt.db")
	var outbox *app.Outbox
	handled := make(chan int, 10)
	handle := func(queue string) []app.Handler {
		return []app.Handler{app.Handle(queue, "send", func(_ context.Context, job app.Job[int]) (any, error) {
			handled <- job.Data
			return nil, nil
		})}
	}
	features := func(condition app.Condition) []app.Option {
		return []app.Option{
			mailbox(&outbox, func(app.Job[int]) error { return nil }),
			contribute("parcels", app.Contribution{
				Queues: []string{"parcels"}, Condition: condition, Handlers: handle("parcels"),
			}),
			contribute("letters", app.Contribution{
				Queues: []string{"letters"}, Handlers: handle("letters"),
			}),
		}
	}
	enqueue := func(queue string, n int) {
		t.Helper()
		db, _ := outbox.DB()
		tx, err := db.Bun().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := outbox.Enqueue(t.Context(), storage.BunTx(tx), queue, "send", n, domain.JobOptions{KeepCompleted: domain.KeepNone()}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	first := startWorker(t, outboxIn(path, nil), slog.New(slog.DiscardHandler), features(unmet)...)
	enqueue("parcels", 1)
	enqueue("letters", 2)
	if got := <-handled; got != 2 {
		t.Errorf("handled is %d, want the 2 of the feature that works", got)
	}
	db, _ := outbox.DB()
	var touched int
	err := db.Bun().NewRaw("SELECT count(*) FROM outbox WHERE queue = 'parcels' AND tried_us IS NOT NULL").Scan(t.Context(), &touched)
	if err != nil || touched != 0 {
		t.Errorf("%d rows of the withheld feature were handed over, %v, want none", touched, err)
	}
	first.Stop(t.Context())
	startWorker(t, outboxIn(path, nil), slog.New(slog.DiscardHandler), features(nil)...)
	if got := <-handled; got != 1 {
		t.Errorf("handled is %d, want 1, by a worker that can", got)
	}
}

func TestOutbox_saysWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "takt.db")
	untouched := func(context.Context, string, ...any) error {
		return errors.New("a statement was carried out, want none")
	}
	var outbox *app.Outbox
	ignore := func(app.Job[int]) error { return nil }
	enqueue := func(queue string, data any) error {
		return outbox.Enqueue(t.Context(), untouched, queue, "send", data)
	}
	want := func(err, sentinel error) {
		t.Helper()
		if !errors.Is(err, sentinel) {
			t.Errorf("Enqueue = %v, want %v", err, sentinel)
		}
	}
	worker, err := app.New(app.Settings{}, slog.New(slog.DiscardHandler), mailbox(&outbox, ignore))
	if err != nil {
		t.Fatal(err)
	}
	want(enqueue("mail", 1), app.ErrNotStarted)
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(enqueue("mail", 1), app.ErrStorage)
	worker.Stop(t.Context())

	worker = startWorker(t, outboxIn(path, nil), slog.New(slog.DiscardHandler), mailbox(&outbox, ignore))
	want(enqueue("nobody", 1), app.ErrUnknownQueue)
	want(enqueue("mail", func() {}), domain.ErrInvalid)
	want(enqueue("mail", strings.Repeat("x", 300<<10)), domain.ErrTooLarge)
	// A queue that nobody works here is left to others.
	db, _ := outbox.DB()
	tx, err := db.Bun().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Enqueue(t.Context(), storage.BunTx(tx), "idle", "send", 1); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	worker.Stop(t.Context())

	var log bytes.Buffer
	startWorker(t, outboxIn(path, func(s *app.Settings) { s.Backend = config.BackendNone }),
		slog.New(slog.NewTextHandler(&log, nil)), mailbox(&outbox, ignore)).Stop(t.Context())
	if !strings.Contains(log.String(), "outbox is not relayed") || !strings.Contains(log.String(), "[idle]") {
		t.Errorf("the log does not tell of the queue that is not relayed:\n%s", log.String())
	}
	startWorker(t, outboxIn(path, func(s *app.Settings) { s.Backend = config.BackendNone }), slog.New(slog.DiscardHandler), mailbox(&outbox, ignore))
	want(enqueue("mail", 1), app.ErrQueueingOff)
}
