package storage_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

func appendEnds(tb testing.TB, store *storage.RunStore, first, last int) {
	tb.Helper()
	batch := make([]domain.Record, 0, last-first)
	for n := first; n < last; n++ {
		batch = append(batch, pastEnd(n))
	}
	if err := store.Append(tb.Context(), batch); err != nil {
		tb.Fatalf("Append = %v, want no error", err)
	}
}

// wantEnds wants so many records of the job of the nth run, and the kinds of all.
func wantEnds(t *testing.T, db *storage.DB, store *storage.RunStore, n, want int) {
	t.Helper()
	found, err := store.Query(t.Context(), domain.RunFilter{Job: pastEnd(n).Run.Job})
	if err != nil || len(found) != want {
		t.Errorf("%d records of job %d are found, %v, want %d", len(found), n, err, want)
	}
	if rows, shown := count(t, db, "history"), count(t, db, "history_records"); rows != shown {
		t.Errorf("%d rows are %d records, want all to have a kind", rows, shown)
	}
}

// The kinds of a batch are looked up once, those that are new among them alone.
func TestRunStoreAppend_looksKindsUpOnce(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	store := db.RunStore("shop")
	sent := store.KindsSent()
	appendEnds(t, store, 0, 10)
	appendEnds(t, store, 0, 10)
	appendEnds(t, store, 5, 12)
	appendEnds(t, store, 0, 12)
	if want := []int{10, 2}; !slices.Equal(*sent, want) {
		t.Errorf("batches look up %v kinds, want %v", *sent, want)
	}
	wantEnds(t, db, store, 6, 4)
	wantEnds(t, db, store, 11, 2)
}

// Who appends while others remove kinds, even such that do not tell, notices.
func TestRunStoreAppend_afterKindsWereRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store, other := db.RunStore("shop"), db.RunStore("elsewhere")
		remove := map[string]func(){
			"by a replica": func() {
				pruneAll(t, db.RunStore("shop"), domain.RunRetention{Since: pastTime(1_000_000)}, 100)
			},
			"partly": func() {
				execSQL(t, db, "DELETE FROM history WHERE id > (SELECT min(id) FROM history)")
				pruneAll(t, db.RunStore("shop"), domain.RunRetention{Count: 100}, 100)
			},
		}
		for name, remove := range remove {
			appendEnds(t, store, 0, 10)
			appendEnds(t, other, 0, 10)
			remove()
			if kinds := count(t, db, "history_kinds"); kinds >= 20 {
				t.Fatalf("%s: all %d kinds are left: the test shows nothing", name, kinds)
			}
			before := count(t, db, "history")
			appendEnds(t, store, 0, 12)
			appendEnds(t, store, 0, 12)
			appendEnds(t, other, 0, 10)
			if n := count(t, db, "history") - before; n != 34 {
				t.Errorf("%s: three batches are %d rows, want each record once: 34", name, n)
			}
			wantEnds(t, db, store, 8, 2)
			wantEnds(t, db, store, 11, 2)
			pruneAll(t, store, domain.RunRetention{Since: pastTime(1_000_000)}, 100)
			pruneAll(t, other, domain.RunRetention{Since: pastTime(1_000_000)}, 100)
		}
	})
}

// A worker of the version before removes kinds and counts nothing.
func TestRunStoreAppend_afterTheVersionBeforeRemovedKinds(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	store := db.RunStore("shop")
	appendEnds(t, store, 0, 3)
	execSQL(t, db, "DELETE FROM history")
	execSQL(t, db, "DELETE FROM history_kinds")
	appendEnds(t, store, 0, 3)
	wantEnds(t, db, store, 1, 1)
}

// A server that took another's place may lack the latest it had told of, and have given
// the numbers of its kinds to others.
func TestRunStoreAppend_afterTheServerWasSetBack(t *testing.T) {
	t.Parallel()
	uri := migrated(t)
	db := openAs(t, uri, "worker_run")
	store := db.RunStore("shop")
	appendEnds(t, store, 0, 1)
	pgtest.Exec(t, uri, "SET search_path = worker; CREATE TABLE writers AS TABLE history_writers")
	appendEnds(t, store, 1, 2)
	pgtest.Exec(t, uri, `SET search_path = worker; SET session_replication_role = replica;
		DELETE FROM history WHERE kind = 2; DELETE FROM history_kinds WHERE kind = 2; DELETE FROM history_writers; INSERT INTO history_writers TABLE writers;
		UPDATE histories SET records = 1, latest = first - 1, first = first - 1; ALTER TABLE history_kinds ALTER kind RESTART WITH 2`)
	appendEnds(t, db.RunStore("shop"), 2, 3)
	if kinds := count(t, db, "history_kinds WHERE kind = 2 AND job = 'job-2'"); kinds != 1 {
		t.Fatal("no other kind has the number: the test shows nothing")
	}
	appendEnds(t, store, 1, 2)
	for n := range 3 {
		wantEnds(t, db, store, n, 1)
	}
}

// Whether or not a batch was carried out whose reply was lost, and whatever is forgotten
// until it is sent again, it is written once.
func TestRunStoreAppend_isRepeatedAfterKindsWereRemoved(t *testing.T) {
	t.Parallel()
	for name, carriedOut := range map[string]bool{"carried out": true, "not carried out": false} {
		for removal, remove := range map[string]string{"kinds removed": "UPDATE histories SET forgotten = forgotten + 1", "nothing removed": "SELECT 1"} {
			t.Run(name+", "+removal, func(t *testing.T) {
				t.Parallel()
				db := openPostgres(t)
				store := db.RunStore("shop")
				appendEnds(t, store, 0, 3)
				for range 2 {
					store.LoseReply(carriedOut, func() { execSQL(t, db, remove) })
					appendEnds(t, store, 0, 3)
					store.LoseReply(carriedOut, func() { execSQL(t, db, remove) })
					appendEnds(t, store, 0, 4)
					appendEnds(t, store, 0, 4)
				}
				wantEnds(t, db, store, 2, 7)
				wantEnds(t, db, store, 3, 4)
				if n := count(t, db, "history"); n != 3+2*(3+4+4) {
					t.Errorf("%d rows, want each record once: %d", n, 3+2*(3+4+4))
				}
			})
		}
	}
}

// What is remembered is bounded, and right.
func TestKnownKinds_areBounded(t *testing.T) {
	t.Parallel()
	known := storage.NewKnownKinds()
	for n := range 3*storage.MostKnownKinds + 1 {
		known.Add(fmt.Sprint(n), int64(n))
	}
	if count := known.Len(); count == 0 || count > storage.MostKnownKinds {
		t.Errorf("%d kinds are remembered, want %d at most", count, storage.MostKnownKinds)
	}
	if last := 3 * storage.MostKnownKinds; known.Of(fmt.Sprint(last)) != int64(last) || known.Of("another") != 0 {
		t.Errorf("the latest kind is %d, another %d, want %d and 0", known.Of(fmt.Sprint(last)), known.Of("another"), last)
	}
}
