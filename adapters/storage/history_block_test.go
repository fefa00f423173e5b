package storage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// plainJob returns the outcome of the nth job, one every ten milliseconds.
func plainJob(n int) domain.Record {
	return domain.Record{
		At: pastTime(50 * n), Replica: "ann", Event: domain.EventCompleted, Queue: "mail", JobName: "send",
		JobID: domain.JobID(fmt.Sprint(n)), Attempt: 1, Took: time.Millisecond,
	}
}

func appendJobs(tb testing.TB, store *storage.RunStore, first, last int) {
	tb.Helper()
	batch := make([]domain.Record, 0, last-first)
	for n := first; n < last; n++ {
		batch = append(batch, plainJob(n))
	}
	if err := store.Append(tb.Context(), batch); err != nil {
		tb.Fatalf("Append = %v, want no error", err)
	}
}

func count(t *testing.T, db *storage.DB, what string) (n int) {
	t.Helper()
	if err := db.Bun().NewRaw("SELECT count(*) FROM "+what).Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A thousand outcomes are a few rows; 32 make a block, 31 do not.
func TestRunStoreAppend_writesBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		appendJobs(t, store, 0, 1000)
		if rows, blocks := count(t, db, "history"), count(t, db, "history_blocks"); rows != 0 || blocks != 10 {
			t.Errorf("1,000 outcomes of ten seconds are %d rows and %d blocks, want no row, a block each second", rows, blocks)
		}
		appendJobs(t, store, 1000, 1031)
		if rows := count(t, db, "history"); rows != 31 {
			t.Errorf("31 outcomes are %d rows, want 31", rows)
		}
		appendJobs(t, store, 1031, 1063)
		if rows, batches := count(t, db, "history"), count(t, db, "history_batches"); rows != 31 || batches != 2 {
			t.Errorf("after 32 outcomes: %d rows and %d batches, want 31 as before, and 2", rows, batches)
		}
	})
}

// What a block has no room for, or lies more than a second apart, is a row if there
// is too little of it.
func TestRunStoreAppend_writesNoSmallBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		var batch []domain.Record
		for n := range 543 { // a block of 512, and 31
			r := plainJob(n)
			r.At = pastTime(0)
			batch = append(batch, r)
		}
		for n := range 40 {
			r := plainJob(1000 + 200*n)
			r.JobName = "apart"
			batch = append(batch, r)
		}
		if err := store.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if rows, blocks := count(t, db, "history"), count(t, db, "history_blocks"); rows != 31+40 || blocks != 1 {
			t.Errorf("there are %d rows and %d blocks, want 71 and 1", rows, blocks)
		}
		for _, id := range []domain.JobID{"0", "511", "512", "542", "1000", "8800"} {
			found, err := store.Query(t.Context(), domain.RunFilter{JobIDs: []domain.JobID{id}})
			if err != nil || len(found) != 1 || found[0].JobID != id {
				t.Errorf("of job %s there are %v, %v, want its record", id, found, err)
			}
		}
	})
}

// Of what lies in blocks and in rows the oldest goes first, and nothing that is
// to be kept; what goes with the last of a block, its batch and kind, goes too.
func TestRunStorePrune_removesWholeBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		for first := 0; first < 2000; first += 250 {
			appendJobs(t, store, first, first+250)
			row := plainJob(first + 125)
			row.Event, row.Reason = domain.EventFailed, "no answer"
			if err := store.Append(t.Context(), []domain.Record{row}); err != nil {
				t.Fatal(err)
			}
		}
		prune := func(keep domain.RunRetention, least, most int) {
			t.Helper()
			before := len(all(t, store))
			removed := pruneAll(t, store, keep, 30) // fewer than a block has
			found := all(t, store)
			if len(found) != before-removed || len(found) < least || len(found) > most {
				t.Errorf("of %d records %d were removed and %d are left, want from %d to %d", before, removed, len(found), least, most)
			}
			if n := count(t, db, "history_records"); n != len(found) {
				t.Errorf("the view has %d records, want %d", n, len(found))
			}
		}
		oldest := pastTime(50 * 310)
		prune(domain.RunRetention{Since: oldest}, 1697, 1797)
		for _, r := range all(t, store) {
			if r.At.Before(oldest.Add(-time.Second)) {
				t.Fatalf("a record of %v is left, want none more than a second before %v", r.At, oldest)
			}
		}
		prune(domain.RunRetention{Count: 500}, 500, 600)
		prune(domain.RunRetention{Since: pastTime(50 * 9999)}, 0, 0)
		if batches, kinds := count(t, db, "history_batches"), count(t, db, "history_kinds"); batches != 0 || kinds != 0 {
			t.Errorf("%d batches and %d kinds are left of nothing, want none", batches, kinds)
		}
	})
}

