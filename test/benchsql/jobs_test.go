package main_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	benchsql "github.com/taktwork/takt/test/benchsql"
)

func TestRecordsAreCountedWhateverTheirIDs(t *testing.T) {
	db, err := storage.Open(t.Context(), storage.Config{
		Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(t.TempDir(), "jobs.db")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test is over
	store := db.RunStore("")
	want := func(want int64) {
		t.Helper()
		if got, err := benchsql.RecordsIn(t.Context(), db); err != nil || got != want {
			t.Errorf("RecordsIn = %d, %v, want %d", got, err, want)
		}
	}
	want(0)
	records := make([]domain.Record, 5)
	for i := range records {
		records[i] = domain.Record{At: time.Unix(int64(i), 0), Replica: "ann", Event: domain.EventCompleted}
	}
	if err := store.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Prune(t.Context(), domain.RunRetention{Count: 1}, len(records)); err != nil {
		t.Fatal(err)
	}
	want(1)
	if err := store.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	want(6)
	outcomes := make([]domain.Record, 100) // that a store keeps together
	for i := range outcomes {
		outcomes[i] = domain.Record{
			At: time.Unix(9, int64(i)*1000), Replica: "ann", Event: domain.EventCompleted, Queue: "mail", JobName: "send", JobID: domain.JobID(strconv.Itoa(i)),
		}
	}
	if err := store.Append(t.Context(), outcomes); err != nil {
		t.Fatal(err)
	}
	want(106)
}

func TestTurnsAreComparedInPairsOfWhichEitherSideBeginsEverySecond(t *testing.T) {
	tookMS := []int{100, 110, 400, 200, 100, 90, 126, 120}
	var sides []bool
	slower, without, with := benchsql.InTurns(4, func(history bool) time.Duration {
		sides = append(sides, history)
		return time.Duration(tookMS[len(sides)-1]) * time.Millisecond
	})
	if diff := cmp.Diff([]bool{false, true, true, false, false, true, true, false}, sides); diff != "" {
		t.Errorf("turns with history (-want +got):\n%s", diff)
	}
	for i, want := range []float64{10, 100, -10, 5} {
		if got := slower[i]; got < want-0.001 || got > want+0.001 {
			t.Errorf("pair %d is slower by %v %%, want %v", i, got, want)
		}
	}
	if without != 520*time.Millisecond || with != 726*time.Millisecond || len(slower) != 4 {
		t.Errorf("%d pairs took %s without and %s with history, want 4, 520ms and 726ms", len(slower), without, with)
	}
}

func TestAllJobsAreWorkedAndTheirRecordsKept(t *testing.T) {
	const jobs = 6007
	store := inmemqueue.NewRunStore(2 * jobs)
	if err := benchsql.WorkInMemory(t.Context(), jobs, store); err != nil {
		t.Fatal(err)
	}
	records, err := store.Query(t.Context(), domain.RunFilter{Events: []domain.Event{domain.EventCompleted}, Limit: 2 * jobs})
	if err != nil || len(records) != jobs {
		t.Errorf("%d jobs are completed, %v, want %d", len(records), err, jobs)
	}
}

// tally counts the jobs that are enqueued.
type tally struct{ jobs int }

func (c *tally) Enqueue(_ context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	c.jobs += len(jobs)
	return make([]domain.EnqueueResult, len(jobs)), nil
}

func TestJobsAreEnqueuedAsThereIsRoom(t *testing.T) {
	var queue tally
	fill, run, worked := benchsql.Feed(&queue, 3700, 1200)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for done := range 3701 {
		if done > 0 {
			worked()
		}
		if err := fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := 3700 - queue.jobs; left > 0 && (queue.jobs-done > 1200 || queue.jobs-done < 700) || left < 0 {
			t.Fatalf("after %d jobs %d are enqueued, want up to 1200 more, and no fewer than 700", done, queue.jobs)
		}
		if err := run(ended); (err == nil) != (done == 3700) || err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("run = %v after %d jobs of 3700", err, done)
		}
	}
	var whole tally
	if fill, _, _ := benchsql.Feed(&whole, 3700, 1<<62); fill(t.Context()) != nil || whole.jobs != 3700 {
		t.Errorf("%d jobs are enqueued where all have room, want 3700", whole.jobs)
	}
}
