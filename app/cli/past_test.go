package cli_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// kept returns the environment of a worker whose storage holds the records.
func kept(t *testing.T, records ...domain.Record) (environ []string, store *storage.RunStore) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "own.db")
	db, err := storage.Open(t.Context(), storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store = db.RunStore("")
	if err := store.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	return []string{"WORKER_STATE_DIR=/nonexistent/takt", "WORKER_DB_PATH=" + path}, store
}

// lastWeek is what two workers recorded in the days before now: nights in
// which reports.nightly ran, failed and was missed, and a trigger by hand.
func lastWeek() []domain.Record {
	night := func(day int) time.Time { return time.Date(2026, time.March, day, 1, 30, 0, 0, time.UTC) }
	run := func(day int) domain.RunKey { return domain.TickKey("reports.nightly", night(day)) }
	at := func(record domain.Record, replica string, when time.Time) domain.Record {
		record.At, record.Replica = when, replica
		return record
	}
	registered := domain.Record{Event: domain.EventRegistered, Run: domain.RunKey{Job: "reports.nightly"}, Schedule: "30 2 * * * Europe/Berlin"}
	byHand := domain.RunKey{Job: "stock.rebuild", Origin: domain.OriginManual, OriginID: "ann-1", PlannedMS: night(5).UnixMilli()}
	started, stopped := night(4).Add(-time.Hour), night(5).Add(time.Hour)
	back := night(6).Add(40 * time.Second)
	return []domain.Record{
		at(domain.Record{Event: domain.EventWorkerStarted}, "ann", started),
		at(registered, "ann", started),
		at(domain.Record{Event: domain.EventClaimed, Run: run(4)}, "ann", night(4)),
		at(domain.Record{Event: domain.EventStarted, Run: run(4), Attempt: 1}, "ann", night(4)),
		at(domain.Record{
			Event: domain.EventFired, Run: run(4), Attempt: 1, Took: 1500 * time.Millisecond, Queue: "reports", JobID: "tick.reports.nightly.1", JobName: "reports.nightly",
		}, "ann", night(4).Add(1500*time.Millisecond)),
		at(domain.Record{
			Event: domain.EventCompleted, Queue: "reports", JobID: "tick.reports.nightly.1", JobName: "reports.nightly", Attempt: 1, Took: 3 * time.Second,
			Fields: []domain.Field{{Path: "customer.id", Value: "4711"}},
		}, "ann", night(4).Add(5*time.Second)),
		at(domain.Record{Event: domain.EventCompleted, Run: byHand, Attempt: 1, Took: time.Minute}, "ann", night(5).Add(-time.Minute)),
		at(domain.Record{Event: domain.EventClaimed, Run: run(5)}, "ann", night(5)),
		at(domain.Record{Event: domain.EventStarted, Run: run(5), Attempt: 1}, "ann", night(5)),
		at(domain.Record{Event: domain.EventFailed, Run: run(5), Attempt: 1, Took: time.Second, Reason: "no paper\nin tray 2"}, "ann", night(5).Add(time.Second)),
		at(domain.Record{Event: domain.EventWorkerStopped}, "ann", stopped),
		at(domain.Record{Event: domain.EventWorkerStarted}, "bob", back),
		at(registered, "bob", back),
		at(domain.Record{Event: domain.EventSkipped, Run: run(6), Reason: "misfire_skip", Late: 40 * time.Second, Count: 1, Until: night(6)}, "bob", back),
		at(domain.Record{Event: domain.EventClaimed, Run: run(7)}, "bob", night(7)),
		at(domain.Record{Event: domain.EventStarted, Run: run(7), Attempt: 1}, "bob", night(7)),
	}
}