// pruneAll prunes until nothing is left to do, and then looks for unused kinds.
func pruneAll(t *testing.T, store *storage.RunStore, keep domain.RunRetention, step int) (removed int) {
	t.Helper()
	for {
		n, err := store.Prune(t.Context(), keep, step)
		if err != nil || n > step+512 {
			t.Fatalf("Prune = %d, %v, want about %d and no error", n, err, step)
		}
		removed += n
		if n == 0 {
			return removed
		}
	}
}

// While some append, others prune and one reads, nothing comes twice, and what is
// counted as left is.
func TestRunStorePrune_whileOthersAppendAndRead(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		const writers, batches, size = 3, 20, 100
		var appending, others sync.WaitGroup
		var removed atomic.Int64
		for w := range writers {
			appending.Go(func() { appendAll(t, db.RunStore(""), fmt.Sprint("w", w), batches, size) })
		}
		done, stop := context.WithCancel(t.Context())
		for range 2 {
			others.Go(func() {
				for done.Err() == nil || removed.Load() == 0 {
					n, err := db.RunStore("").Prune(t.Context(), domain.RunRetention{Count: 200}, 70)
					if err != nil {
						t.Error(err)
					}
					removed.Add(int64(n))
				}
			})
		}
		others.Go(func() {
			for done.Err() == nil {
				for _, f := range []domain.RunFilter{{Limit: 500}, {JobIDs: []domain.JobID{"2", "100"}}, {AfterID: -1, Limit: 50}} {
					isFoundOnce(t, db.RunStore("").WithBlocks(2, 1), f)
				}
			}
		})
		appending.Wait()
		stop()
		others.Wait()
		var counted int
		if err := db.Bun().NewRaw("SELECT records + in_blocks FROM histories").Scan(t.Context(), &counted); err != nil {
			t.Fatal(err)
		}
		left, gone := len(all(t, db.RunStore(""))), int(removed.Load())
		if left != counted || left+gone != writers*batches*size || gone == 0 {
			t.Errorf("%d records are left and %d counted, %d removed, want %d together", left, counted, gone, writers*batches*size)
		}
	})
}

func isFoundOnce(t *testing.T, store *storage.RunStore, filter domain.RunFilter) {
	t.Helper()
	found, err := store.Query(t.Context(), filter)
	if err != nil {
		t.Error(err)
	}
	seen := map[int64]bool{}
	for i := range found {
		if seen[found[i].ID] {
			t.Errorf("record %d is found twice", found[i].ID)
		}
		seen[found[i].ID] = true
	}
}

