package reference_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// The variables of scheduled jobs, each left out and set, on a job that is due
// at each full hour.
func TestVariablesOfScheduledJobs(t *testing.T) {
	const hourly = "1h0m0s 2h0m0s 3h0m0s"
	for _, variable := range []struct {
		name  string
		fn    run
		cases map[string]string // value to starts
	}{
		{"WORKER_SCHEDULER_ENABLED", quick, map[string]string{"": hourly, "true": hourly, "false": ""}},
		{"WORKER_JOB_ENABLED", quick, map[string]string{"": hourly, "true": hourly, "false": ""}},
		{"WORKER_JOB_PREVENT_OVERLAP", lasts(90*time.Minute, nil), map[string]string{
			"": "1h0m0s 3h0m0s", "true": "1h0m0s 3h0m0s", "false": hourly,
		}},
		{"WORKER_JOB_RETRIES", fails, map[string]string{
			"": "1h0m0s 1h0m5s 2h0m0s 2h0m5s 3h0m0s 3h0m5s", "0": hourly,
			"2": "1h0m0s 1h0m5s 1h0m10s 2h0m0s 2h0m5s 2h0m10s 3h0m0s 3h0m5s 3h0m10s",
		}},
		{"WORKER_JOB_RETRY_DELAY", fails, map[string]string{
			"": "1h0m0s 1h0m5s 2h0m0s 2h0m5s 3h0m0s 3h0m5s", "0s": "1h0m0s 1h0m0s 2h0m0s 2h0m0s 3h0m0s 3h0m0s",
			"10m": "1h0m0s 1h10m0s 2h0m0s 2h10m0s 3h0m0s 3h10m0s",
		}},
		{"WORKER_JOB_TIMEOUT", lasts(20*time.Minute, errPaper), map[string]string{
			"": "1h0m0s 1h20m5s 2h0m0s 2h20m5s 3h0m0s 3h20m5s", "10m": "1h0m0s 1h10m5s 2h0m0s 2h10m5s 3h0m0s 3h10m5s",
		}},
		{"WORKER_JOB_MAX_RANDOM_DELAY", quick, map[string]string{"": hourly, "10m": jitteredHours(10 * time.Minute)}},
	} {
		t.Run(variable.name, func(t *testing.T) {
			for value, want := range variable.cases {
				synctest.Test(t, func(t *testing.T) {
					s := settings(t, variable.name+"="+value)
					if got := startsOf(t, s, variable.fn, app.Every(time.Hour), app.Phase(0)); got != want {
						t.Errorf("with %s=%q the attempts begin at %q, want %q", variable.name, value, got, want)
					}
				})
			}
		})
	}
}

// jitteredHours are the first three hours of a bubble, each with the jitter of
// its tick.
func jitteredHours(most time.Duration) string {
	var starts []string
	origin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := time.Hour; at <= 3*time.Hour; at += time.Hour {
		starts = append(starts, (at + domain.Jitter("default", "job", origin.Add(at), most)).String())
	}
	return strings.Join(starts, " ")
}

func TestTheLibraryRetriesAtOnceUnlessTold(t *testing.T) {
	for want, options := range map[string][]app.JobOption{
		"1h0m0s 2h0m0s 3h0m0s":                      nil,
		"1h0m0s 1h0m0s 2h0m0s 2h0m0s 3h0m0s 3h0m0s": {app.Retries(1)},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := startsOf(t, app.Settings{}, fails, append(options, app.Every(time.Hour), app.Phase(0))...); got != want {
				t.Errorf("the attempts begin at %q, want %q", got, want)
			}
		})
	}
}

func TestAnIntervalHasTheSamePhaseWheneverItsWorkerStarts(t *testing.T) {
	origin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	phase := schedule.Phase("default", "job", time.Hour)
	for _, start := range []time.Duration{0, 7 * time.Minute, 50 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			notes := &notebook{origin: origin}
			w := takttest.StartWith(t, takttest.Config{Settings: settings(t), At: origin.Add(start)}, jobs(notes.job(quick, app.Every(time.Hour))))
			w.Advance(2*time.Hour - start)
			var want []string
			for at := phase; at < 2*time.Hour; at += time.Hour {
				if at > start {
					want = append(want, at.String())
				}
			}
			if got := notes.begun(); got != strings.Join(want, " ") {
				t.Errorf("started at %s: the runs begin at %q, want %q", start, got, want)
			}
		})
	}
}

func TestRunsOnStartAndByHandHaveNoJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := &notebook{origin: time.Now()}
		w := takttest.StartWith(t, takttest.Config{Settings: settings(t, "WORKER_JOB_MAX_RANDOM_DELAY=10m")},
			jobs(notes.job(quick, app.Every(24*time.Hour), app.OnStart(domain.StartEachReplica))))
		w.Advance(time.Minute)
		w.Trigger("job")
		if got, want := notes.begun(), "0s 1m0s"; got != want {
			t.Errorf("the runs begin at %q, want %q: on start and by hand without jitter", got, want)
		}
	})
}

func TestRunsOnStartBeginSideBySideOnceTheWorkerHasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := false
		onStart := func(name string, fn run) app.ScheduledJob {
			return app.Schedule(name, func(ctx context.Context, _ app.Run) (any, error) {
				if !ready {
					t.Errorf("%s runs before the start hooks have ended", name)
				}
				return nil, fn(ctx)
			}, app.OnStart(domain.StartEachReplica))
		}
		began := time.Now()
		w := takttest.Start(t, app.Feature("feature", func(l app.Lifecycle) app.Contribution {
			l.Append(app.Hook{OnStart: func(context.Context) error { <-time.After(time.Second); ready = true; return nil }})
			return app.Contribution{Jobs: []app.ScheduledJob{
				onStart("broken", fails), onStart("slow", lasts(time.Hour, nil)), onStart("other", lasts(time.Hour, nil)),
			}}
		}))
		if took := time.Since(began); took != time.Second {
			t.Errorf("the start took %s, want the hook's second: it waits for no run", took)
		}
		w.WantRuns("broken", domain.EventFailed, 1)
		w.WantRuns("slow", domain.EventStarted, 1)
		w.WantRuns("other", domain.EventStarted, 1)
		w.Advance(time.Hour)
		w.WantRuns("slow", domain.EventCompleted, 1)
		w.WantRuns("other", domain.EventCompleted, 1)
	})
}

func TestAJobIsRunningUntilTheLastOfItsRunsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := &notebook{origin: time.Now()}
		w := takttest.StartWith(t, takttest.Config{Settings: settings(t)},
			jobs(notes.job(lasts(90*time.Minute, nil), app.Overlap(domain.OverlapAllow))))
		for range 2 { // One until minute 90, one until minute 120.
			go func() { _, _ = w.Service().TriggerNow(context.Background(), "job") }()
			w.Advance(30 * time.Minute)
		}
		for _, want := range []bool{true, true, false} { // At minutes 60, 91 and 122.
			if got := w.Service().ListJobs()[0].Running; got == nil || *got != want {
				t.Errorf("at %s running = %v, want %t", time.Since(notes.origin), got, want)
			}
			w.Advance(31 * time.Minute)
		}
	})
}

func TestTheStartupJobNeverOverlapsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loaded := configuration(t, "WORKER_JOB_PREVENT_OVERLAP=false")
		// The startup job says what it does: so it can be made to last.
		worker := started(t, app.SettingsFrom(loaded), func(message string) {
			if strings.HasPrefix(message, "Queueing worker startup job") {
				<-time.After(time.Minute)
			}
		}, app.Supply(loaded), lifecycle.Module())
		synctest.Wait()
		report, err := worker.Service().TriggerNow(t.Context(), lifecycle.StartupJob)
		if err != nil || report.Event != domain.EventSkipped || report.Reason != domain.ReasonOverlap {
			t.Errorf("TriggerNow = %+v, %v, want it skipped beside the run on start", report, err)
		}
		<-time.After(time.Hour)
	})
}
