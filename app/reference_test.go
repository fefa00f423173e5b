package app_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
)

// wantProblems reports unless New reports exactly these mistakes.
func wantProblems(t *testing.T, want []string, options ...app.Option) {
	t.Helper()
	if diff := cmp.Diff(want, problems(t, app.Settings{}, options...)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func render(context.Context, app.Run) (any, error) { return "a report", nil }

func TestDuplicateJobNamesNameBothRegistrations(t *testing.T) {
	wantProblems(t, []string{`scheduled job "daily" is registered twice: by feature reports (render) and by feature sales (nothing)`},
		jobs("sales", app.Schedule(" daily ", nothing)), jobs("reports", app.Schedule("daily", render)))
}

func TestDuplicateHandlersNameBothRegistrations(t *testing.T) {
	one := app.Contribution{Handlers: []app.Handler{app.Handle("", "send", ignore)}}
	wantProblems(t, []string{`handler on queue "default" of job "send" is registered twice: by feature mail (ignore) and by feature post (ignore)`},
		contribute("post", one), contribute("mail", one))
}

func TestAConstantJobIDIsAStartError(t *testing.T) {
	wantProblems(t, []string{`feature f: scheduled job "daily": its queue job has the constant id "one": every run after the first would be taken for a duplicate; leave the id out`},
		jobs("f", app.Schedule("daily", nothing, app.QueueJobOptions(domain.JobOptions{ID: "one"}))))
}

func TestAnUndeclaredQueueIsAStartError(t *testing.T) {
	wantProblems(t, []string{
		`feature f: scheduled job "daily": queue "mail" is declared by no feature; declared are: default`,
		`feature f: handler of job "send" on queue "mail": queue "mail" is declared by no feature; declared are: default`,
	}, contribute("f", app.Contribution{
		Jobs:     []app.ScheduledJob{app.Schedule("daily", nothing, app.ToQueue("mail"))},
		Handlers: []app.Handler{app.Handle("mail", "send", ignore)},
	}))
}

func TestWrongIntervalsAreStartErrors(t *testing.T) {
	wantProblems(t, []string{
		`feature f: scheduled job "zero": interval 0s: too short; use 1ms or more`,
		`feature f: scheduled job "negative": interval -1m0s: too short; use 1ms or more`,
		`feature f: scheduled job "both": has both a cron expression and an interval; choose one`,
	}, jobs("f", app.Schedule("zero", nothing, app.Every(0)), app.Schedule("negative", nothing, app.Every(-time.Minute)),
		app.Schedule("both", nothing, app.Every(time.Minute), app.Cron("* * * * *"))))
}

func TestListJobsNamesFeatureAndFunction(t *testing.T) {
	worker := build(t, app.Settings{}, jobs("reports", app.Schedule("daily", render)))
	if job := worker.Service().ListJobs()[0]; job.ProviderName != "reports" || job.MethodName != "render" {
		t.Errorf("listed = %s.%s, want reports.render", job.ProviderName, job.MethodName)
	}
}

func TestADisabledJobIsListedAndNeverFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, jobs("f", app.Schedule("off", func(context.Context, app.Run) (any, error) {
			t.Error("the job ran")
			return nil, nil
		}, app.Every(time.Minute), app.Enabled(false), app.OnStart(domain.StartEachReplica))))
		w.Advance(time.Hour)
		if jobs := w.Service().ListJobs(); len(jobs) != 1 || jobs[0].Enabled || jobs[0].NextTick != nil {
			t.Errorf("listed = %+v, want the job, disabled", jobs)
		}
	})
}

func TestAJobsZoneWinsOverTheWorkers(t *testing.T) {
	settings := app.Settings{Timezone: "Asia/Tokyo", Now: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }}
	worker := build(t, settings, jobs("f", app.Schedule("own", nothing, app.Cron("0 12 * * *"), app.Zone("Europe/Paris")),
		app.Schedule("workers", nothing, app.Cron("0 12 * * *"))))
	for i, want := range []string{"Europe/Paris 2026-01-01T11:00:00Z", "Asia/Tokyo 2026-01-01T03:00:00Z"} {
		job := worker.Service().ListJobs()[i]
		if got := job.Timezone + " " + job.NextTick.Format(time.RFC3339); got != want {
			t.Errorf("job %s is next due at %s, want %s", job.ID, got, want)
		}
	}
}

func TestAManualJobRunsOnlyWhenTriggered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, jobs("f", app.Schedule("manual", nothing)))
		w.Advance(24 * time.Hour)
		w.WantRuns("manual", domain.EventStarted, 0)
		w.Trigger("manual")
		w.WantRuns("manual", domain.EventCompleted, 1)
	})
}

