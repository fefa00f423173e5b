package app_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// mistakes are features with one of every mistake.
func mistakes() []app.Option {
	queued := app.ToQueue("declared")
	return []app.Option{
		jobs("a.names", app.Schedule("", nothing), app.Schedule("no spaces", nothing), app.Schedule("twice", nothing),
			app.Schedule(strings.Repeat("x", 129), nothing)),
		jobs("b.names", app.Schedule(" twice ", func(context.Context, app.Run) (any, error) { return 1, nil })),
		jobs("c.schedules",
			app.Schedule("c.both", nothing, app.Cron("* * * * *"), app.Every(time.Minute)),
			app.Schedule("c.crons", nothing, app.Cron("* * * * *"), app.Cron("0 * * * *")),
			app.Schedule("c.intervals", nothing, app.Every(time.Second), app.EveryFast(time.Second)),
			app.Schedule("c.cron", nothing, app.Cron("0 61 * * *")),
			app.Schedule("c.never", nothing, app.Cron("0 0 30 2 *")),
			app.Schedule("c.every", nothing, app.Cron("@every 5m")),
			app.Schedule("c.empty", nothing, app.Cron("")),
			app.Schedule("c.zone", nothing, app.Cron("0 3 * * *"), app.Zone("Europe/Belrin")),
			app.Schedule("c.zero", nothing, app.Every(0)),
			app.Schedule("c.negative", nothing, app.Every(-time.Second)),
			app.Schedule("c.short", nothing, app.Every(50*time.Millisecond)),
			app.Schedule("c.shorter", nothing, app.EveryFast(time.Microsecond)),
			app.Schedule("c.long", nothing, app.Every(367*24*time.Hour)),
			app.Schedule("c.zoneless", nothing, app.Every(time.Hour), app.Zone("UTC")),
			app.Schedule("c.phaseless", nothing, app.Cron("* * * * *"), app.Phase(time.Second)),
			app.Schedule("c.manual.zone", nothing, app.Zone("UTC")),
			app.Schedule("c.manual.phase", nothing, app.Phase(time.Second))),
		contribute("d.targets", app.Contribution{
			Queues: []string{"declared", "bad queue", ""},
			Jobs: []app.ScheduledJob{
				app.Schedule("d.undeclared", nothing, app.ToQueue("undeclared")),
				app.Schedule("d.constant", nothing, queued, app.QueueJobOptions(domain.JobOptions{ID: "report"})),
				app.Schedule("d.options", nothing, queued, app.QueueJobOptions(domain.JobOptions{Priority: -1})),
				app.Schedule("d.name", nothing, queued, app.QueueJobName(" padded")),
				app.Schedule("d.preempt", nothing, queued, app.Overlap(domain.OverlapCancelPrevious)),
				app.Schedule("d.scope", nothing, queued, app.UntilCompletion(), app.Overlap(domain.OverlapAllow)),
				app.Schedule("d.inline.scope", nothing, app.UntilCompletion()),
				app.Schedule("d.several", nil, app.ToQueue("undeclared"), app.Every(0), app.Timeout(0),
					app.QueueJobOptions(domain.JobOptions{ID: "report"}), app.UntilCompletion()),
			},
		}),
		jobs("e.policies",
			app.Schedule("e.nil", nil),
			app.Schedule("e.timeout", nothing, app.Timeout(0)),
			app.Schedule("e.timeout.negative", nothing, app.Timeout(-time.Second)),
			app.Schedule("e.retries", nothing, app.Retries(-1)),
			app.Schedule("e.delay", nothing, app.RetryDelay(-time.Second)),
			app.Schedule("e.backoff", nothing, app.Backoff(domain.Backoff{Kind: "quadratic"})),
			app.Schedule("e.backoff.jitter", nothing, app.Backoff(domain.Backoff{Jitter: math.NaN()})),
			app.Schedule("e.jitter", nothing, app.Jitter(-time.Second)),
			app.Schedule("e.overlap", nothing, app.Overlap("skp")),
			app.Schedule("e.start", nothing, app.OnStart("always")),
			app.Schedule("e.abandon", nothing, app.OnAbandon("never")),
			app.Schedule("e.misfire", nothing, app.Misfire(schedule.Misfire{Policy: 7})),
			app.Schedule("e.misfire.after", nothing, app.Misfire(schedule.Misfire{After: -1})),
			app.Schedule("e.misfire.all", nothing, app.Misfire(schedule.Misfire{Policy: schedule.MisfireAll}))),
		contribute("f.handlers", app.Contribution{Handlers: []app.Handler{
			app.Handle("declared", "once", ignore),
			app.Handle("declared", "", ignore),
			app.Handle[int]("declared", "nil", nil),
			app.Handle("undeclared", "lost", ignore),
			app.Handle("declared", "timeout", ignore, app.AttemptTimeout(0)),
			app.Handle("declared", "middleware", ignore, app.Wrap(nil)),
			app.Handle("declared", "starts", ignore, app.MaxStarts(0)),
			app.Handle("declared", "backoffs", ignore, app.NamedBackoff("fixed", constant), app.NamedBackoff("", constant),
				app.NamedBackoff("mine", constant), app.NamedBackoff("mine", constant), app.NamedBackoff("none", nil)),
		}}),
		contribute("g.handlers", app.Contribution{Handlers: []app.Handler{
			app.Handle("declared", "once", func(context.Context, app.Job[int]) (any, error) { return 1, nil }),
			app.Handle("", "default", ignore),
			app.Handle("jobs", "default", ignore),
		}}),
		contribute("h.same", app.Contribution{}), contribute("h.same", app.Contribution{}), contribute("", app.Contribution{}),
		app.Feature("i.shape.value", 1), app.Feature("i.shape.nil", nil), app.Feature("i.shape.result", func() int { return 1 }),
		app.Feature("i.shape.nothing", func() {}), app.Feature("i.shape.second", func() (app.Contribution, int) { return app.Contribution{}, 1 }),
		app.Feature("i.shape.many", func(...int) app.Contribution { return app.Contribution{} }),
		app.Use(nil),
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	settings := app.Settings{
		DefaultQueue: "jobs", Queues: []string{"a:b"}, Timezone: "Mars/Base", Concurrency: -1, MaxPayload: -1,
		MemoryMaxJobs: -1, MemoryMaxBytes: -1, HistorySize: -1, ShutdownTimeout: -1, Unknown: "ignore", Timing: runner.Timing{Sync: -1, Stuck: time.Microsecond},
	}
	_, err := app.New(settings, (&logbook{}).logger(), mistakes()...)
	if err == nil {
		t.Fatal("New = nil, want every mistake")
	}
	golden(t, "mistakes.golden", err.Error()+"\n")
}

func TestMistakesComeInTheSameOrderEachTime(t *testing.T) {
	first := problems(t, app.Settings{}, mistakes()...)
	for range 50 {
		if diff := cmp.Diff(first, problems(t, app.Settings{}, mistakes()...)); diff != "" {
			t.Fatalf("problems (-first +now):\n%s", diff)
		}
	}
}

func TestStrictQueuesRefuseTargetsWithoutQueues(t *testing.T) {
	settings := app.Settings{Backend: config.BackendNone, StrictQueues: true}
	got := problems(t, settings, jobs("f",
		app.Schedule("queued", nothing, app.ToQueue("")), app.Schedule("inline", nothing),
		app.Schedule("off", nothing, app.ToQueue(""), app.Enabled(false))))
	want := []string{`feature f: scheduled job "queued": goes to queue "default", but queueing is off`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestABackendThatIsNotCarriedIsAnError(t *testing.T) {
	for _, settings := range []app.Settings{{Backend: "rabbit"}, {Ledger: "paper"}} {
		if _, err := app.New(settings, (&logbook{}).logger()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("New(%q, %q) = %v, want %v", settings.Backend, settings.Ledger, err, errors.ErrUnsupported)
		}
	}
}

func TestErrorsOfConstructorsSayWhichAndWhy(t *testing.T) {
	broken := errors.New("no licence")
	type engine struct{}
	for name, c := range map[string]struct {
		option app.Option
		want   []string
	}{
		"error of a constructor": {
			app.Feature("reports", func(*engine) app.Contribution { return app.Contribution{} },
				app.Provide(func() (*engine, error) { return nil, broken })),
			[]string{"assemble worker", "no licence"},
		},
		"error of the feature": {
			app.Feature("reports", func() (app.Contribution, error) { return app.Contribution{}, broken }),
			[]string{"assemble worker", "TestErrorsOfConstructorsSayWhichAndWhy.func", "registration_test.go", "no licence"},
		},
		"panic of a constructor": {
			app.Feature("reports", func(*engine) app.Contribution { return app.Contribution{} },
				app.Provide(func() *engine { panic("no engine") })),
			[]string{"assemble worker", "no engine"},
		},
		"panic of the feature": {
			app.Feature("reports", func() app.Contribution { panic("no feature") }),
			[]string{"assemble worker", "panic", "TestErrorsOfConstructorsSayWhichAndWhy.func", "registration_test.go", "no feature"},
		},
		"nothing provides": {
			app.Feature("reports", func(*engine) app.Contribution { return app.Contribution{} }),
			[]string{"assemble worker", "TestErrorsOfConstructorsSayWhichAndWhy.func", "registration_test.go", "missing type", "*app_test.engine"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := app.New(app.Settings{}, (&logbook{}).logger(), c.option)
			if err == nil {
				t.Fatal("New = nil, want an error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("New = %v, want it to hold %q", err, want)
				}
			}
		})
	}
}

func TestMiddlewareIsOrderedUseOutsideWrap(t *testing.T) {
	for range 20 {
		var d diary
		done := make(chan struct{})
		named := func(name string) app.Middleware {
			return func(next ports.Handler) ports.Handler {
				return app.MiddlewareFunc(func(ctx context.Context, job *domain.Job) ([]byte, error) {
					d.note(name)
					return next.Handle(ctx, job)
				})
			}
		}
		worker := build(t, app.Settings{},
			app.Use(named("use 1"), named("use 2"), named("use 3")), app.Use(named("use 4"), named("use 5")),
			contribute("f", app.Contribution{Handlers: []app.Handler{
				app.Handle("", "job", func(context.Context, app.Job[any]) (any, error) {
					d.note("handler")
					close(done)
					return nil, nil
				}, app.Wrap(named("wrap 1"), named("wrap 2")), app.Wrap(named("wrap 3"))),
			}}))
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := worker.Service().Enqueue(t.Context(), "", "job", nil); err != nil {
			t.Fatal(err)
		}
		<-done
		if report := worker.Stop(t.Context()); !report.Clean() {
			t.Errorf("Stop() = %+v, want a clean one", report)
		}
		want := []string{"use 1", "use 2", "use 3", "use 4", "use 5", "wrap 1", "wrap 2", "wrap 3", "handler"}
		if diff := cmp.Diff(want, d.all()); diff != "" {
			t.Fatalf("order (-want +got):\n%s", diff)
		}
	}
}

func TestFeaturesMayBringFeatures(t *testing.T) {
	worker := build(t, app.Settings{}, app.Feature("suite", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{app.Schedule("outer", nothing)}}
	}, jobs("part", app.Schedule("inner", nothing))))
	got := map[string]string{}
	for _, job := range worker.Service().ListJobs() {
		got[job.ID] = job.ProviderName
	}
	if diff := cmp.Diff(map[string]string{"inner": "part", "outer": "suite"}, got); diff != "" {
		t.Errorf("features by job (-want +got):\n%s", diff)
	}
}
