package storage_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/plancheck"
)

const (
	// outboxPage is what one statement of an outbox may read of a table: as many
	// rows as it may change, or one for each queue.
	outboxPage   = 500
	fillerQueues = 300
	oldQueues    = 20_000
)

// manyOutboxRows is how many rows the outbox has whose plans are looked at.
func manyOutboxRows() int {
	if os.Getenv("TAKT_TORTURE") == "all" {
		return 1_000_000
	}
	return 20_000
}

// fillOutbox puts rows into the outbox: half of them wait for one queue, three
// tenths are set aside in another one, and the rest is of many queues; and leases
// of queues that had rows once.
func fillOutbox(t *testing.T, uri domain.Secret) {
	t.Helper()
	pgtest.Exec(t, uri, fmt.Sprintf(`
INSERT INTO worker.outbox (namespace, queue, name, data, options, state)
SELECT 'default', CASE WHEN i %% 10 < 5 THEN 'mail' WHEN i %% 10 < 8 THEN 'aside' ELSE 'filler-' || i %% %d END,
    'send', '1', '{}', CASE WHEN i %% 10 IN (5, 6) THEN 2 WHEN i %% 10 = 7 THEN 3 ELSE 0 END
FROM generate_series(1, %d) AS i;
INSERT INTO worker.outbox_relays SELECT 'default', 'old-' || i, 1, 0 FROM generate_series(1, %d) AS i`,
		fillerQueues, manyOutboxRows(), oldQueues))
}

// useOutbox has everything done that an outbox and its relays do.
func useOutbox(t *testing.T, db *storage.DB) {
	t.Helper()
	outbox := db.Outbox(storage.OutboxConfig{})
	jobs := numbered(0, 311) // statements of all sizes
	for i := range jobs {
		jobs[i].Queue = "new"
	}
	jobs[0].Name = "bad"
	commitJobs(t, db, outbox, jobs...)
	commitJobs(t, db, outbox, numbered(0, 3*outboxPage)...)
	if _, err := outbox.Waiting(t.Context()); err != nil {
		t.Fatalf("Waiting = %v, want no error", err)
	}

	memory := &recorder{}
	relay := startRelay(t, db, outbox, storage.RelayConfig{Queue: memory, Volatile: true, Queues: []domain.QueueName{"new"}})
	memory.await(t, len(jobs))
	relay.Stop(t.Context()) // its rows are reclaimed by the next one

	choosy := &recorder{before: func(jobs []domain.NewJob) error {
		if slices.ContainsFunc(jobs, func(job domain.NewJob) bool { return job.Name == "bad" }) {
			return domain.ErrTooLarge
		}
		return nil
	}}
	relay = startRelay(t, db, outbox, storage.RelayConfig{Queue: choosy, Queues: []domain.QueueName{"new"}})
	choosy.await(t, len(jobs)-1)
	relay.Stop(t.Context())

	calls, ended := 0, make(chan struct{})
	full := &recorder{before: func([]domain.NewJob) error {
		switch calls++; {
		case calls < 3:
			return nil
		case calls == 3:
			close(ended)
		}
		return errors.New("no more")
	}}
	relay = startRelay(t, db, outbox, storage.RelayConfig{Queue: full, Queues: []domain.QueueName{"mail"}})
	<-ended
	relay.Stop(t.Context())

	decideAside(t, outbox)
}

// decideAside lists rows that are set aside, by all ways, and decides about some.
func decideAside(t *testing.T, outbox *storage.Outbox) {
	t.Helper()
	list := func(filter storage.AsideFilter) (all []storage.AsideRow) {
		t.Helper()
		err := outbox.Aside(t.Context(), filter, func(rows []storage.AsideRow) error {
			all = append(all, rows...)
			return nil
		})
		if err != nil || len(all) == 0 {
			t.Fatalf("Aside = %d rows, %v, want some and no error", len(all), err)
		}
		return all
	}
	rows := list(storage.AsideFilter{Limit: outboxPage + 1})
	rows = rows[:min(len(rows), 50)]
	filter := storage.AsideFilter{Queue: rows[0].Queue, State: rows[0].State}
	for _, row := range rows {
		filter.IDs = append(filter.IDs, row.ID)
	}
	list(filter)
	half := len(rows) / 2
	for _, change := range []func() ([]int64, error){
		func() ([]int64, error) { return outbox.RetryAside(t.Context(), rows[:half+1]) },
		func() ([]int64, error) { return outbox.DropAside(t.Context(), rows[half:]) },
	} {
		if _, err := change(); err != nil {
			t.Fatalf("decide = %v, want no error", err)
		}
	}
}

