package app_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// conditional is a feature with a ticking job that also runs on start, and a
// handler, that all write their names down.
func conditional(name string, d *diary, condition app.Condition) app.Option {
	run := func(context.Context, app.Run) (any, error) { d.note(name + " ran"); return nil, nil }
	handle := func(context.Context, app.Job[any]) (any, error) { d.note(name + " handled"); return nil, nil }
	return contribute(name, app.Contribution{
		Queues: []string{"shared"}, Condition: condition,
		Jobs:     []app.ScheduledJob{app.Schedule(name+".job", run, app.Every(time.Minute), app.Phase(0), app.OnStart(domain.StartEachReplica))},
		Handlers: []app.Handler{app.Handle("shared", name+".event", handle)},
	})
}

func unmet(context.Context) error { return app.Skip("there is no table") }

func TestAFeatureWhoseConditionIsNotMetStaysOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logbook
		var d diary
		asked := 0
		worker, err := app.New(app.Settings{}, log.logger(),
			conditional("on", &d, func(context.Context) error { asked++; return nil }), conditional("off", &d, unmet))
		if err != nil {
			t.Fatal(err)
		}
		service := worker.Service()
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"on.event", "off.event"} {
			if _, err := service.Enqueue(t.Context(), "shared", name, nil); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(90 * time.Second)
		synctest.Wait()
		got := d.all()
		slices.Sort(got)
		if want := []string{"on handled", "on ran", "on ran"}; !slices.Equal(got, want) {
			t.Errorf("what happened = %v, want %v", got, want)
		}
		if asked != 1 {
			t.Errorf("the condition was asked %d times, want once", asked)
		}
		for _, job := range service.ListJobs() {
			if want := job.ID == "on.job"; job.Enabled != want || (job.NextTick != nil) != want {
				t.Errorf("%s is listed as enabled: %t, next tick %v; want enabled: %t", job.ID, job.Enabled, job.NextTick, want)
			}
		}
		if _, err := service.TriggerNow(t.Context(), "off.job"); !errors.Is(err, runner.ErrDisabled) {
			t.Errorf("TriggerNow = %v, want ErrDisabled", err)
		}
		queues, err := service.Queues()
		if err != nil {
			t.Fatal(err)
		}
		parked, err := queues.Jobs(t.Context(), "shared", domain.JobFilter{State: domain.StateParked, Limit: 10})
		if err != nil || len(parked) != 1 || parked[0].Job.Name != "off.event" {
			t.Errorf("parked jobs = %v, %v; want off.event", parked, err)
		}
		if lines := log.lines(`msg="feature withheld"`); len(lines) != 1 || !strings.Contains(lines[0], `feature=off reason="there is no table"`) {
			t.Errorf("log lines = %q, want one with the reason", lines)
		}
		worker.Stop(t.Context())
	})
}

func TestAQueueWithoutHandlersIsNotWorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		worker := build(t, app.Settings{}, conditional("off", &d, unmet))
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if queues := worker.Health().Queues; len(queues) != 0 {
			t.Errorf("queues = %v, want none", queues)
		}
		worker.Stop(t.Context())
	})
}

func TestAConditionThatFailsEndsTheStart(t *testing.T) {
	broken := errors.New("the database is on fire")
	for name, c := range map[string]struct {
		condition app.Condition
		want      string
	}{
		"error": {func(context.Context) error { return broken }, "condition of feature a: the database is on fire"},
		"panic": {func(context.Context) error { panic("oops") }, "condition of feature a: panic: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				worker := build(t, app.Settings{}, conditional("a", &d, c.condition))
				if err := worker.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("Start = %v, want an error with %q", err, c.want)
				}
				worker.Stop(t.Context())
				if happened := d.all(); len(happened) != 0 {
					t.Errorf("what happened = %v, want nothing", happened)
				}
			})
		})
	}
}

func TestConditionsAreAskedAfterTheStartHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		worker := build(t, app.Settings{},
			app.Feature("asks", func(lifecycle app.Lifecycle) app.Contribution {
				lifecycle.Append(app.Hook{OnStart: func(context.Context) error { d.note("hook"); return nil }})
				return app.Contribution{Condition: func(context.Context) error { d.note("condition"); return nil }}
			}))
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		worker.Stop(t.Context())
		if got, want := d.all(), []string{"hook", "condition"}; !slices.Equal(got, want) {
			t.Errorf("what happened = %v, want %v", got, want)
		}
	})
}
