package storage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// wholeRun returns all that there is of the nth of some short runs.
func wholeRun(n int) []domain.Record {
	return []domain.Record{shortRun(3 * n), shortRun(3*n + 1), shortRun(3*n + 2)}
}

func appendTo(tb testing.TB, store *storage.RunStore, batches ...[]domain.Record) {
	tb.Helper()
	for _, batch := range batches {
		if err := store.Append(tb.Context(), batch); err != nil {
			tb.Fatalf("Append = %v, want no error", err)
		}
	}
}

// isStored checks that the store has the records, in the order in which they were appended.
func isStored(t *testing.T, store *storage.RunStore, want []domain.Record) {
	t.Helper()
	got := all(t, store)
	for i := len(got) - 1; i >= 0; i-- {
		if got[i].ID != got[0].ID+int64(i) {
			t.Fatalf("record %d has the number %d, the first %d: want no gap", i, got[i].ID, got[0].ID)
		}
		got[i].ID = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is stored differs (-want +got):\n%s", diff)
	}
}

// Of a run that an earlier batch claimed, the start and the end are a block.
func TestRunStoreAppend_writesEndsOfRunsAsBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		a, b := wholeRun(1), wholeRun(2)
		appendTo(t, store, slices.Concat(a[:1], b[:1]), slices.Concat(a[1:2], b[1:], a[2:]))
		for what, want := range map[string]int{
			"history": 2, "history_blocks WHERE count = 2 AND planned_ms > 0": 2, "history_batches": 0, "history_kinds": 4,
			"history_under_way": 0, "history_records WHERE event = 'completed'": 2, "history_records WHERE event = 'started'": 2,
		} {
			if n := count(t, db, what); n != want {
				t.Errorf("%s: %d rows, want %d", what, n, want)
			}
		}
		isStored(t, store, slices.Concat(a[:1], b[:1], a[1:2], b[1:], a[2:]))
		for event, want := range map[domain.Event]int{domain.EventClaimed: 2, domain.EventStarted: 2, domain.EventCompleted: 2, domain.EventFailed: 0} {
			found, err := store.Query(t.Context(), domain.RunFilter{Events: []domain.Event{event}})
			if len(found) != want || err != nil {
				t.Errorf("%d records are found that are %s, %v, want %d", len(found), event, err, want)
			}
		}
	})
}

// Runs that begin and end in a batch are a block each, wherever their records stand in it,
// and no kinds are known but theirs; what else the batch has is kept as ever.
func TestRunStoreAppend_writesRunsAsBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		a, b, c := wholeRun(1), wholeRun(2), wholeRun(10_001) // the first and the last are of one job
		batch := slices.Concat(a[:1], b[:2], c[:1], a[1:2], c[1:], b[2:], a[2:])
		appendTo(t, store, batch)
		for what, want := range map[string]int{
			"history": 0, "history_blocks": 3, "history_blocks WHERE count = 3 AND planned_ms > 0": 3, "history_batches": 0, "history_kinds": 2,
			"history_under_way": 0, "histories WHERE records = 0 AND in_blocks = 9": 1,
		} {
			if n := count(t, db, what); n != want {
				t.Errorf("%s: %d rows, want %d", what, n, want)
			}
		}
		mixed := slices.Concat(wholeRun(3)[:2], wholeRun(4), []domain.Record{pastRun(1)})
		for n := range 40 {
			mixed = append(mixed, plainJob(n))
		}
		appendTo(t, store, mixed)
		const withOneFilter = "history_batches WHERE length(job_ids) = 1 + 1 + 2 * 40"
		if rows, blocks, batches := count(t, db, "history"), count(t, db, "history_blocks"), count(t, db, withOneFilter); rows != 3 || blocks != 5 || batches != 1 {
			t.Errorf("there are %d rows, %d blocks and %d batches, want 3, 5 and 1", rows, blocks, batches)
		}
		isStored(t, store, append(batch, mixed...))
	})
}

