package history_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func inDatabase(t *testing.T, config storage.Config) ports.RunStore {
	t.Helper()
	db, err := storage.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db.RunStore("")
}

// For each state that can be asked for there is a run or job that is found by it,
// wherever the history is.
func TestEveryStateIsFound(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) ports.RunStore{
		"memory": func(*testing.T) ports.RunStore { return inmemqueue.NewRunStore(1000) },
		"sqlite": func(t *testing.T) ports.RunStore {
			return inDatabase(t, storage.Config{
				Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(t.TempDir(), "own.db")},
			})
		},
		"postgres": func(t *testing.T) ports.RunStore {
			return inDatabase(t, storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: pgtest.Migrate(t, pgtest.Database(t))}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findStates(t, open(t))
		})
	}
}

func findStates(t *testing.T, store ports.RunStore) {
	t.Helper()
	var records []domain.Record
	for n, event := range domain.DecisionEvents() {
		if history.StateOf(event).OfQueueJobs() {
			id := domain.JobID(event)
			records = append(records, mail(id, domain.EventStarted), mail(id, event))
			continue
		}
		records = append(records, tick(string(event), n, domain.EventStarted), tick(string(event), n, event))
	}
	keepIn(t, store, records)
	for _, state := range history.States() {
		found, err := history.List(t.Context(), store, history.Listing{Limit: 10, States: []history.State{state}})
		if err != nil || len(found.Records) == 0 {
			t.Errorf("List(%s) = %v, %v, want what is in this state", state, found, err)
		}
		for _, r := range found.Records {
			if history.StateOf(r.Event) != state {
				t.Errorf("List(%s) gives what is %s", state, r.Event)
			}
		}
	}
}
