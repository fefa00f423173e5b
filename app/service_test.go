package app_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

func TestTheServiceRefusesToActBeforeTheStart(t *testing.T) {
	worker := build(t, app.Settings{}, app.Feature("f", func(service *app.SchedulerService) app.Contribution {
		if jobs := service.ListJobs(); jobs != nil {
			t.Errorf("ListJobs in a constructor = %v, want none", jobs)
		}
		if _, err := service.Enqueue(context.Background(), "", "job", nil); !errors.Is(err, app.ErrNotStarted) {
			t.Errorf("Enqueue in a constructor = %v, want %v", err, app.ErrNotStarted)
		}
		return app.Contribution{Jobs: []app.ScheduledJob{app.Schedule("job", nothing)}}
	}))
	s := worker.Service()
	if jobs := s.ListJobs(); len(jobs) != 1 || jobs[0].Running != nil {
		t.Errorf("ListJobs before the start = %+v, want one job, running unknown", jobs)
	}
	_, enqueue := s.Enqueue(t.Context(), "", "job", nil)
	_, trigger := s.TriggerNow(t.Context(), "job")
	_, runs := s.Runs(t.Context(), domain.RunFilter{})
	_, queues := s.Queues()
	_, limits := s.Limits()
	for name, err := range map[string]error{
		"Enqueue": enqueue, "TriggerNow": trigger, "Runs": runs, "Queues": queues, "Limits": limits,
		"PauseJob": s.PauseJob(t.Context(), "job"), "ResumeJob": s.ResumeJob(t.Context(), "job"),
	} {
		if !errors.Is(err, app.ErrNotStarted) {
			t.Errorf("%s before the start = %v, want %v", name, err, app.ErrNotStarted)
		}
	}
}

func TestEnqueueRefusesUnknownQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, contribute("f", app.Contribution{Queues: []string{"mail"}}))
		_, err := w.Service().Enqueue(t.Context(), "post", "send", nil)
		if !errors.Is(err, app.ErrUnknownQueue) || !strings.Contains(err.Error(), "declared are: default, mail") {
			t.Errorf("Enqueue = %v, want %v and the declared queues", err, app.ErrUnknownQueue)
		}
	})
}

func TestEnqueueRefusesWhenQueueingIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{Backend: config.BackendNone}})
		if _, err := w.Service().Enqueue(t.Context(), "", "send", nil); !errors.Is(err, app.ErrQueueingOff) {
			t.Errorf("Enqueue = %v, want %v", err, app.ErrQueueingOff)
		}
	})
}

func TestEnqueueAllPutsAllJobsOnTheirQueuesOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, app.Feature("post", func() app.Contribution { return app.Contribution{Queues: []string{"post"}} }))
		enqueue := func(jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
			return w.Service().EnqueueAll(t.Context(), jobs...)
		}
		good := domain.NewJob{Queue: "post", Name: "send", Data: []byte(`1`)}
		for name, c := range map[string]struct {
			bad  domain.NewJob
			want error
		}{
			"undeclared queue": {domain.NewJob{Queue: "nowhere", Name: "send", Data: []byte(`1`)}, app.ErrUnknownQueue},
			"no JSON":          {domain.NewJob{Queue: "post", Name: "send", Data: []byte(`{"a`)}, domain.ErrInvalid},
			"no data":          {domain.NewJob{Queue: "post", Name: "send"}, domain.ErrInvalid},
			"no name":          {domain.NewJob{Queue: "post", Data: []byte(`1`)}, domain.ErrInvalid},
		} {
			if _, err := enqueue(good, c.bad); !errors.Is(err, c.want) {
				t.Errorf("%s: EnqueueAll = %v, want %v", name, err, c.want)
			}
		}
		w.WantJobs("post", "send", domain.StateWait, 0)
		byDefault := domain.NewJob{Name: "send", Data: []byte(`2`)}
		results, err := enqueue(good, byDefault, good)
		if err != nil || len(results) != 3 {
			t.Fatalf("EnqueueAll = %v, %v, want three answers", results, err)
		}
		w.WantJobs("post", "send", domain.StateWait, 2)
		w.WantJobs("default", "send", domain.StateWait, 1)
		if byDefault.Queue != "" {
			t.Errorf("the caller's job goes to %q now, want it left alone", byDefault.Queue)
		}
		if report := w.Stop(); report.Dropped["post"] != 2 || report.Dropped["default"] != 1 {
			t.Errorf("the stop dropped %v, want the jobs counted by queue", report.Dropped)
		}
	})
}

func TestEnqueueRefusesWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{MaxPayload: 100, MemoryMaxJobs: 2}})
		enqueue := func(queue, name string, data any, options ...domain.JobOptions) error {
			_, err := w.Service().Enqueue(t.Context(), queue, name, data, options...)
			return err
		}
		for name, c := range map[string]struct {
			got, want error
		}{
			"undeclared queue": {enqueue("nowhere", "job", nil), app.ErrUnknownQueue},
			"bad name":         {enqueue("", "", nil), domain.ErrInvalid},
			"bad option":       {enqueue("", "job", nil, domain.JobOptions{Delay: -1}), domain.ErrInvalid},
			"several options":  {enqueue("", "job", nil, domain.JobOptions{}, domain.JobOptions{}), domain.ErrInvalid},
			"no JSON":          {enqueue("", "job", make(chan int)), domain.ErrInvalid},
			"too large":        {enqueue("", "job", strings.Repeat("x", 100)), domain.ErrTooLarge},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: Enqueue = %v, want %v", name, c.got, c.want)
			}
		}
		for range 2 {
			if err := enqueue("", "job", nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := enqueue("", "job", nil); !errors.Is(err, ports.ErrQueueFull) {
			t.Errorf("Enqueue on a full queue = %v, want %v", err, ports.ErrQueueFull)
		}
		w.Stop()
		if err := enqueue("", "job", nil); !errors.Is(err, ports.ErrClosed) {
			t.Errorf("Enqueue after Stop = %v, want %v", err, ports.ErrClosed)
		}
	})
}

func TestTriggerNowTellsWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, jobs("f",
			app.Schedule("good", nothing),
			app.Schedule("bad", func(context.Context, app.Run) (any, error) { return nil, errors.New("no paper") }),
			app.Schedule("idle", func(context.Context, app.Run) (any, error) { return nil, app.Skip("nothing to do") }),
			app.Schedule("off", nothing, app.Enabled(false)),
			app.Schedule("slow", func(context.Context, app.Run) (any, error) { <-time.After(time.Minute); return nil, nil })))
		for job, want := range map[string]string{"good": "completed ", "bad": "failed no paper", "idle": "skipped skipped: nothing to do"} {
			if report := w.Trigger(job); string(report.Event)+" "+report.Reason != want {
				t.Errorf("Trigger(%s) = %s %s, want %s", job, report.Event, report.Reason, want)
			}
		}
		if _, err := w.Service().TriggerNow(t.Context(), "off"); !errors.Is(err, runner.ErrDisabled) {
			t.Errorf("TriggerNow(off) = %v, want %v", err, runner.ErrDisabled)
		}
		go func() { _, _ = w.Service().TriggerNow(context.Background(), "slow") }()
		synctest.Wait()
		if report := w.Trigger("slow"); report.Event != domain.EventSkipped || report.Reason != domain.ReasonOverlap {
			t.Errorf("Trigger(slow) beside itself = %+v, want it skipped for overlap", report)
		}
		w.Advance(2 * time.Minute)
		w.Stop()
		if _, err := w.Service().TriggerNow(t.Context(), "good"); !errors.Is(err, runner.ErrStopping) {
			t.Errorf("TriggerNow after Stop = %v, want %v", err, runner.ErrStopping)
		}
	})
}

func TestTriggerNowOfAnUnknownJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, jobs("f", app.Schedule("nightly", nothing)))
		_, err := w.Service().TriggerNow(t.Context(), "nihgtly")
		if !errors.Is(err, runner.ErrUnknownJob) || !strings.Contains(err.Error(), "known are: nightly") {
			t.Errorf("TriggerNow = %v, want %v and the known names", err, runner.ErrUnknownJob)
		}
	})
}

func TestAPausedJobDoesNotTickUntilItIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, jobs("f", app.Schedule("minutely", nothing, app.Cron("* * * * *"))))
		w.Advance(3*time.Minute + time.Second)
		if err := w.Service().PauseJob(t.Context(), "minutely"); err != nil {
			t.Fatal(err)
		}
		w.Advance(10 * time.Minute)
		if job := w.Service().ListJobs()[0]; !job.Paused {
			t.Errorf("listed job = %+v, want it paused", job)
		}
		w.WantRuns("minutely", domain.EventCompleted, 3)
		if err := w.Service().ResumeJob(t.Context(), "minutely"); err != nil {
			t.Fatal(err)
		}
		w.Advance(2 * time.Minute)
		w.WantRuns("minutely", domain.EventCompleted, 5)
		if err := w.Service().PauseJob(t.Context(), "none"); !errors.Is(err, runner.ErrUnknownJob) {
			t.Errorf("PauseJob(none) = %v, want %v", err, runner.ErrUnknownJob)
		}
	})
}

func TestQueuesCanBeLookedIntoAndOperatedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t)
		w.Enqueue("", "job", nil)
		queues, err := w.Service().Queues()
		if err != nil {
			t.Fatal(err)
		}
		counts, err := queues.Counts(t.Context(), "default")
		if err != nil || counts[0].Jobs[domain.StateWait] != 1 {
			t.Errorf("Counts = %+v, %v, want one waiting", counts, err)
		}
		if _, err := queues.Apply(t.Context(), "default", domain.Operation{Kind: domain.OpDrain}); err != nil {
			t.Fatal(err)
		}
		w.WantJobs("default", "job", domain.StateWait, 0)
	})
}

func TestQueuesCanBeLimitedWhileTheyAreWorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most := 0, 0
		w := takttest.Start(t, app.Feature("slow", func() app.Contribution {
			return app.Contribution{Handlers: []app.Handler{app.Handle("", "job", func(context.Context, app.Job[int]) (any, error) {
				running++
				most = max(most, running)
				time.Sleep(time.Second)
				running--
				return nil, nil
			})}}
		}))
		limits, err := w.Service().Limits()
		if err != nil {
			t.Fatal(err)
		}
		if err := limits.LimitConcurrency(t.Context(), "default", 1); err != nil {
			t.Fatal(err)
		}
		if err := limits.LimitRate(t.Context(), "default", domain.Rate{Max: 2, Per: time.Hour}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			w.Enqueue("", "job", i)
		}
		time.Sleep(10 * time.Second)
		w.WantJobs("default", "job", domain.StateCompleted, 2)
		w.WantJobs("default", "job", domain.StateWait, 1)
		if err := limits.LimitRate(t.Context(), "default", domain.Rate{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		w.WantJobs("default", "job", domain.StateCompleted, 3)
		if got, err := limits.Limits(t.Context(), "default"); err != nil || got.Active != 0 || got.HeldFor != 0 || most != 1 {
			t.Errorf("Limits = %+v, %v, %d jobs at a time, want none left and one", got, err, most)
		}
	})
}

func TestFeaturesEnqueueFromHooksHandlersAndScheduledJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feature := app.Feature("chain", func(l app.Lifecycle, s *app.SchedulerService) app.Contribution {
			enqueue := func(ctx context.Context, name string) error {
				_, err := s.Enqueue(ctx, "", name, nil)
				return err
			}
			l.Append(app.Hook{OnStart: func(ctx context.Context) error { return enqueue(ctx, "first") }})
			return app.Contribution{
				Jobs: []app.ScheduledJob{
					app.Schedule("tick", func(ctx context.Context, _ app.Run) (any, error) { return nil, enqueue(ctx, "first") }, app.Every(time.Minute)),
					app.Schedule("trigger", func(ctx context.Context, _ app.Run) (any, error) {
						_, err := s.TriggerNow(ctx, "tick")
						return nil, err
					}, app.OnStart(domain.StartEachReplica)),
				},
				Handlers: []app.Handler{
					app.Handle("", "first", func(ctx context.Context, _ app.Job[any]) (any, error) { return nil, enqueue(ctx, "second") }),
					app.Handle("", "second", ignore),
				},
			}
		})
		w := takttest.Start(t, feature)
		w.Advance(3 * time.Minute)
		w.WantCompleted("default", "second", 5) // The hook's, the triggered one's and three ticks'.
	})
}