func TestRunsAndWhyReadTheHistoryInStorage(t *testing.T) {
	t.Parallel()
	environ, _ := kept(t, lastWeek()...)
	for name, words := range map[string][]string{
		"runs":            {"runs"},
		"runs_json":       {"runs", "--json"},
		"runs_filtered":   {"runs", "reports.nightly", "--since", "2026-03-05", "--until", "24h", "--state", "failed,skipped", "--origin", "schedule", "--replica", "ann"},
		"runs_queue":      {"runs", "--queue", "reports"},
		"runs_field":      {"runs", "--queue", "reports", "--job-name", "reports.nightly", "--field", "customer.id=4711", "--json"},
		"runs_none":       {"runs", "reports.nightly", "--state", "cancelled"},
		"runs_under_way":  {"runs", "--state", "running"},
		"why_ran":         {"why", "reports.nightly", "--at", "2026-03-04T02:30"},
		"why_failed_json": {"why", "reports.nightly", "--at", "2026-03-05T01:30:00Z", "--json"},
		"why_missed":      {"why", "reports.nightly", "--at", "2026-03-06 02:30"},
		"why_not_planned": {"why", "reports.nightly", "--at", "2026-03-06T03:00"},
		"why_not_kept":    {"why", "reports.nightly", "--at", "2026-02-06T02:30"},
	} {
		i := args(words...)
		i.Environ = environ
		got := run(t, i)
		if got.code != cli.ExitOK {
			t.Errorf("%s: exit code %d, stderr %q, want 0", words, got.code, got.stderr)
		}
		golden(t, name+".golden", got.stdout+"--- stderr\n"+got.stderr)
	}
}

// States that runs are never in are those of queue jobs, asked for or not. Of very
// many jobs that were in one, and are no more, some are looked at.
func TestRunsFindsQueueJobsByTheirOwnStates(t *testing.T) {
	t.Parallel()
	job := func(id string, event domain.Event, second int) domain.Record {
		at := now.Add(-6*time.Hour + time.Duration(second)*time.Second)
		return domain.Record{At: at, Replica: "ann", Event: event, Queue: "mail", JobID: domain.JobID(id), JobName: "send"}
	}
	records := []domain.Record{job("first", domain.EventDropped, 0), job("second", domain.EventSnoozed, 1)}
	for i := range 6000 {
		records = append(records, job(fmt.Sprint(i), domain.EventSnoozed, i), job(fmt.Sprint(i), domain.EventCompleted, i))
	}
	environ, _ := kept(t, records...)
	for state, want := range map[string]string{"result-dropped": "first", "snoozed": "looked back to"} {
		i := args("runs", "--state", state)
		i.Environ = environ
		if got := run(t, i); got.code != cli.ExitOK || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("runs --state %s: exit code %d, %s%s, want %q", state, got.code, got.stdout, got.stderr, want)
		}
	}
}

func TestJobsTellWhatBecameOfTheLatestRunOnAnyReplica(t *testing.T) {
	t.Parallel()
	environ, store := kept(t, lastWeek()...)
	jobs := func() string {
		i := args("jobs")
		i.Environ = environ
		return run(t, i).stdout
	}
	for _, want := range []string{
		"skipped 2026-03-06 02:30:40 +01:00 (misfire_skip)\n", "completed 2026-03-05 01:29:00 +00:00\n",
	} {
		if got := jobs(); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	paused := domain.Record{At: now, Replica: "bob", Event: domain.EventJobPaused, Run: domain.RunKey{Job: "reports.nightly"}}
	if err := store.Append(t.Context(), []domain.Record{paused}); err != nil {
		t.Fatal(err)
	}
	if got := jobs(); !strings.Contains(got, "unknown, paused") {
		t.Errorf("no paused job in\n%s", got)
	}
}

func TestRunsAndWhyRefuseWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	environ, _ := kept(t, lastWeek()...)
	for _, c := range []struct {
		words string
		code  int
		text  string
	}{
		{"why", cli.ExitUsage, "NAME is missing"},
		{"why reports.nightly", cli.ExitUsage, "--at is missing"},
		{"why reports.nightly --at soon", cli.ExitBadData, `--at: "soon": want RFC 3339`},
		{"why nobody --at 2026-03-04T02:30", cli.ExitBadData, `unknown scheduled job "nobody", and the history has no record of it; registered are: reports.nightly, `},
		{"why reports.nightly --at 2026-03-29T02:15", cli.ExitBadData, "2026-03-29T02:15:00 does not exist in Europe/Berlin"},
		{"why tills.close --at 2026-11-01T01:15", cli.ExitBadData, "2026-11-01T01:15:00 comes twice in America/New_York; say which: 2026-11-01T01:15:00-04:00 or 2026-11-01T01:15:00-05:00"},
		{"runs nobody", cli.ExitBadData, `unknown scheduled job "nobody"`},
		{"runs a b", cli.ExitUsage, `unexpected argument "b"`},
		{"runs --state done", cli.ExitUsage, `--state "done": want one of running, waiting, `},
		{"runs --origin cron", cli.ExitUsage, `--origin "cron": want one of schedule, `},
		{"runs --field x", cli.ExitUsage, `--field "x": want path=value`},
		{"runs --limit 0", cli.ExitUsage, "--limit 0: want 1 to 10000"},
		{"runs --since yesterday", cli.ExitBadData, `--since "yesterday": want RFC 3339`},
		{"runs --queue=", cli.ExitUsage, "--queue is empty"},
	} {
		i := args(strings.Fields(c.words)...)
		i.Environ = environ
		if got := run(t, i); got.code != c.code || !strings.Contains(got.stderr, c.text) {
			t.Errorf("%s: exit code %d, stderr %q, want %d and %q", c.words, got.code, got.stderr, c.code, c.text)
		}
	}
}

