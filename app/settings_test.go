package app_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

func TestSettingsTakeEachFieldOfTheConfiguration(t *testing.T) {
	got := app.SettingsFrom(&config.Config{
		Scheduler: config.Scheduler{Enabled: true, Timezone: "Europe/Berlin", LogRegisteredJobs: true},
		Jobs: config.JobDefaults{
			Enabled: true, PreventOverlap: true, Retries: 2, RetryDelay: 3 * time.Second, Timeout: 4 * time.Second, MaxRandomDelay: 5 * time.Second,
		},
		Queue: config.Queue{
			Default: "main", Extra: []string{"mail", "post"}, Backend: config.BackendNone, Strict: true, UnknownJobs: config.UnknownFail,
			Ledger: config.LedgerRedis, Prefix: "{shop}",
			Concurrency: 6, MaxPayload: 7, MemoryMaxJobs: 8, MemoryMaxBytes: 9,
		},
		Process: config.Process{Namespace: "shop", StateDir: "/run/shop", Instance: "blue", DeployID: "v1", ShutdownTimeout: 10 * time.Second},
		Log:     config.Log{Level: slog.LevelDebug},
	})
	want := app.Settings{
		Namespace: "shop", Instance: "blue", DeployID: "v1", Timezone: "Europe/Berlin",
		Jobs:    app.JobDefaults{Retries: 2, RetryDelay: 3 * time.Second, Timeout: 4 * time.Second, MaxJitter: 5 * time.Second},
		Backend: config.BackendNone, Ledger: config.LedgerRedis, QueuePrefix: "{shop}", DefaultQueue: "main", Queues: []string{"mail", "post"}, StrictQueues: true,
		Concurrency: 6, Unknown: runner.UnknownFail, MaxPayload: 7, MemoryMaxJobs: 8, MemoryMaxBytes: 9,
		ShutdownTimeout: 10 * time.Second, StateDir: "/run/shop",
	}
	wantSettings(t, got, want)
	wantSettings(t, app.SettingsFrom(&config.Config{}), app.Settings{
		SchedulerDisabled: true, SilentRegistration: true, Jobs: app.JobDefaults{Disabled: true, AllowOverlap: true},
	})
}

func TestSettingsTakeTheConnectionOfTheConfiguration(t *testing.T) {
	for profile, want := range map[string]config.Profile{"": "", "v5": config.ProfileV5, "v6": config.ProfileV6} {
		loaded, report := config.Load(config.Source{Environ: []string{
			"REDIS_ENABLED=true", "REDIS_URL=rediss://user:secret@redis.example:1/2", "WORKER_BULLMQ_PROFILE=" + profile, "HOME=/home/worker",
		}})
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		got := app.SettingsFrom(loaded)
		if got.Backend != config.BackendRedis || got.Ledger != config.LedgerRedis || got.BullMQProfile != want {
			t.Errorf("backend %q, ledger %q, profile %q; want redis, redis and %q", got.Backend, got.Ledger, got.BullMQProfile, want)
		}
		redis := got.Redis
		if redis.String() != "rediss://redis.example:1/2" || redis.Username != "user" || redis.Password.Reveal() != "secret" ||
			redis.TLS.ServerName != "redis.example" {
			t.Errorf("Redis = %+v, want that of REDIS_URL", redis)
		}
	}
}

func wantSettings(t *testing.T, got, want app.Settings) {
	t.Helper()
	noClock := cmp.FilterValues(func(a, b func() time.Time) bool { return a == nil && b == nil }, cmp.Ignore())
	noDice := cmp.FilterValues(func(a, b func() float64) bool { return a == nil && b == nil }, cmp.Ignore())
	if diff := cmp.Diff(want, got, noClock, noDice); diff != "" {
		t.Errorf("SettingsFrom (-want +got):\n%s", diff)
	}
}

// A stop of 25 s lets work go on for 17 s, and gives what it then cancels 3 s
// to end.
func TestWorkThatIsCancelledHasItsShareOfTheStop(t *testing.T) {
	for name, c := range map[string]struct {
		after    time.Duration
		runs     int
		stopTook time.Duration
	}{
		"in time":  {after: 2900 * time.Millisecond, runs: 0, stopTook: 19900 * time.Millisecond},
		"too late": {after: 3100 * time.Millisecond, runs: 1, stopTook: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				worker := build(t, app.Settings{ShutdownTimeout: 25 * time.Second}, jobs("f",
					app.Schedule("slow", func(ctx context.Context, _ app.Run) (any, error) {
						defer close(ended)
						<-ctx.Done()
						time.Sleep(c.after)
						return nil, nil
					}, app.OnStart(domain.StartEachReplica))))
				if err := worker.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				began := time.Now()
				report := worker.Stop(t.Context())
				if took := time.Since(began); report.Runs != c.runs || took != c.stopTook {
					t.Errorf("Stop() = %+v after %s, want %d runs given back after %s", report, took, c.runs, c.stopTook)
				}
				<-ended
			})
		})
	}
}

func TestEnqueueAllLeavesTheCallersJobsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t)
		all := []domain.NewJob{{Name: "send", Data: []byte(`1`)}, {Queue: "default", Name: "send", Data: []byte(`2`)}}
		if _, err := w.Service().EnqueueAll(t.Context(), all...); err != nil {
			t.Fatalf("EnqueueAll = %v, want no error", err)
		}
		if all[0].Queue != "" || all[1].Queue != "default" {
			t.Errorf("the caller's jobs go to %q and %q now, want them left alone", all[0].Queue, all[1].Queue)
		}
		w.WantJobs("default", "send", domain.StateWait, 2)
		w.Stop()
	})
}

func TestJobsOfTicksAreKeptByNumberUnlessTheySayOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := domain.JobOptions{KeepCompleted: domain.KeepNone(), KeepFailed: domain.KeepFor(time.Hour)}
		w := takttest.Start(t, jobs("f",
			app.Schedule("bare", nothing, app.ToQueue("")), app.Schedule("own", nothing, app.QueueJobOptions(own))))
		for name, want := range map[string][2]domain.Retention{
			"bare": {domain.KeepLast(1000), domain.KeepLast(5000)},
			"own":  {own.KeepCompleted, own.KeepFailed},
		} {
			id := w.Trigger(name).JobID
			for _, view := range w.Jobs("default", domain.StateWait) {
				options := view.Job.Options
				if got := [2]domain.Retention{options.KeepCompleted, options.KeepFailed}; view.Job.ID == id && got != want {
					t.Errorf("job of %s is kept by %+v, want %+v", name, got, want)
				}
			}
		}
		w.WantJobs("default", "bare", domain.StateWait, 1)
		w.WantJobs("default", "own", domain.StateWait, 1)
		w.Stop()
	})
}