// oddRuns returns runs that a block has no room for, by what keeps them from it.
func oddRuns() map[string][]domain.Record {
	runs := map[string][]domain.Record{}
	odd := func(name string, change func(run []domain.Record)) {
		run := wholeRun(len(runs))
		change(run)
		runs[name] = run
	}
	each := func(change func(r *domain.Record)) func([]domain.Record) {
		return func(run []domain.Record) {
			for i := range run {
				change(&run[i])
			}
		}
	}
	at := func(times ...time.Duration) func([]domain.Record) {
		return func(run []domain.Record) {
			for i := range run {
				run[i].At = run[i].Run.Planned().Add(times[i])
			}
		}
	}
	for n, event := range []domain.Event{domain.EventJittered, domain.EventRetrying, domain.EventFailed} {
		odd(fmt.Sprint("event ", n), func(run []domain.Record) { run[n].Event = event })
		odd(fmt.Sprint("replica ", n), func(run []domain.Record) { run[n].Replica = "bob" })
		odd(fmt.Sprint("reason ", n), func(run []domain.Record) { run[n].Reason = "why" })
		odd(fmt.Sprint("fields ", n), func(run []domain.Record) { run[n].Fields = []domain.Field{{Path: "a", Value: "1"}} })
	}
	odd("by", func(run []domain.Record) { run[1].By = "bob" })
	odd("stack", func(run []domain.Record) { run[2].Stack = "goroutine 1" })
	odd("schedule", func(run []domain.Record) { run[0].Schedule = "every 1s" })
	odd("until", func(run []domain.Record) { run[0].Until = run[0].Run.Planned().Add(time.Second) })
	odd("queue", func(run []domain.Record) { run[2].Queue = "mail" })
	odd("job id", func(run []domain.Record) { run[2].JobID = "1" })
	odd("job name", func(run []domain.Record) { run[2].JobName = "send" })
	odd("origin", each(func(r *domain.Record) { r.Run.Origin = domain.OriginManual }))
	odd("origin id", each(func(r *domain.Record) { r.Run.OriginID = "x" }))
	odd("order", func(run []domain.Record) { run[0], run[1] = run[1], run[0] })
	odd("before the instant", at(-time.Microsecond, 0, 0))
	odd("long after the instant", at(9*time.Second, 9*time.Second, 10*time.Second+time.Microsecond))
	odd("long", at(0, 0, time.Second+time.Microsecond))
	odd("the start before the claim", at(2*time.Millisecond, time.Millisecond, 3*time.Millisecond))
	odd("the end before the start", at(0, 2*time.Millisecond, time.Millisecond))
	odd("far in time", each(func(r *domain.Record) { r.Run.PlannedMS = -1 << 62 }))
	return runs
}

// aliveIn returns how many of the records are signs of life.
func aliveIn(records []domain.Record) (n int) {
	for i := range records {
		if records[i].Event == domain.EventWorkerAlive {
			n++
		}
	}
	return n
}

// A run of which there is anything else to tell, or that did not begin and end within a
// batch, a second, and ten of its instant, is rows.
func TestRunStoreAppend_writesOtherRunsAsRows(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		runs := oddRuns()
		runs["two claims"] = append(wholeRun(100)[:1], wholeRun(100)...)
		runs["no start"] = slices.Delete(wholeRun(101), 1, 2)
		runs["no end"] = wholeRun(103)[:2]
		runs["a start alone"] = wholeRun(104)[1:2]
		runs["an end alone"] = wholeRun(105)[2:]
		runs["an end before its start"] = slices.Concat(wholeRun(106)[2:], wholeRun(106)[1:2])
		far := wholeRun(102)
		between := make([]domain.Record, storage.MostApart-1)
		for n := range between {
			between[n] = domain.Record{At: far[0].At, Replica: "ann", Event: domain.EventWorkerAlive}
		}
		runs["far apart"] = slices.Concat(far[:2], between, far[2:])
		for name, run := range runs {
			store := db.RunStore(name)
			appendTo(t, store, run)
			if blocks := count(t, db, "history_blocks"); blocks != 0 {
				t.Errorf("%s: the run is a block, want rows", name)
				execSQL(t, db, "DELETE FROM history_blocks")
			}
			isStored(t, store, run)
			found, err := store.Query(t.Context(), domain.RunFilter{Runs: []domain.RunKey{run[0].Run}})
			if err != nil || len(found) == 0 || len(found) != len(run)-aliveIn(run) {
				t.Errorf("%s: %d records of the run are found, %v, want all", name, len(found), err)
			}
		}
	})
}