func TestWhyOfALocalTimeThatIsMovedOrComesTwice(t *testing.T) {
	t.Parallel()
	environ, _ := kept(t, lastWeek()...)
	for words, text := range map[string]string{
		"why reports.nightly --at 2026-03-29T02:30": "02:30 does not exist on this day: runs at 03:30",
		"why tills.close --at 2026-11-01T01:30":     "01:30 occurs twice on this day: runs the first time only",
	} {
		i := args(strings.Fields(words)...)
		i.Environ = environ
		if got := run(t, i); got.code != cli.ExitOK || !strings.Contains(got.stdout, text) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want 0 and %q", words, got.code, got.stdout, got.stderr, text)
		}
	}
}

func TestWithoutAHistoryThereIsAWorkerToAsk(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"runs"}, {"why", "reports.nightly", "--at", "2026-03-04T02:30"}} {
		got := run(t, args(words...))
		if got.code != cli.ExitUnavailable || !strings.Contains(got.stderr, "no running worker") || !strings.Contains(got.stderr, "storage holds no history") {
			t.Errorf("%s: exit code %d, stderr %q, want 69 and what is missing", words, got.code, got.stderr)
		}
	}
}

func TestRunsAndWhyAskARunningWorkerForItsMemory(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "takt") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	tick := app.Feature("clock", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("clock.tick", func(context.Context, app.Run) (any, error) { return nil, nil }, app.Every(24*time.Hour)),
		}}
	})
	worker, err := app.New(app.Settings{StateDir: dir, Instance: "blue", Replica: "ann"}, slog.New(slog.DiscardHandler), tick)
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Stop(context.Background()) })
	if _, err := worker.Service().TriggerNow(t.Context(), "clock.tick"); err != nil {
		t.Fatal(err)
	}
	ask := func(words ...string) output {
		i := args(words...)
		i.Environ, i.Now = []string{"WORKER_STATE_DIR=" + dir, "WORKER_DATA_DIR=/nonexistent/data"}, time.Now
		return runWith(t, i, tick)
	}
	for range 3000 {
		if strings.Contains(ask("runs").stdout, "completed") {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	if got := ask("runs", "clock.tick", "--json"); !strings.Contains(got.stdout, `"runId":"clock.tick@manual:ann-1`) {
		t.Errorf("runs: %+v, want the trigger", got)
	}
	before := time.Now().Add(-48 * time.Hour).UTC().Format(time.RFC3339)
	if got := ask("why", "clock.tick", "--at", before); got.code != cli.ExitOK || !strings.Contains(got.stdout, "is not planned: the schedule is every 24h0m0s+") {
		t.Errorf("why: %+v, want an instant that is not planned", got)
	}
}

// tail is the output of a command that goes on.
type tail struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *tail) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *tail) await(t *testing.T, text string) {
	t.Helper()
	for range 3000 {
		o.mu.Lock()
		found := strings.Contains(o.text.String(), text)
		o.mu.Unlock()
		if found {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("no %q in\n%s", text, o.text.String())
}

func TestRunsFollowsUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	environ, store := kept(t, lastWeek()...)
	signals := make(chan os.Signal, 1)
	shown := &tail{}
	i := args("runs", "--follow", "--limit", "2")
	i.Environ, i.Signals, i.Stdout = environ, signals, shown
	ended := make(chan output, 1)
	go func() { ended <- run(t, i) }()
	shown.await(t, "reports.nightly 2026-03-07")
	news := domain.Record{
		At: now, Replica: "bob", Event: domain.EventCompleted, Attempt: 1, Run: domain.RunKey{Job: "stock.rebuild", Origin: domain.OriginManual, OriginID: "bob-7"},
	}
	if err := store.Append(t.Context(), []domain.Record{news}); err != nil {
		t.Fatal(err)
	}
	shown.await(t, "stock.rebuild manual:bob-7")
	signals <- os.Interrupt
	if got := <-ended; got.code != cli.ExitOK || got.stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", got.code, got.stderr)
	}
	if n := strings.Count(shown.text.String(), "\n"); n != 4 {
		t.Errorf("%d lines, want a title, two that were there and one that came:\n%s", n, shown.text.String())
	}
}