func all(t *testing.T, store *storage.RunStore) []domain.Record {
	t.Helper()
	found, err := store.Query(context.WithoutCancel(t.Context()), domain.RunFilter{AfterID: -1, Limit: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Numbers go on whatever was removed.
func TestRunStoreAppend_numbersGoOn(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store, latest := db.RunStore(""), int64(0)
		grown := func(what string) {
			t.Helper()
			found := all(t, store)
			last := found[len(found)-1].ID
			if last <= latest {
				t.Errorf("after %s the last number is %d, want more than %d", what, last, latest)
			}
			latest = last
		}
		for range 3 {
			appendJobs(t, store, 0, 40)
			grown("blocks")
			appendJobs(t, store, 40, 42)
			grown("rows")
			pruneAll(t, store, domain.RunRetention{Since: pastTime(1_000_000)}, 100)
		}
	})
}

// Whatever namespaces share a database, each has its own records, in one order.
func TestRunStore_besideOtherNamespaces(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		want := map[string]int{}
		for round := range 4 {
			for _, name := range []string{"a", "b", "c", "a"} {
				store := db.RunStore(name)
				appendJobs(t, store, 50*round, 50*round+2)
				appendJobs(t, store, 50*round, 50*round+40)
				mixed := []domain.Record{plainJob(1), pastRun(1)}
				for n := range 40 {
					mixed = append(mixed, plainJob(n))
				}
				started := pastRun(5)
				started.Event, started.Fields = domain.EventStarted, []domain.Field{{Path: "round", Value: fmt.Sprint(round)}}
				ended := started
				ended.Event = domain.EventCompleted
				for _, batch := range [][]domain.Record{mixed, {started}, {ended}} {
					if err := store.Append(t.Context(), batch); err != nil {
						t.Fatalf("Append to %s = %v, want no error", name, err)
					}
				}
				want[name] += 2 + 40 + 42 + 2
			}
		}
		for name, n := range want {
			store := db.RunStore(name)
			found := all(t, store)
			for i := range found[1:] {
				if found[i+1].ID <= found[i].ID {
					t.Fatalf("%s: number %d comes after %d", name, found[i+1].ID, found[i].ID)
				}
			}
			underWay, err := store.Query(t.Context(), domain.RunFilter{UnderWay: true})
			if len(found) != n || len(underWay) != 1 || err != nil {
				t.Errorf("%s: %d records, %d under way, %v, want %d and 1", name, len(found), len(underWay), err, n)
			}
			fielded, err := store.Query(t.Context(), domain.RunFilter{Fields: []domain.Field{{Path: "round", Value: "3"}}})
			if len(fielded) != 2*n/(4*86) || err != nil {
				t.Errorf("%s: %d records have the field, %v, want two of each round", name, len(fielded), err)
			}
		}
	})
}

// A worker of the version before, which knows no blocks, harms none: it gives rows numbers
// of its own, prunes by the number of rows, and removes kinds without rows.
func TestRunStore_besideTheVersionBefore(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		appendJobs(t, store, 0, 40)
		for range 3 {
			execSQL(t, db, "INSERT INTO history (at_us, kind, space) SELECT 1, kind, space FROM history_kinds LIMIT 1")
			execSQL(t, db, "UPDATE histories SET records = records + 1")
			execSQL(t, db, "DELETE FROM history_kinds WHERE NOT EXISTS (SELECT 1 FROM history AS h WHERE h.kind = history_kinds.kind)")
			mixed := []domain.Record{pastRun(1)}
			for n := range 40 {
				mixed = append(mixed, plainJob(n))
			}
			for _, batch := range [][]domain.Record{mixed, {pastRun(2)}} {
				if err := store.Append(t.Context(), batch); err != nil {
					t.Fatalf("Append = %v, want no error", err)
				}
			}
		}
		if found := all(t, store); len(found) != 40+3*(1+41+1) {
			t.Errorf("%d records, want all %d", len(found), 40+3*43)
		}
		var rows int
		if err := db.Bun().NewRaw("SELECT records FROM histories").Scan(t.Context(), &rows); err != nil || rows != count(t, db, "history") {
			t.Errorf("%d rows are counted, %v, want the %d that there are: the version before prunes by it", rows, err, count(t, db, "history"))
		}
		execSQL(t, db, "DELETE FROM history")
		execSQL(t, db, "DELETE FROM history_kinds WHERE NOT EXISTS (SELECT 1 FROM history AS h WHERE h.kind = history_kinds.kind)")
		if found := all(t, store); len(found) != 160 {
			t.Errorf("%d records are left, want the 160 in blocks", len(found))
		}
	})
}

