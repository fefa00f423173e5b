package main_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
	benchsql "github.com/taktwork/takt/test/benchsql"
)

func TestRowsAreSelectedByName(t *testing.T) {
	names, records, err := benchsql.RowsOf("-run", "^(history|queries)", "-records", "500")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"history-postgres", "history-sqlite", "history-jobs", "history-jobs-redis", "queries-postgres", "queries-sqlite", "queries-busy-postgres", "queries-busy-sqlite"}
	if diff := cmp.Diff(want, names); diff != "" || records != 500 {
		t.Errorf("%d records, want 500; rows (-want +got):\n%s", records, diff)
	}
	if _, records, err := benchsql.RowsOf(); err != nil || records != 1_000_000 {
		t.Errorf("by default %d records, %v, want 1000000", records, err)
	}
}

func TestOptionsThatMakeNoSenseAreExitCode2(t *testing.T) {
	for _, args := range [][]string{{"-run", "("}, {"-rounds", "0"}, {"-ticks", "0"}, {"-seconds", "0"}, {"-records", "0"}, {"-what"}} {
		if got := benchsql.Run(t.Context(), args, io.Discard, io.Discard); got != 2 {
			t.Errorf("exit code of %v = %d, want 2", args, got)
		}
	}
}

func TestQuestionsHaveWordsOfTheirOwnAndFindWhatTheyAskFor(t *testing.T) {
	for name, fill := range benchsql.FillPasts() {
		t.Run(name, func(t *testing.T) { asksOf(t, fill) })
	}
}

func asksOf(t *testing.T, fill func(context.Context, ports.RunStore, int) (time.Time, error)) {
	t.Helper()
	store := inmemqueue.NewRunStore(200_000)
	end, err := fill(t.Context(), store, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	asks, count := benchsql.Asks(end)
	if len(asks) != count {
		t.Errorf("%d questions have %d different words", count, len(asks))
	}
	for _, state := range history.States() {
		if asks["--state "+string(state)] == nil {
			t.Errorf("state %s is not asked for", state)
		}
	}
	for _, words := range []string{
		"no filter", "NAME", "NAME, rare", "--queue", "--queue, rare", "--job-name", "--job-name, rare", "--replica", "--replica, rare",
		"--field tenant", "--field tenant, rare", "--field order", "--job-id", "--since, the last minute", "--until, the middle",
		"--state running", "--state failed", "--state completed", "--state lost", "--origin backfill", "--queue --job-name", "the newest", "the middle", "the oldest",
	} {
		if got := found(t, store, asks[words]); got == 0 {
			t.Errorf("%s: nothing is found", words)
		}
	}
	for _, words := range []string{"NAME, absent", "--queue, absent", "--job-id, absent", "--until, before all", "--field tenant, absent", "before all", "not planned"} {
		if got := found(t, store, asks[words]); got != 0 {
			t.Errorf("%s: %d records are found, want none", words, got)
		}
	}
}

// found returns how many records the first query of the question yields.
func found(t *testing.T, store ports.RunStore, ask func(context.Context, ports.RunStore) error) int {
	t.Helper()
	if ask == nil {
		return 0
	}
	counted := &counting{RunStore: store, first: -1}
	if err := ask(t.Context(), counted); err != nil {
		t.Fatal(err)
	}
	return counted.first
}

// counting notes how many records the first query of a store yields.
type counting struct {
	ports.RunStore

	first int
}

// Query implements [ports.RunStore].
func (c *counting) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	records, err := c.RunStore.Query(ctx, filter)
	if c.first < 0 {
		c.first = len(records)
	}
	return records, err
}

func TestAWorkerRefusesAnOrderThatItCannotRead(t *testing.T) {
	var output strings.Builder
	if err := benchsql.Work(t.Context(), strings.NewReader(`{"From": "noon"}`), &output); err == nil || output.Len() > 0 {
		t.Errorf("Work = %v, and wrote %q, want an error and nothing", err, output.String())
	}
}

func TestAWorkerCountsTheTicksOfItsWindow(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ticks := []time.Time{from.Add(-time.Millisecond), from, from.Add(9 * time.Second), from.Add(10 * time.Second)}
	if diff := cmp.Diff([]float64{20, 20}, benchsql.Lateness(from, from.Add(10*time.Second), 20*time.Millisecond, ticks...)); diff != "" {
		t.Errorf("late (-want +got):\n%s", diff)
	}
}

func TestComputingNeverComesToZero(t *testing.T) {
	if benchsql.Compute(1_000_000) == 0 {
		t.Error("Compute = 0")
	}
}

func TestArrivalsWaitForAllJobs(t *testing.T) {
	queue := inmemqueue.New(inmemqueue.Config{})
	defer queue.Close() //nolint:errcheck // it holds nothing
	noting, wait := benchsql.Arrivals(queue, 2)
	for range 2 {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := wait(ended); !errors.Is(err, context.Canceled) {
			t.Fatalf("wait = %v before all jobs have come", err)
		}
		if _, err := noting.Enqueue(t.Context(), benchsql.BenchJob()); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(t.Context()); err != nil {
		t.Errorf("wait = %v, want no error", err)
	}
}