func TestOutbox_readsNoMoreThanItHandsOverOnPostgres(t *testing.T) {
	t.Parallel()
	judgePlans(t, planned{
		fill: fillOutbox,
		use:  func(db *storage.DB) { useOutbox(t, db) },
		want: func(db *storage.DB, when string, plans []plancheck.Plan) { wantFewOutboxRows(t, db, when, plans) },
	})
}

// wantFewOutboxRows checks that every statement was carried out, and none read
// more than a page.
func wantFewOutboxRows(t *testing.T, db *storage.DB, when string, plans []plancheck.Plan) {
	t.Helper()
	names := make(map[string]string)
	for name, text := range storage.OutboxStatements(db) {
		names[text] = name
	}
	missing := maps.Clone(names)
	for _, plan := range plans {
		name, isOurs := names[plan.Query]
		delete(missing, plan.Query)
		for _, scan := range plan.Scans {
			if isOurs && strings.HasPrefix(scan.Table, "outbox") && scan.Read > outboxPage {
				t.Errorf("%s: %s: %s", when, name, scan)
			}
		}
	}
	for _, name := range missing {
		t.Errorf("%s: no plan of %s is seen", when, name)
	}
}

func TestOutbox_readsNoMoreThanItHandsOverOnSQLite(t *testing.T) {
	t.Parallel()
	for _, statistics := range []bool{false, true} {
		t.Run(fmt.Sprint("statistics ", statistics), func(t *testing.T) {
			t.Parallel()
			db := openSQLite(t)
			if statistics {
				pretendOutbox(t, db)
			}
			recorded := db.Record()
			useOutbox(t, db)
			missing := make(map[string]string)
			for name, text := range storage.OutboxStatements(db) {
				missing[text] = name
			}
			for _, s := range recorded() {
				delete(missing, s.Text)
				for _, look := range plancheck.Explain(t, db.Bun().DB, s.Text, s.Args...) {
					if !isOutboxLookup(look, s.Text) {
						t.Errorf("%s in%s", look.Detail, s.Text)
					}
				}
			}
			for _, name := range missing {
				t.Errorf("%s is not carried out", name)
			}
		})
	}
}

// pretendOutbox makes SQLite's planner believe in many rows of one queue.
func pretendOutbox(t *testing.T, db *storage.DB) {
	t.Helper()
	for _, query := range []string{
		"ANALYZE", "DELETE FROM sqlite_stat1",
		fmt.Sprintf("INSERT INTO sqlite_stat1 VALUES ('outbox', 'outbox_order', '%[1]d %[1]d %[1]d %[1]d 1'), ('outbox_relays', 'outbox_relays', '%[2]d %[2]d 1')", 1_000_000, oldQueues),
		"ANALYZE sqlite_schema",
	} {
		execSQL(t, db, query)
	}
}

// isOutboxLookup reports whether a look at the outbox reads no more rows than the
// statement is about.
func isOutboxLookup(look plancheck.Lookup, statement string) bool {
	switch look.Table {
	case "outbox_relays", "r":
		return look.Columns == "namespace=? AND queue=?"
	case "outbox", "o":
	default:
		return true
	}
	switch look.Columns {
	case "rowid=?", "namespace=? AND queue=? AND state=? AND rowid=?", "namespace=? AND queue=? AND state=? AND id=?":
		return true
	case "namespace=? AND queue=? AND state=?", "namespace=? AND queue=? AND state=? AND rowid>?", "namespace=? AND queue=? AND state=? AND id>?":
		// In the order of the index, up to a limit; but rows of a set are looked up.
		return !strings.Contains(statement, "json_each")
	case "namespace=?", "namespace=? AND queue>?":
		return strings.Contains(statement, "min(o.queue)")
	}
	return false
}