// Who follows a history while several write it, rows and blocks of each batch,
// sees each record once and those of a writer in their order.
func TestRunStoreQuery_followsBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		const writers, batches, size = 3, 25, 60
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() { appendAll(t, db.RunStore(""), fmt.Sprint("w", w), batches, size) })
		}
		written := make(chan struct{})
		go func() {
			group.Wait()
			close(written)
		}()
		store, seen, last := db.RunStore("").WithBlocks(1, 1), map[string]int{}, int64(-1)
		for done := false; ; {
			found, err := store.Query(t.Context(), domain.RunFilter{AfterID: last, Limit: 17})
			if err != nil {
				t.Fatal(err)
			}
			for i := range found {
				r := &found[i]
				if seen[r.Replica]++; r.Count != seen[r.Replica] || r.ID <= last {
					t.Fatalf("record %d of %s, number %d, comes after record %d and number %d", r.Count, r.Replica, r.ID, seen[r.Replica]-1, last)
				}
				last = r.ID
			}
			if done && len(found) == 0 {
				break
			}
			select {
			case <-written:
				done = true
			default:
			}
		}
		for w := range writers {
			if n := seen[fmt.Sprint("w", w)]; n != batches*size {
				t.Errorf("%d records of writer %d were seen, want %d", n, w, batches*size)
			}
		}
	})
}

// A block of a large batch may begin long before a record that it has.
func TestRunStoreQuery_followsBlocksOfALargeBatch(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		appendJobs(t, store, 0, 100)
		batch := make([]domain.Record, 20_000)
		for n := range batch {
			batch[n] = plainJob(n)
			if batch[n].At = pastTime(n / 10); n%500 == 0 {
				batch[n].JobName = "apart"
			}
		}
		appendTo(t, store, batch)
		appendJobs(t, store, 0, 100)
		known := all(t, store)
		for _, n := range []int{99, 100, 8000, 19_500, 19_700} {
			want := 40 - (n-100+500)/500
			found, err := store.Query(t.Context(), domain.RunFilter{AfterID: known[n].ID, JobName: "apart"})
			if len(found) != want || err != nil {
				t.Errorf("after record %d come %d, %v, want %d", n, len(found), err, want)
			}
		}
	})
}

// The view shows people and their tools what queries find.
func TestHistoryRecords_areThoseOfQueries(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("shop")
		batch := append([]domain.Record{pastRun(1), pastRun(8)}, wholeRun(2)...)
		for n := range 40 {
			r := plainJob(n)
			r.JobID, r.Attempt, r.Late, r.Count = domain.JobID(fmt.Sprintf("j\"%d", n)), n%3, time.Duration(n%2)*time.Second, n%5/4
			batch = append(batch, r)
		}
		if err := store.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		want, got := all(t, store), []domain.Record(nil)
		rows, err := db.Bun().QueryContext(t.Context(), `SELECT id, at_us, event, job, origin, queue, job_name, coalesce(job_id, ''), replica,
			coalesce(attempt, 0), coalesce(planned_ms, 0), coalesce(took_us, 0), coalesce(late_us, 0), coalesce(count, 0) FROM history_records WHERE namespace = 'shop' ORDER BY id`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close() //nolint:errcheck // Err tells
		for rows.Next() {
			var r domain.Record
			var atUS, took, late int64
			if err := rows.Scan(&r.ID, &atUS, &r.Event, &r.Run.Job, &r.Run.Origin, &r.Queue, &r.JobName, &r.JobID, &r.Replica,
				&r.Attempt, &r.Run.PlannedMS, &took, &late, &r.Count); err != nil {
				t.Fatal(err)
			}
			r.At, r.Took, r.Late = time.UnixMicro(atUS).UTC(), time.Duration(took)*time.Microsecond, time.Duration(late)*time.Microsecond
			got = append(got, r)
		}
		if diff := cmp.Diff(want, got); diff != "" || rows.Err() != nil {
			t.Errorf("the view differs, %v (-want +got):\n%s", rows.Err(), diff)
		}
	})
}