func TestAQueueWithoutHandlerHereIsLegal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, contribute("f", app.Contribution{
			Queues: []string{"elsewhere"}, Jobs: []app.ScheduledJob{app.Schedule("daily", render, app.ToQueue("elsewhere"))},
		}))
		w.Trigger("daily")
		w.WantJobs("elsewhere", "daily", domain.StateWait, 1)
		w.Stop()
	})
}

func TestFurtherQueuesAreDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{Queues: []string{"further"}}},
			contribute("f", app.Contribution{Handlers: []app.Handler{app.Handle("further", "send", ignore)}}))
		w.Enqueue("further", "send", nil)
		w.WantCompleted("further", "send", 1)
	})
}

func TestTheDefaultQueueTakesJobsThatNameNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{DefaultQueue: "main"}}, contribute("f", app.Contribution{
			Jobs: []app.ScheduledJob{
				app.Schedule("named", render, app.QueueJobName("send")),
				app.Schedule("optioned", render, app.QueueJobOptions(domain.JobOptions{Priority: 3}), app.QueueJobName("send")),
				app.Schedule("bare", render, app.ToQueue(""), app.QueueJobName("send")),
			},
			Handlers: []app.Handler{app.Handle("", "send", ignore)},
		}))
		for _, job := range []string{"named", "optioned", "bare"} {
			w.Trigger(job)
		}
		w.Enqueue("", "send", nil)
		w.WantCompleted("main", "send", 4)
	})
}

func TestTheQueueJobNameDefaultsToTheJobsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, contribute("f", app.Contribution{
			Jobs:     []app.ScheduledJob{app.Schedule("daily", render, app.ToQueue(""))},
			Handlers: []app.Handler{app.Handle("", "daily", ignore)},
		}))
		w.Trigger("daily")
		w.WantCompleted("default", "daily", 1)
	})
}

func TestQueueOptionsReachTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := domain.JobOptions{
			Priority: 3, Attempts: 4, Backoff: domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second},
			KeepCompleted: domain.KeepLast(7),
		}
		w := takttest.Start(t, jobs("f", app.Schedule("daily", render, app.QueueJobOptions(options))))
		w.Trigger("daily")
		got := w.Jobs("default", domain.StatePrioritized)[0].Job.Options
		options.KeepFailed = domain.KeepLast(5000)
		options.ID = got.ID // It is made of the run.
		if diff := cmp.Diff(options, got); got.ID == "" || diff != "" {
			t.Errorf("options of the job (-want +got):\n%s", diff)
		}
		w.Stop()
	})
}

func TestRoutesOfAFeatureAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handle := func(names ...string) app.Contribution {
			c := app.Contribution{Queues: []string{"shared"}}
			for _, name := range names {
				c.Handlers = append(c.Handlers, app.Handle("shared", name, func(context.Context, app.Job[any]) (any, error) { return name, nil }))
			}
			return c
		}
		w := takttest.Start(t, contribute("a", handle("a1", "a2")), contribute("b", handle("b1")))
		for range 20 {
			for _, name := range []string{"a1", "a2", "b1"} {
				w.Enqueue("shared", name, nil)
			}
		}
		for _, name := range []string{"a1", "a2", "b1"} {
			w.WantCompleted("shared", name, 20)
		}
		for _, job := range w.Jobs("shared", domain.StateCompleted) {
			if string(job.Result) != `"`+job.Job.Name+`"` || job.Job.AttemptsStarted != 1 {
				t.Errorf("job %s was worked %d times, its result is %s", job.Job.Name, job.Job.AttemptsStarted, job.Result)
			}
		}
	})
}

func TestRegisteredJobsAreLogged(t *testing.T) {
	for _, silent := range []bool{false, true} {
		var log logbook
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		worker, err := app.New(app.Settings{SilentRegistration: silent, Now: func() time.Time { return now }}, log.logger(), listed())
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		worker.Stop(t.Context())
		want := []string{
			`level=INFO msg="scheduled job registered" job=cron schedule="0 3 * * * Europe/Berlin" target=inline enabled=true next_tick=2026-01-01T02:00:00.000Z`,
			`level=INFO msg="scheduled job registered" job=interval schedule="every 1h0m0s" target="queue mail, job send" enabled=true next_tick=2026-01-01T00:01:00.000Z`,
			`level=INFO msg="scheduled job registered" job=manual schedule=manual target=inline enabled=true`,
			`level=INFO msg="scheduled job registered" job=off schedule="*/5 * * * * UTC" target="queue default, job off" enabled=false`,
		}
		if silent {
			want = nil
		}
		if diff := cmp.Diff(want, log.lines("scheduled job registered")); diff != "" {
			t.Errorf("silent %t: log (-want +got):\n%s", silent, diff)
		}
	}
}
