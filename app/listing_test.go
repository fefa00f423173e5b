package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// listed is a feature with a job of each kind.
func listed() app.Option {
	return contribute("kinds", app.Contribution{
		Queues: []string{"mail"},
		Jobs: []app.ScheduledJob{
			app.Schedule(" manual ", nothing),
			app.Schedule("cron", nothing, app.Cron("0 3 * * *"), app.Zone("Europe/Berlin"), app.Description("At three."), app.OnStart(domain.StartEachReplica)),
			app.Schedule("interval", nothing, app.Every(time.Hour), app.Phase(time.Minute), app.ToQueue("mail"), app.QueueJobName("send")),
			app.Schedule("off", nothing, app.Cron("*/5 * * * *"), app.Enabled(false), app.ToQueue("")),
		},
	})
}

func TestListJobsGivesEveryField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, listed())
		idle := w.Service().ListJobs()
		w.Advance(90 * time.Minute)
		w.Trigger("manual")
		text, err := json.MarshalIndent(map[string]any{"started": idle, "later": w.Service().ListJobs()}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "listing.json", string(text)+"\n")
		w.Stop() // A job waits for a handler.
	})
}

func TestTheListingOfAWorkerThatDoesNotRunComputesNextTicks(t *testing.T) {
	now := time.Date(2026, 3, 29, 0, 59, 0, 0, time.UTC)
	worker := build(t, app.Settings{Now: func() time.Time { return now }}, listed())
	var got []string
	for _, job := range worker.Service().ListJobs() {
		next := "-"
		if job.NextTick != nil {
			next = job.NextTick.Format(time.RFC3339)
		}
		got = append(got, fmt.Sprint(job.ID, " ", next, " ", job.Running == nil))
	}
	want := []string{"cron 2026-03-29T01:00:00Z true", "interval 2026-03-29T01:01:00Z true", "manual - true", "off - true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

func TestARunUnderWayIsListedAsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, jobs("f", app.Schedule("slow", func(context.Context, app.Run) (any, error) {
			<-time.After(time.Minute)
			return nil, nil
		}, app.OnStart(domain.StartEachReplica))))
		for _, want := range []bool{true, false} {
			if got := w.Service().ListJobs()[0].Running; got == nil || *got != want {
				t.Errorf("running = %v, want %t", got, want)
			}
			w.Advance(2 * time.Minute)
		}
	})
}

func TestLibraryDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		w := takttest.Start(t, jobs("f",
			app.Schedule("fails", func(context.Context, app.Run) (any, error) { attempts++; return nil, errors.New("no") }),
			app.Schedule("slow", func(ctx context.Context, _ app.Run) (any, error) {
				select {
				case <-time.After(90 * time.Second):
				case <-ctx.Done():
				}
				return nil, ctx.Err()
			}, app.Cron("* * * * *")),
			app.Schedule("queued", nothing, app.ToQueue(""))))
		w.Trigger("fails")
		if attempts != 1 {
			t.Errorf("%d attempts, want 1: no retries", attempts)
		}
		w.Advance(2*time.Minute + time.Second)
		w.WantRuns("slow", domain.EventStarted, 1)
		w.WantRuns("slow", domain.EventSkipped, 1)
		w.Trigger("queued")
		w.WantJobs("default", "queued", domain.StateWait, 1)
		for _, job := range w.Service().ListJobs() {
			if !job.Enabled {
				t.Errorf("job %s is disabled", job.ID)
			}
		}
		w.Advance(time.Minute)
		w.Stop()
	})
}

func TestTheSettingsOfTheConfigurationAreTheDefaultsOfTheReferencesApplication(t *testing.T) {
	configured, report := config.Load(config.Source{Environ: []string{"HOME=/home/worker"}, PID: 7})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	got := app.SettingsFrom(configured)
	if got.StateDir == "" {
		t.Error("StateDir is empty, want a directory for the control socket")
	}
	got.StateDir = ""
	want := app.Settings{
		Namespace: "default", Instance: "7", Timezone: got.Timezone,
		Jobs:    app.JobDefaults{Retries: 1, RetryDelay: 5 * time.Second},
		Backend: config.BackendMemory, Ledger: config.LedgerAuto, QueuePrefix: "bull", DefaultQueue: "worker-default", Concurrency: 10, Unknown: runner.UnknownPark,
		MaxPayload: got.MaxPayload, MemoryMaxJobs: 100_000, MemoryMaxBytes: got.MemoryMaxBytes, ShutdownTimeout: 25 * time.Second,
		Storage:       storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: "/home/worker/.local/state/takt/default.db"}},
		HistoryMaxAge: 30 * 24 * time.Hour, HistoryMaxRecords: 1_000_000,
	}
	ignoreFuncs := cmp.FilterValues(func(a, b func() time.Time) bool { return a == nil && b == nil }, cmp.Ignore())
	ignoreDice := cmp.FilterValues(func(a, b func() float64) bool { return a == nil && b == nil }, cmp.Ignore())
	if diff := cmp.Diff(want, got, ignoreFuncs, ignoreDice); diff != "" {
		t.Errorf("SettingsFrom (-want +got):\n%s", diff)
	}
}

