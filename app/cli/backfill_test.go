package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/control"
)

// backfiller is a worker that answers backfills, and keeps what it was asked.
type backfiller struct {
	mu     sync.Mutex
	asked  []app.BackfillRequest
	answer func(n int) (app.TriggerReply, error)
}

func (b *backfiller) handlers() map[string]control.Handler {
	return map[string]control.Handler{app.MethodBackfill: func(_ context.Context, params json.RawMessage) (any, error) {
		var request app.BackfillRequest
		if err := control.DecodeParams(params, &request); err != nil {
			return nil, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked = append(b.asked, request)
		return b.answer(len(b.asked))
	}}
}

func completes(int) (app.TriggerReply, error) {
	return app.TriggerReply{Outcome: "completed", Attempts: 1, DurationMS: 2}, nil
}

// The clock of these tests shows 7 March 2026, 12:00 UTC.

func TestBackfillRunsTheTicksOldestFirst(t *testing.T) {
	t.Parallel()
	worker := &backfiller{answer: completes}
	i := args("jobs", "backfill", "reports.nightly", "--from", "2026-03-01", "--to", "2026-03-04", "--id", "march")
	i.Environ = served(t, worker.handlers(), "blue", "green")
	got := run(t, i)
	want := "Sun 2026-03-01 02:30:00 +01:00  completed; 1 attempt, 2ms\n" +
		"Mon 2026-03-02 02:30:00 +01:00  completed; 1 attempt, 2ms\n" +
		"Tue 2026-03-03 02:30:00 +01:00  completed; 1 attempt, 2ms\n"
	if got.code != cli.ExitOK || got.stdout != want {
		t.Errorf("exit code %d, stdout\n%s, stderr %q, want 0 and\n%s", got.code, got.stdout, got.stderr, want)
	}
	for _, text := range []string{"backfill march of reports.nightly: 3 ticks\n", "backfill march of reports.nightly: 3 done, 0 failed, 0 skipped or unfinished\n"} {
		if !strings.Contains(got.stderr, text) {
			t.Errorf("stderr %q, want %q", got.stderr, text)
		}
	}
	first := app.BackfillRequest{Name: "reports.nightly", ID: "march", Planned: time.Date(2026, 3, 1, 1, 30, 0, 0, time.UTC)}
	if len(worker.asked) != 3 || worker.asked[0] != first {
		t.Errorf("asked for %+v, want three ticks, first %+v", worker.asked, first)
	}
}

func TestBackfillPrintsALineOfJSONForEachRun(t *testing.T) {
	t.Parallel()
	worker := &backfiller{answer: completes}
	i := args("jobs", "backfill", "stock.sync", "--from", "2026-03-07", "--json", "--id", "x")
	i.Environ = append(served(t, worker.handlers(), "blue"), "WORKER_TIMEZONE=UTC")
	got := run(t, i)
	want := `{"job":"stock.sync","backfillId":"x","planned":"2026-03-07T00:00:00Z","runId":"","outcome":"completed","attempts":1,"durationMs":2}` + "\n" +
		`{"job":"stock.sync","backfillId":"x","planned":"2026-03-07T06:00:00Z","runId":"","outcome":"completed","attempts":1,"durationMs":2}` + "\n" +
		`{"job":"stock.sync","backfillId":"x","planned":"2026-03-07T12:00:00Z","runId":"","outcome":"completed","attempts":1,"durationMs":2}` + "\n"
	if got.code != cli.ExitOK || got.stdout != want {
		t.Errorf("exit code %d, stdout\n%s, stderr %q, want 0 and\n%s", got.code, got.stdout, got.stderr, want)
	}
}

func TestADryBackfillAsksNoWorker(t *testing.T) {
	t.Parallel()
	i := args("jobs", "backfill", "reports.nightly", "--from", "2026-03-06T02:30", "--dry-run")
	i.Environ = environ()
	got := run(t, i)
	want := "Fri 2026-03-06 02:30:00 +01:00\nSat 2026-03-07 02:30:00 +01:00\n"
	if got.code != cli.ExitOK || got.stdout != want || !strings.Contains(got.stderr, "2 ticks of reports.nightly would run") {
		t.Errorf("exit code %d, stdout\n%s, stderr %q, want 0 and\n%s", got.code, got.stdout, got.stderr, want)
	}
	i.Args = append(i.Args, "--json")
	if got := run(t, i); !strings.HasPrefix(got.stdout, `{"job":"reports.nightly","planned":"2026-03-06T02:30:00+01:00"}`+"\n") {
		t.Errorf("stdout %q, want the ticks as JSON", got.stdout)
	}
}

func TestABackfillThatEndsEarlySaysHowToGoOn(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	for name, c := range map[string]struct {
		answer func(n int) (app.TriggerReply, error)
		code   int
		want   string
	}{
		"interrupted": {func(n int) (app.TriggerReply, error) {
			if n == 2 {
				signals <- os.Interrupt
				return app.TriggerReply{}, control.WithCode(control.CodeUnavailable, errors.New("given up"))
			}
			return completes(n)
		}, 0, "1 of 3 ticks were run: repeat the command with --id march to go on"},
		"refused": {func(n int) (app.TriggerReply, error) {
			if n == 3 {
				return app.TriggerReply{}, control.WithCode(control.CodeUnavailable, errors.New("worker is stopping"))
			}
			return completes(n)
		}, cli.ExitUnavailable, "worker is stopping; 2 of 3 ticks were run: repeat the command with --id march to go on"},
		"superseded": {func(int) (app.TriggerReply, error) {
			return app.TriggerReply{Outcome: "skipped", Reason: "superseded"}, nil
		}, cli.ExitUnavailable, "worker blue has an older definition of the job than others"},
	} {
		worker := &backfiller{answer: c.answer}
		i := args("jobs", "backfill", "reports.nightly", "--from", "2026-03-01", "--to", "2026-03-04", "--id", "march")
		i.Environ, i.Signals = served(t, worker.handlers(), "blue"), signals
		got := run(t, i)
		if !strings.Contains(got.stderr, c.want) || c.code != 0 && got.code != c.code {
			t.Errorf("%s: exit code %d, stderr %q, want %d and %q", name, got.code, got.stderr, c.code, c.want)
		}
	}
}

func TestABackfillExitsAsItsRunsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		replies []app.TriggerReply
		code    int
		want    string
	}{
		{[]app.TriggerReply{{Outcome: "failed", Reason: "no paper"}, {Outcome: "completed"}, {Outcome: "skipped", Reason: "overlap"}}, cli.ExitInternal, "1 done, 1 failed, 1 skipped or unfinished"},
		{[]app.TriggerReply{{Outcome: "fired"}, {Outcome: "skipped", Reason: "overlap"}, {Outcome: "released"}}, cli.ExitAbandoned, "1 done, 0 failed, 2 skipped or unfinished"},
		{[]app.TriggerReply{{Outcome: "fired"}, {Outcome: "skipped", Reason: "taken"}, {Outcome: "completed"}}, cli.ExitOK, "3 done, 0 failed, 0 skipped or unfinished"},
	} {
		worker := &backfiller{answer: func(n int) (app.TriggerReply, error) { return c.replies[n-1], nil }}
		i := args("jobs", "backfill", "reports.nightly", "--from", "2026-03-01", "--to", "2026-03-04")
		i.Environ = served(t, worker.handlers(), "blue")
		if got := run(t, i); got.code != c.code || !strings.Contains(got.stderr, c.want) {
			t.Errorf("exit code %d, stderr %q, want %d and %q", got.code, got.stderr, c.code, c.want)
		}
	}
}

func TestABackfillRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words string
		code  int
		want  string
	}{
		{"reports.nightly", cli.ExitUsage, "--from is missing"},
		{"reports.nightly --from=", cli.ExitUsage, "--from is empty"},
		{"reports.nightly --from 2026-03-01 --to=", cli.ExitUsage, "--to is empty"},
		{"reports.nightly --from 2026-03-01 --max 0", cli.ExitUsage, "--max 0: want 1 to 100000"},
		{"reports.nightly --from yesterday", cli.ExitBadData, `--from "yesterday": want RFC 3339`},
		{"reports.nightly --from 2026-03-01 --to soon", cli.ExitBadData, `--to "soon": want RFC 3339`},
		{"reports.nightly --from 2026-03-04 --to 2026-03-04", cli.ExitBadData, "is not before the end"},
		{"reports.nightly --from 2026-03-01 --to 2026-03-09", cli.ExitBadData, "lies in the future"},
		{"reports.nightly --from 2020-01-01", cli.ExitBadData, "ticks lie between --from and --to, --max allows 1000"},
		{"stock.rebuild --from 2026-03-01", cli.ExitBadData, "has no schedule"},
		{"stock.old --from 2026-03-01", cli.ExitBadData, "disabled"},
		{"nope --from 2026-03-01", cli.ExitBadData, "unknown scheduled job"},
		{"reports.nightly --from 2026-03-01", cli.ExitUnavailable, "no running worker"},
	} {
		i := args(append([]string{"jobs", "backfill"}, strings.Fields(c.words)...)...)
		i.Environ = environ()
		if got := run(t, i); got.code != c.code || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%s: exit code %d, stderr %q, want %d and %q", c.words, got.code, got.stderr, c.code, c.want)
		}
	}
	i := args("jobs", "backfill", "tills.close", "--from", "2026-02-01", "--to", "2026-02-01T00:30")
	i.Environ = environ()
	if got := run(t, i); got.code != cli.ExitUnavailable {
		t.Errorf("exit code %d, stderr %q: without a worker even an empty backfill cannot tell that it is done", got.code, got.stderr)
	}
}
