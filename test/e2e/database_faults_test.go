package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

// Whole workers with everything that they keep in their database: while it fails in
// one way or another each tick runs once, each order that was committed is done and
// no other, and history knows how each ended. They heal by themselves.
func TestWorkersLoseNothingWhenConnectionsAreTerminated(t *testing.T) {
	t.Parallel()
	onQueues(t, "redis", func(t *testing.T, queue backend, inMemory bool) {
		t.Helper()
		uri := pgtest.Database(t)
		f, s := fleetOnPostgres(t, uri, queue)
		operator, err := pgx.Connect(t.Context(), uri.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		defer operator.Close(context.Background()) //nolint:errcheck // asked and done
		const terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
		f.befall(t, s, fault{pause: 100 * time.Millisecond, times: 40, strike: func(t *testing.T, _ *fleet, _ int) {
			t.Helper()
			if _, err := operator.Exec(t.Context(), terminate); err != nil {
				t.Fatal(err)
			}
		}}, inMemory)
		if s.failed.Load() == 0 {
			t.Error("no order failed, want connections that break")
		}
	})
}

func TestWorkersLoseNothingWhenTheirServerCrashes(t *testing.T) {
	t.Parallel()
	onQueues(t, "memory", func(t *testing.T, queue backend, inMemory bool) {
		t.Helper()
		server := pgtest.Start(t)
		f, s := fleetOnPostgres(t, server.URI, queue)
		f.befall(t, s, fault{pause: 800 * time.Millisecond, times: 4, strike: func(t *testing.T, _ *fleet, _ int) {
			t.Helper()
			server.Crash(t)
		}}, inMemory)
		if s.failed.Load() == 0 {
			t.Error("no order failed, want a server that is away")
		}
	})
}

func TestWorkersThatAreKilledLeaveTheirWorkToOthers(t *testing.T) {
	t.Parallel()
	kill := fault{pause: 1200 * time.Millisecond, times: 4, kills: true, strike: func(t *testing.T, f *fleet, n int) {
		t.Helper()
		f.killOne(t, n%len(f.workers))
	}}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		onQueues(t, "memory", func(t *testing.T, queue backend, inMemory bool) {
			t.Helper()
			f, s := fleetOnPostgres(t, pgtest.Database(t), queue)
			f.befall(t, s, kill, inMemory)
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		onQueues(t, "memory", func(t *testing.T, queue backend, inMemory bool) {
			t.Helper()
			f, s := fleetOnSQLite(t, filepath.Join(t.TempDir(), "worker.db"), queue)
			f.befall(t, s, kill, inMemory)
			s.wantIntact(t)
		})
	})
}

// Another program has transactions of its own in the file, and one of them lasts for
// longer than a write waits.
func TestWorkersLoseNothingBesideAWriterThatKeepsTheirFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "worker.db")
	f, s := fleetOnSQLite(t, path, inMemoryQueue)
	other := openShop(t, storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}})
	kept := []time.Duration{time.Second / 4, time.Second / 4, 6 * time.Second, time.Second / 4}
	f.befall(t, s, fault{pause: time.Second / 4, times: len(kept), strike: func(t *testing.T, _ *fleet, n int) {
		t.Helper()
		tx, err := other.db.Bun().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(kept[n%len(kept)])
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}}, true)
	s.wantIntact(t)
	for _, worker := range f.workers {
		if text := worker.stderr.String(); strings.Contains(text, "SQLITE_BUSY") || strings.Contains(text, "database is locked") {
			t.Errorf("a worker says that the file is busy:\n%s", text)
		}
	}
}

// backend is what the workers of a fleet are told to use one of their own.
type backend func(t *testing.T) []string

func inMemoryQueue(*testing.T) []string { return nil }

func inRedis(t *testing.T) []string {
	t.Helper()
	return []string{"REDIS_ENABLED=true", "REDIS_URL=" + redistest.Start(t).URL(0), "WORKER_LEDGER=sql"}
}

// everything asks for all combinations, and for more faults.
func everything() bool { return os.Getenv("TAKT_TORTURE") == "all" }

// onQueues runs the test with the usual queue backend, or with each one.
func onQueues(t *testing.T, usual string, test func(t *testing.T, queue backend, inMemory bool)) {
	t.Helper()
	for name, queue := range map[string]backend{"memory": inMemoryQueue, "redis": inRedis} {
		if name != usual && !everything() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, queue, name == "memory")
		})
	}
}

func fleetOnPostgres(t *testing.T, uri domain.Secret, queue backend) (*fleet, *shop) {
	t.Helper()
	f := newFleet(t, 2, append(onPostgres(t, uri), queue(t)...)...)
	pgtest.Exec(t, uri, "CREATE TABLE worker.orders (number bigint PRIMARY KEY); GRANT SELECT, INSERT ON worker.orders TO worker_run")
	return f, openShop(t, storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: pgtest.As(t, uri, "worker_run")}})
}

func fleetOnSQLite(t *testing.T, path string, queue backend) (*fleet, *shop) {
	t.Helper()
	f := newFleet(t, 2, append([]string{"WORKER_DB_PATH=" + path}, queue(t)...)...)
	s := openShop(t, storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}})
	if _, err := s.db.Bun().NewRaw("CREATE TABLE orders (number integer PRIMARY KEY)").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f, s
}

// wantIntact has SQLite look at its file.
func (s *shop) wantIntact(t *testing.T) {
	t.Helper()
	var result string
	if err := s.db.Bun().NewRaw("PRAGMA integrity_check").Scan(context.WithoutCancel(t.Context()), &result); err != nil || result != "ok" {
		t.Errorf("integrity_check = %s, %v, want ok", result, err)
	}
}