// TestTheHistoryOutlivesTheWorker goes all the way: a worker with its own SQLite
// file runs a job, ends, and the command line tells from the file what it did.
func TestTheHistoryOutlivesTheWorker(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "own.db")
	ran := make(chan app.Run, 1)
	clock := app.Feature("clock", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("clock.tick", func(_ context.Context, run app.Run) (any, error) {
				select {
				case ran <- run:
				default:
				}
				return nil, nil
			}, app.Every(time.Second), app.Phase(0)),
			app.Schedule("clock.off", func(context.Context, app.Run) (any, error) { return nil, nil }, app.Every(time.Second), app.Phase(0), app.Enabled(false)),
		}}
	})
	worker, err := app.New(app.Settings{
		Replica: "ann", Ledger: config.LedgerAuto, Storage: storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}},
	}, slog.New(slog.DiscardHandler), clock)
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	tick := (<-ran).Key.Planned()
	worker.Stop(context.Background())
	ask := func(words ...string) string {
		i := args(words...)
		i.Environ, i.Now = []string{"WORKER_STATE_DIR=/nonexistent/takt", "WORKER_DB_PATH=" + path}, time.Now
		got := runWith(t, i, clock)
		if got.code != cli.ExitOK {
			t.Errorf("%s: exit code %d, stderr %q, want 0", words, got.code, got.stderr)
		}
		return got.stdout
	}
	at := tick.Format(time.RFC3339)
	for text, answer := range map[string]string{
		`"code": "ran`:               ask("why", "clock.tick", "--at", at, "--json"),
		"did not run: the job was d": ask("why", "clock.off", "--at", at),
		"is not planned":             ask("why", "clock.tick", "--at", tick.Add(300*time.Millisecond).Format(time.RFC3339Nano)),
		`"runId":"clock.tick@` + at:  ask("runs", "clock.tick", "--json", "--limit", "1000"),
		" completed ":                ask("jobs"),
	} {
		if !strings.Contains(answer, text) {
			t.Errorf("no %q in\n%s", text, answer)
		}
	}
}

// awayReader is a history whose database is away for a while.
type awayReader struct {
	*inmemqueue.RunStore

	away atomic.Int32
}

func (r *awayReader) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	if r.away.Add(-1) >= 0 {
		return nil, fmt.Errorf("query: %w", ports.ErrUnavailable)
	}
	return r.RunStore.Query(ctx, filter)
}

func TestRunsFollowedSurviveADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := &awayReader{RunStore: inmemqueue.NewRunStore(1000)}
		ctx, cancel := context.WithCancelCause(t.Context())
		shown, said := &tail{}, &tail{}
		ended := make(chan error, 1)
		go func() { ended <- cli.FollowRuns(ctx, reader, shown, said) }()
		add := func(id string) {
			record := domain.Record{At: time.Now(), Event: domain.EventCompleted, Run: domain.RunKey{Job: "report", Origin: domain.OriginManual, OriginID: id}}
			if err := reader.Append(ctx, []domain.Record{record}); err != nil {
				t.Error(err)
			}
			<-time.After(time.Minute)
			synctest.Wait()
		}
		add("one")
		reader.away.Store(40)
		add("two")
		add("three")
		cancel(cli.ErrInterrupted)
		if err := <-ended; err != nil {
			t.Errorf("follow = %v, want an end without error", err)
		}
		for _, id := range []string{"one", "two", "three"} {
			if n := strings.Count(shown.text.String(), "manual:"+id+`"`); n != 1 {
				t.Errorf("run %s is shown %d times, want once:\n%s", id, n, shown.text.String())
			}
		}
		if n := strings.Count(said.text.String(), "does not answer"); n != 1 {
			t.Errorf("it was said %d times that the history does not answer, want once", n)
		}
	})
}