// As far as blocks go, they go.
func TestRunStoreAppend_writesRunsAsBlocksUpToTheirBounds(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		early, late, numbers, apart := wholeRun(1), wholeRun(2), wholeRun(3), wholeRun(4)
		for n, after := range []time.Duration{0, 0, time.Second} {
			early[n].At, late[n].At = early[n].Run.Planned().Add(after), late[n].Run.Planned().Add(9*time.Second+after)
		}
		for n := range numbers {
			r := &numbers[n]
			r.Attempt, r.Took, r.Late, r.Wait, r.Count = 7+n, time.Duration(n)*time.Hour, -time.Second, time.Minute, n
		}
		batch := slices.Concat(early, late, numbers, apart[:2])
		for range storage.MostApart - 2 {
			batch = append(batch, domain.Record{At: late[0].At, Replica: "ann", Event: domain.EventWorkerAlive})
		}
		batch = append(batch, apart[2])
		appendTo(t, store, batch)
		if blocks := count(t, db, "history_blocks"); blocks != 4 {
			t.Errorf("there are %d blocks, want 4", blocks)
		}
		isStored(t, store, batch)
		for _, run := range [][]domain.Record{early, late, numbers, apart} {
			for what, filter := range map[string]domain.RunFilter{"run": {Runs: []domain.RunKey{run[0].Run}}, "tick": {Job: run[0].Run.Job, Tick: run[0].Run.Planned()}} {
				found, err := store.Query(t.Context(), filter)
				if len(found) != 3 || err != nil {
					t.Errorf("%d records of the %s %v are found, %v, want 3", len(found), what, run[0].Run, err)
				}
			}
		}
		following, err := store.Query(t.Context(), domain.RunFilter{AfterID: all(t, store)[len(batch)-2].ID, Limit: 5})
		if len(following) != 1 || err != nil || following[0].Run != apart[2].Run {
			t.Errorf("after the last but one come %v, %v, want the last of the run whose block began long before", following, err)
		}
	})
}

// A run that an earlier batch left under way is ended by one that comes whole, and
// nothing is left of it when it is pruned.
func TestRunStore_endsAndPrunesRunsInBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		for n := range 10 {
			appendTo(t, store, wholeRun(n)[:1])
		}
		for n := range 10 {
			appendTo(t, store, wholeRun(n))
		}
		if underWay, blocks := count(t, db, "history_under_way"), count(t, db, "history_blocks"); underWay != 0 || blocks != 10 {
			t.Fatalf("%d runs are under way and %d blocks stored, want 0 and 10", underWay, blocks)
		}
		if removed, err := store.Prune(t.Context(), domain.RunRetention{Count: 20}, 7); removed < 7 || removed > 9 || err != nil {
			t.Errorf("Prune = %d, %v, want 7 or little more", removed, err)
		}
		pruneAll(t, store, domain.RunRetention{Count: 20}, 7)
		if left, counted := len(all(t, store)), count(t, db, "histories WHERE records + in_blocks BETWEEN 20 AND 22"); left < 20 || left > 22 || counted != 1 {
			t.Errorf("%d records are left, want 20 and not all of one more run, and so many counted", left)
		}
		appendTo(t, store, wholeRun(20)[:1])
		pruneAll(t, store, domain.RunRetention{Since: pastTime(1_000_000)}, 7)
		pruneAll(t, store, domain.RunRetention{}, 7) // the kind of what was under way
		for _, table := range []string{"history", "history_blocks", "history_kinds", "history_under_way"} {
			if n := count(t, db, table); n != 0 {
				t.Errorf("%s has %d rows, want none", table, n)
			}
		}
	})
}