func TestJobDefaultsOfTheSettingsHoldUnlessTheJobSaysOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defaults := app.JobDefaults{Disabled: true, AllowOverlap: true, Retries: 2, RetryDelay: time.Minute, Timeout: time.Hour, MaxJitter: time.Second}
		slow := func(ctx context.Context, _ app.Run) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{Jobs: defaults}}, jobs("f",
			app.Schedule("default", nothing, app.Every(time.Hour)),
			app.Schedule("slow", slow, app.Enabled(true)),
			app.Schedule("own", slow, app.Enabled(true), app.Retries(0), app.Timeout(time.Minute))))
		if job := w.Service().ListJobs()[0]; job.Enabled {
			t.Errorf("job %s is enabled, want it disabled by default", job.ID)
		}
		began := time.Now()
		if report := w.Trigger("slow"); report.Attempts != 3 || time.Since(began) != 3*time.Hour+2*time.Minute {
			t.Errorf("Trigger(slow) = %+v after %s, want 3 attempts of an hour, a minute apart", report, time.Since(began))
		}
		began = time.Now()
		if report := w.Trigger("own"); report.Attempts != 1 || time.Since(began) != time.Minute {
			t.Errorf("Trigger(own) = %+v after %s, want 1 attempt of a minute", report, time.Since(began))
		}
	})
}

func TestListingAndWarningsAreTheSameHoweverFeaturesAreShuffled(t *testing.T) {
	var first string
	for range 50 {
		var log logbook
		worker, err := app.New(app.Settings{Replica: "r", Instance: "1", Now: func() time.Time { return time.Unix(0, 0) }, Backend: config.BackendNone}, log.logger(),
			jobs("c", app.Schedule("c.1", nothing, app.ToQueue("")), app.Schedule("c.2", nothing, app.OnStart(domain.StartOncePerDeploy))),
			jobs("a", app.Schedule("z", nothing, app.ToQueue("")), app.Schedule("b", nothing, app.Cron("30 2 * * *"), app.Zone("Europe/Berlin"))),
			jobs("b", app.Schedule("a", nothing, app.ToQueue("")), app.Schedule("x", nothing, app.Every(time.Second), app.Jitter(time.Minute))), listed())
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		worker.Stop(t.Context())
		var text bytes.Buffer
		for _, job := range worker.Service().ListJobs() {
			fmt.Fprintln(&text, job.ID, job.ProviderName, job.ExecutionTarget)
		}
		text.WriteString(strings.Join(log.lines("msg=registration"), "\n"))
		if first == "" {
			first = text.String()
			golden(t, "warnings.golden", first+"\n")
		}
		if diff := cmp.Diff(first, text.String()); diff != "" {
			t.Fatalf("listing and warnings (-first +now):\n%s", diff)
		}
	}
}

func TestOncePerDeployRunsOnceAndWarnsWithoutADeployID(t *testing.T) {
	for deploy, want := range map[string]int{"": 1, "v7": 0} {
		synctest.Test(t, func(t *testing.T) {
			var log logbook
			worker, err := app.New(app.Settings{DeployID: deploy}, log.logger(), jobs("f", app.Schedule("migrate", nothing, app.OnStart(domain.StartOncePerDeploy))))
			if err != nil {
				t.Fatal(err)
			}
			if err := worker.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
			records, err := worker.Service().Runs(t.Context(), domain.RunFilter{Job: "migrate", Events: []domain.Event{domain.EventCompleted}})
			if err != nil || len(records) != 1 || deploy != "" && records[0].Run.OriginID != deploy {
				t.Errorf("records = %+v, %v, want one run of deploy %q", records, err, deploy)
			}
			worker.Stop(t.Context())
			if got := len(log.lines("level=WARN", "no deploy id")); got != want {
				t.Errorf("with deploy id %q: %d warnings, want %d", deploy, got, want)
			}
		})
	}
}

func TestCronIntervalAndManualJobsRunEndToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feature := app.Feature("report", func(log *slog.Logger) app.Contribution {
			return app.Contribution{
				Queues: []string{"reports"},
				Jobs: []app.ScheduledJob{
					app.Schedule("nightly", func(_ context.Context, run app.Run) (any, error) {
						return map[string]string{"for": run.Key.Planned().Format(time.DateOnly)}, nil
					}, app.Cron("30 2 * * *"), app.Zone("Europe/Berlin"), app.ToQueue("reports")),
					app.Schedule("hourly", nothing, app.Every(time.Hour), app.Phase(0)),
					app.Schedule("manual", nothing),
					app.Schedule("spread", nothing, app.Every(time.Hour), app.Phase(0), app.Jitter(10*time.Minute)),
				},
				Handlers: []app.Handler{app.Handle("reports", "nightly", func(ctx context.Context, job app.Job[struct{ For string }]) (any, error) {
					log.InfoContext(ctx, "report rendered", "for", job.Data.For)
					return job.Data.For, nil
				})},
			}
		})
		w := takttest.StartWith(t, takttest.Config{At: time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)}, feature)
		w.Advance(47 * time.Hour) // Over the change of the clocks on 29 March.
		w.Advance(59 * time.Minute)
		w.WantCompleted("reports", "nightly", 2)
		w.WantRuns("hourly", domain.EventCompleted, 47)
		w.WantRuns("manual", domain.EventCompleted, 0)
		w.WantRuns("spread", domain.EventCompleted, 47)
		w.Trigger("manual")
		w.WantRuns("manual", domain.EventCompleted, 1)
	})
}

func TestPlannedJobsAreTheEnabledOnesWithASchedule(t *testing.T) {
	worker := build(t, app.Settings{}, listed())
	names := func(name string) ([]string, error) {
		planned, err := worker.PlannedJobs(name)
		var all []string
		for _, job := range planned {
			all = append(all, job.Name)
		}
		return all, err
	}
	if got, err := names(""); err != nil || !slices.Equal(got, []string{"cron", "interval"}) {
		t.Errorf("PlannedJobs = %v, %v, want cron and interval", got, err)
	}
	if got, err := names("cron"); err != nil || !slices.Equal(got, []string{"cron"}) {
		t.Errorf("PlannedJobs(cron) = %v, %v, want cron", got, err)
	}
	if _, err := names("off"); !errors.Is(err, runner.ErrDisabled) {
		t.Errorf("PlannedJobs(off) = %v, want %v", err, runner.ErrDisabled)
	}
	if _, err := names("none"); !errors.Is(err, runner.ErrUnknownJob) {
		t.Errorf("PlannedJobs(none) = %v, want %v", err, runner.ErrUnknownJob)
	}
	if _, err := names("manual"); err == nil || !strings.Contains(err.Error(), "no schedule") {
		t.Errorf("PlannedJobs(manual) = %v, want that it has no schedule", err)
	}
	planned, err := worker.PlannedJobs("cron")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for tick := range planned[0].Ticks(time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)) {
		got = append(got, tick.At.Format(time.RFC3339))
		if len(got) == 3 {
			break
		}
	}
	want := []string{"2026-03-28T03:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ticks (-want +got):\n%s", diff)
	}
}

func TestAMissedTickIsCaughtUpAsThePolicySays(t *testing.T) {
	// The worker's clock jumps over two ticks, as after a suspend.
	for policy, want := range map[schedule.MisfirePolicy]int{schedule.MisfireSkip: 1, schedule.MisfireAll: 3} {
		synctest.Test(t, func(t *testing.T) {
			var ahead atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{Now: now}},
				jobs("f", app.Schedule("hourly", nothing, app.Cron("0 * * * *"), app.Misfire(schedule.Misfire{Policy: policy}), app.Overlap(domain.OverlapAllow))))
			w.Advance(time.Minute)
			ahead.Store(int64(2*time.Hour + 30*time.Minute))
			w.Advance(45 * time.Minute)
			w.WantRuns("hourly", domain.EventCompleted, want)
		})
	}
}