// A filter never denies an id that it was given, and seldom takes another for one.
func TestJobFilter(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 8))
	for _, ids := range []int{1, 8, 32, 100, 512} {
		filter, taken := storage.NewJobFilter(ids), 0
		for n := range ids {
			filter.Add(domain.JobID(fmt.Sprint(n)))
		}
		for n := range ids {
			if !filter.MayHave(domain.JobID(fmt.Sprint(n))) {
				t.Fatalf("a filter of %d ids denies %d", ids, n)
			}
		}
		for range 10_000 {
			if filter.MayHave(domain.JobID(fmt.Sprint("other-", dice.Uint64()))) {
				taken++
			}
		}
		if ids >= 32 && taken > 30 {
			t.Errorf("a filter of %d ids takes %d of 10,000 others for one, want 0.3 %% at most", ids, taken)
		}
	}
}

// Damaged filters are told; whatever they are, looking through them ends.
func FuzzBlocksWith(f *testing.F) {
	for _, filters := range [][]byte{{}, {0, 1, 255}, {0, 2, 255, 255, 32, 1, 255}, {0, 0}, {0, 9, 1}, {255}, {0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}} {
		f.Add(filters)
	}
	f.Fuzz(func(t *testing.T, filters []byte) {
		if places, err := storage.BlocksWith(filters, "1"); err != nil && places != nil {
			t.Errorf("BlocksWith(%v) = %v and %v", filters, places, err)
		}
	})
}

func TestBlocksWith(t *testing.T) {
	for filters, want := range map[string]int{
		"": 0, "\x00\x01\xff": 1, "\x00\x01\x00": 0, "\x00\x02\xff\xff\x20\x01\xff": 2,
		"\x00\x00": -1, "\x00\x09\xff": -1, "\xff": -1, "\x00": -1, "\xff\xff\xff\x7f\x01\xff": -1, "\x00\x01\xff\x20": -1,
	} {
		places, err := storage.BlocksWith([]byte(filters), "1")
		if (err != nil) != (want < 0) || err == nil && len(places) != want {
			t.Errorf("BlocksWith(%q) = %v, %v, want %d", filters, places, err, want)
		}
	}
}

// Whatever lies in a block, reading it ends with records or an error.
func FuzzReadBlock(f *testing.F) {
	for _, text := range []string{`[[0,0,"1"]]`, `[[0,5,"a\"b",1,250],[3,-9,"",0,0,7,8,9]]`, `[]`, ``, `[[0,0,"1"]`, `[[0,0,1]]`, `[[0,0,"1",1,1,1,1,1,1]]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		records, err := storage.ReadBlock(text)
		if err == nil && len(records) != strings.Count(text, "[")-1 && !strings.ContainsAny(text, `"`) {
			t.Errorf("ReadBlock(%q) = %d records", text, len(records))
		}
	})
}

func TestReadBlock(t *testing.T) {
	for text, want := range map[string]int{
		`[[0,0,"1"]]`: 1, `[[0,5,"a\"b",1,250],[3,9,"",0,0,7,8,9]]`: 2,
		`[]`: -1, ``: -1, `[[0,0,"1"]`: -1, `[[0,0,1]]`: -1, `[[0,0,"1",1,1,1,1,1,1]]`: -1, `[[0,0,"1"]]]`: -1, `[[0,0,"1"],]`: -1,
	} {
		records, err := storage.ReadBlock(text)
		if (err != nil) != (want < 0) || err == nil && len(records) != want {
			t.Errorf("ReadBlock(%q) = %d records, %v, want %d", text, len(records), err, want)
		}
	}
}