// What is asked for a job or instant is found alike when many other jobs ran then, and
// when most of the job's own runs are rows.
func TestRunStoreQuery_findsRunsAmongManyJobs(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("").WithNewest(50)
		var batch []domain.Record
		for n := range 3000 {
			batch = append(batch, wholeRun(n%600)...)
			for i := range batch[3*n:] {
				shift := time.Duration(n/600) * 20 * time.Second
				batch[3*n+i].At = batch[3*n+i].At.Add(shift)
				batch[3*n+i].Run.PlannedMS += shift.Milliseconds()
			}
		}
		appendTo(t, store, batch, wholeRun(599)[:2], wholeRun(700)[:1])
		tick := batch[3*(600+7)].Run
		for name, f := range map[string]struct {
			filter domain.RunFilter
			want   int
		}{
			"job":                {domain.RunFilter{Job: "job-7"}, 15},
			"job, newest":        {domain.RunFilter{Job: "job-599", Limit: 4}, 4},
			"rows alone":         {domain.RunFilter{Job: "job-700"}, 1},
			"run":                {domain.RunFilter{Runs: []domain.RunKey{tick}}, 3},
			"tick":               {domain.RunFilter{Job: "job-7", Tick: tick.Planned()}, 3},
			"tick of all":        {domain.RunFilter{Tick: tick.Planned(), Limit: 5000}, 1800},
			"ends":               {domain.RunFilter{Events: []domain.Event{domain.EventCompleted}, Limit: 5000}, 3000},
			"starts of a job":    {domain.RunFilter{Job: "job-599", Events: []domain.Event{domain.EventStarted}}, 6},
			"failures":           {domain.RunFilter{Events: []domain.Event{domain.EventFailed}}, 0},
			"origins":            {domain.RunFilter{Origins: domain.Origins(), Limit: 10_000}, 9003},
			"other origins":      {domain.RunFilter{Origins: []domain.Origin{domain.OriginManual}}, 0},
			"run of an id":       {domain.RunFilter{Runs: []domain.RunKey{{Job: "job-7", Origin: domain.OriginSchedule, OriginID: "x", PlannedMS: tick.PlannedMS}}}, 0},
			"another instant":    {domain.RunFilter{Job: "job-7", Tick: tick.Planned().Add(time.Millisecond)}, 0},
			"instant too far":    {domain.RunFilter{Job: "job-7", Tick: time.Unix(1<<52, 0)}, 0},
			"job and job id":     {domain.RunFilter{Job: "job-7", JobIDs: []domain.JobID{"1"}}, 0},
			"job and field":      {domain.RunFilter{Job: "job-7", Fields: []domain.Field{{Path: "a", Value: "1"}}}, 0},
			"job and queue":      {domain.RunFilter{Job: "job-7", Queue: "mail"}, 0},
			"under way":          {domain.RunFilter{UnderWay: true}, 2},
			"job, not under way": {domain.RunFilter{UnderWay: true, Job: "job-7"}, 0},
		} {
			found, err := store.Query(t.Context(), f.filter)
			if len(found) != f.want || err != nil {
				t.Errorf("%s: %d records, %v, want %d", name, len(found), err, f.want)
			}
			for i := range found {
				if !f.filter.Selects(&found[i]) {
					t.Errorf("%s: %v is found", name, found[i])
				}
			}
		}
	})
}

// A job that has nothing but short runs is not looked for in rows.
func TestRunStoreQuery_looksForShortRunsInBlocksAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		store := db.RunStore("")
		appendTo(t, store, wholeRun(1), []domain.Record{pastRun(9)})
		statements, err := store.Statements(t.Context(), domain.RunFilter{Job: "job-1"})
		if err != nil || len(statements) != 2 {
			t.Fatalf("Statements = %d, %v, want one for kinds and one for blocks", len(statements), err)
		}
		if strings.Contains(statements[1].Text, "FROM history AS") {
			t.Errorf("rows are looked through:\n%s", statements[1].Text)
		}
	})
}

func TestReadRunBlock(t *testing.T) {
	for _, c := range []struct {
		kind domain.Event
		text string
		want []domain.Event
	}{
		{"claimed+started+completed", `[[0,0,""],[1,5,"",1],[3,9,"",1,4]]`, []domain.Event{domain.EventClaimed, domain.EventStarted, domain.EventCompleted}},
		{"claimed+started+completed", `[[0,0,""],[1,5,""],[2,9,""],[3,9,""]]`, nil},
		{"claimed+started+completed", `[[0,0,""],[1,5,""]]`, nil},
		{"started+completed", `[[0,0,"",1],[3,9,"",1,4]]`, []domain.Event{domain.EventStarted, domain.EventCompleted}},
		{"started+completed", `[[0,0,"",1],[3,9,"",1,4],[4,9,""]]`, nil},
	} {
		var events []domain.Event
		records, err := storage.ReadRunBlock(c.kind, c.text)
		for i := range records {
			events = append(events, records[i].Event)
		}
		if (err != nil) != (c.want == nil) || err == nil && !slices.Equal(events, c.want) {
			t.Errorf("ReadRunBlock(%s, %s) = %v, %v, want %v", c.kind, c.text, events, err, c.want)
		}
	}
}
