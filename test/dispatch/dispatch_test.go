package dispatch_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

// lease is long enough for a busy machine, and short enough to wait for.
const lease = 400 * time.Millisecond

// queues is what a dispatcher puts jobs on, and where the cases look for them.
type queues interface {
	ports.Enqueuer
	ports.Inspector
	Close() error
}

func TestALedgerInSQLDispatchesToQueuesOfAnyKind(t *testing.T) {
	server := redistest.Start(t)
	var tests atomic.Int64
	for name, open := range map[string]func(*testing.T) storage.Config{"sqlite": inSQLite, "postgres": inPostgres} {
		for kind, queues := range map[string]func(*testing.T) queues{
			"memory": func(*testing.T) queues { return inmemqueue.New(inmemqueue.Config{}) },
			"redis": func(t *testing.T) queues {
				return inRedis(t, server, fmt.Sprintf("{test-%d}", tests.Add(1)))
			},
		} {
			t.Run(name+" to "+kind, func(t *testing.T) {
				porttest.Dispatcher(t, func(t *testing.T, test func(*testing.T, porttest.DispatcherHarness)) {
					t.Parallel()
					ledger, queue := opened(t, open(t)).Ledger(""), closed(t, queues(t))
					test(t, porttest.DispatcherHarness{
						Dispatcher: runner.NewDispatcher(ledger, queue, domain.DefaultNamespace, lease),
						Ledger:     ledger, Queue: queue, Inspector: queue,
						Lease: lease, Advance: func(d time.Duration) { <-time.After(d) },
					})
				})
			})
		}
	}
}

func inSQLite(t *testing.T) storage.Config {
	return storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(t.TempDir(), "takt.db")}}
}

func inPostgres(t *testing.T) storage.Config {
	uri := pgtest.Migrate(t, pgtest.Database(t))
	return storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: uri, PoolSize: 2}}
}

func opened(t *testing.T, config storage.Config) *storage.DB {
	t.Helper()
	db, err := storage.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("Open = %v, want no error", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close = %v, want no error", err)
		}
	})
	return db
}

func inRedis(t *testing.T, server *redistest.Server, prefix string) queues {
	t.Helper()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}, Prefix: prefix})
	if err != nil {
		t.Fatalf("New = %v, want a backend", err)
	}
	return backend
}

func closed(t *testing.T, q queues) queues {
	t.Helper()
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("Close = %v, want no error", err)
		}
	})
	return q
}