func TestTheServiceIsSafeForConcurrentUse(t *testing.T) {
	worker := build(t, app.Settings{Concurrency: 4},
		jobs("f", app.Schedule("tick", nothing, app.EveryFast(5*time.Millisecond), app.Overlap(domain.OverlapAllow))),
		contribute("g", app.Contribution{Handlers: []app.Handler{app.Handle("", "job", ignore)}}))
	s := worker.Service()
	var calls sync.WaitGroup
	done := make(chan struct{})
	for _, call := range []func(){
		func() { s.ListJobs() },
		func() { _, _ = s.TriggerNow(context.Background(), "tick") },
		func() { _, _ = s.Enqueue(context.Background(), "", "job", 1) },
		func() { _, _ = s.Runs(context.Background(), domain.RunFilter{}) },
		func() { _, _ = s.Queues() },
		func() { _, _ = s.Limits() },
		func() { _ = s.PauseJob(context.Background(), "tick"); _ = s.ResumeJob(context.Background(), "tick") },
		func() { worker.Health() },
	} {
		calls.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					call()
				}
			}
		})
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		_, _ = s.Enqueue(t.Context(), "", "job", 1)
	}
	worker.Stop(t.Context())
	close(done)
	calls.Wait()
}

func TestWithoutQueuesTargetsRunInlineWithOneWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logbook
		settings := app.Settings{Backend: config.BackendNone}
		worker, err := app.New(settings, log.logger(),
			jobs("f", app.Schedule("queued", nothing, app.Every(time.Hour), app.ToQueue("")), app.Schedule("off", nothing, app.ToQueue(""), app.Enabled(false))),
			contribute("g", app.Contribution{Handlers: []app.Handler{app.Handle("", "queued", ignore)}}))
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		report, err := worker.Service().TriggerNow(t.Context(), "queued")
		if err != nil || report.Event != domain.EventCompleted || report.JobID != "" {
			t.Errorf("TriggerNow = %+v, %v, want it completed inline", report, err)
		}
		if got := worker.Service().ListJobs()[1]; got.ExecutionTarget != "inline" || got.QueueName != "" {
			t.Errorf("listed = %+v, want an inline job", got)
		}
		if _, err := worker.Service().Enqueue(t.Context(), "", "queued", nil); !errors.Is(err, app.ErrQueueingOff) {
			t.Errorf("Enqueue = %v, want %v", err, app.ErrQueueingOff)
		}
		if _, err := worker.Service().Queues(); !errors.Is(err, app.ErrQueueingOff) {
			t.Errorf("Queues = %v, want %v", err, app.ErrQueueingOff)
		}
		worker.Stop(t.Context())
		want := []string{`level=WARN msg=registration warning="scheduled job \"queued\": goes to queue \"default\", but queueing is off: it runs inline and its result is discarded"`}
		if diff := cmp.Diff(want, log.lines("level=WARN")); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	})
}

func TestTheMasterSwitchStopsTicksAndKeepsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{SchedulerDisabled: true}},
			jobs("f", app.Schedule("tick", func(context.Context, app.Run) (any, error) { t.Error("it ran"); return nil, nil },
				app.Every(time.Minute), app.OnStart(domain.StartEachReplica))),
			contribute("g", app.Contribution{Handlers: []app.Handler{app.Handle("", "job", ignore)}}))
		w.Enqueue("", "job", nil)
		w.Advance(time.Hour)
		w.WantCompleted("default", "job", 1)
		if job := w.Service().ListJobs()[0]; job.Enabled || job.NextTick != nil {
			t.Errorf("listed = %+v, want it disabled and without a next tick", job)
		}
		if _, err := w.Service().TriggerNow(t.Context(), "tick"); !errors.Is(err, runner.ErrDisabled) || !strings.Contains(err.Error(), "scheduler is off") {
			t.Errorf("TriggerNow = %v, want %v and why", err, runner.ErrDisabled)
		}
	})
}

func TestAStartHookMayEnqueueButNotTrigger(t *testing.T) {
	var triggered error
	worker := build(t, app.Settings{}, app.Feature("f", func(l app.Lifecycle, s *app.SchedulerService) app.Contribution {
		l.Append(app.Hook{OnStart: func(ctx context.Context) error {
			_, triggered = s.TriggerNow(ctx, "job")
			_, err := s.Enqueue(ctx, "", "job", nil)
			return err
		}})
		return app.Contribution{Jobs: []app.ScheduledJob{app.Schedule("job", nothing)}}
	}))
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	worker.Stop(t.Context())
	if !errors.Is(triggered, app.ErrNotStarted) {
		t.Errorf("TriggerNow in a start hook = %v, want %v", triggered, app.ErrNotStarted)
	}
}
