package takttest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
)

type order struct {
	Number int `json:"number"`
}

// shop is a feature as a user would write one.
func shop() app.Option {
	return app.Feature("shop", func() app.Contribution {
		return app.Contribution{
			Queues: []string{"orders"},
			Jobs: []app.ScheduledJob{
				app.Schedule("shop.nightly", func(context.Context, app.Run) (any, error) { return order{Number: 1}, nil },
					app.Cron("0 3 * * *"), app.ToQueue("orders"), app.QueueJobName("pack")),
			},
			Handlers: []app.Handler{
				app.Handle("orders", "pack", func(_ context.Context, job app.Job[order]) (any, error) {
					if job.Data.Number < 0 {
						return nil, app.Permanent(errors.New("no such order"))
					}
					return job.Data.Number * 2, nil
				}),
			},
		}
	})
}

func TestADayOfTicksAndJobsPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, shop())
		w.Advance(3 * 24 * time.Hour)
		w.WantRuns("shop.nightly", domain.EventFired, 3)
		w.WantCompleted("orders", "pack", 3)
	})
}

func TestTheWorkerStartsAtTheGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Date(2026, 3, 8, 2, 59, 0, 0, time.UTC)
		w := takttest.StartWith(t, takttest.Config{At: at}, shop())
		if !time.Now().Equal(at) {
			t.Errorf("after the start it is %s, want %s", time.Now(), at)
		}
		w.Advance(time.Minute)
		records := w.Records("shop.nightly")
		if len(records) == 0 || records[0].Run.Planned() != at.Add(time.Minute) {
			t.Errorf("records = %+v, want the first of the tick at three", records)
		}
	})
}

func TestTriggeredRunsAndEnqueuedJobsAreDoneOnReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, shop())
		if report := w.Trigger("shop.nightly"); report.Event != domain.EventFired {
			t.Errorf("Trigger = %+v, want it fired", report)
		}
		w.Enqueue("orders", "pack", order{Number: 21})
		w.Enqueue("orders", "pack", order{Number: -1})
		w.WantCompleted("orders", "pack", 2)
		w.WantFailed("orders", "pack", 1)
		if got := string(w.Jobs("orders", domain.StateCompleted)[0].Result); got != "42" {
			t.Errorf("result = %s, want 42", got)
		}
	})
}

// fakeT records what a test would report; FailNow ends the goroutine.
type fakeT struct {
	testing.TB

	errors   []string
	cleanups []func()
	output   bytes.Buffer
}

func (f *fakeT) Helper()           {}
func (f *fakeT) Failed() bool      { return len(f.errors) > 0 }
func (f *fakeT) Output() io.Writer { return &f.output }
func (f *fakeT) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }
func (f *fakeT) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fakeT) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(stopTest{})
}

type stopTest struct{}

// run runs a test on the fake and its cleanups, and returns what it reported.
func (f *fakeT) run(test func(t testing.TB)) string {
	protected := func(fn func()) {
		defer func() {
			if value := recover(); value != nil && value != (stopTest{}) {
				panic(value)
			}
		}()
		fn()
	}
	protected(func() { test(f) })
	for _, cleanup := range slices.Backward(f.cleanups) {
		protected(cleanup)
	}
	return strings.Join(f.errors, "\n")
}

func TestFailuresSayWhatHappenedInstead(t *testing.T) {
	slow := app.Feature("slow", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("slow", func(context.Context, app.Run) (any, error) {
				<-time.After(time.Hour)
				return nil, nil
			}),
		}}
	})
	for name, c := range map[string]struct {
		test func(t testing.TB)
		want []string
	}{
		"fewer runs": {
			func(t testing.TB) {
				w := takttest.Start(t, shop())
				w.Trigger("shop.nightly")
				w.WantRuns("shop.nightly", domain.EventCompleted, 1)
			},
			[]string{"runs of shop.nightly were completed 0 times, want 1\ndecided was:", " shop.nightly@manual:test-1@2000-01-01T00:00:00Z fired, attempt 1"},
		},
		"no runs": {
			func(t testing.TB) { takttest.Start(t, shop()).WantRuns("shop.nightly", domain.EventFired, 1) },
			[]string{"nothing was decided about the job"},
		},
		"failed job": {
			func(t testing.TB) {
				w := takttest.Start(t, shop())
				w.Enqueue("orders", "pack", order{Number: -1})
				w.WantCompleted("orders", "pack", 1)
			},
			[]string{"0 jobs pack on queue orders are completed, want 1\non the queue are:\n  failed pack (1): no such order"},
		},
		"empty queue": {
			func(t testing.TB) { takttest.Start(t, shop()).WantCompleted("orders", "pack", 1) },
			[]string{"the queue is empty"},
		},
		"undone job": {
			func(t testing.TB) {
				takttest.Start(t, shop()).Enqueue("orders", "pack", order{}, domain.JobOptions{Delay: time.Hour})
			},
			[]string{"the worker left 1 unfinished jobs on queue orders"},
		},
		"undone run": {
			func(t testing.TB) {
				w := takttest.Start(t, slow)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _ = w.Service().TriggerNow(ctx, "slow")
			},
			[]string{"the worker gave back 0 jobs and 1 runs whose handlers did not end in time"},
		},
		"unknown job": {
			func(t testing.TB) { takttest.Start(t, shop()).Trigger("shop.nihgtly") },
			[]string{`Trigger("shop.nihgtly"): unknown scheduled job`, "shop.nightly"},
		},
		"undeclared queue": {
			func(t testing.TB) { takttest.Start(t, shop()).Enqueue("order", "pack", nil) },
			[]string{`Enqueue("order", "pack"): enqueue: unknown queue`},
		},
		"bad feature": {
			func(t testing.TB) { takttest.Start(t, shop(), shop()) },
			[]string{"the worker cannot be built: registration: feature shop is registered twice"},
		},
		"start hook": {
			func(t testing.TB) {
				takttest.Start(t, app.Feature("bad", func(l app.Lifecycle) app.Contribution {
					l.Append(app.Hook{OnStart: func(context.Context) error { return errors.New("no licence") }})
					return app.Contribution{}
				}))
			},
			[]string{"the worker does not start: ", "no licence"},
		},
		"stop hook": {
			func(t testing.TB) {
				takttest.Start(t, app.Feature("bad", func(l app.Lifecycle) app.Contribution {
					l.Append(app.Hook{OnStop: func(context.Context) error { return errors.New("no space") }})
					return app.Contribution{}
				}))
			},
			[]string{"the worker did not stop well: ", "no space"},
		},
		"backwards": {
			func(t testing.TB) { takttest.Start(t, shop()).Advance(-time.Second) },
			[]string{"Advance(-1s): time does not go back"},
		},
		"past": {
			func(t testing.TB) {
				takttest.StartWith(t, takttest.Config{At: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)}, shop())
			},
			[]string{"the worker cannot start at 1999-01-01T00:00:00Z: in this bubble it is 2000-01-01T00:00:00Z"},
		},
		"no queues": {
			func(t testing.TB) {
				w := takttest.StartWith(t, takttest.Config{Settings: app.Settings{Backend: "none"}}, shop())
				w.Jobs("orders", domain.StateWait)
			},
			[]string{`Jobs("orders", "wait"): queueing is off`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &fakeT{TB: t}
				got := fake.run(c.test)
				for _, want := range c.want {
					if !strings.Contains(got, want) {
						t.Errorf("reported was\n%s\nwant it to hold\n%s", got, want)
					}
				}
			})
		})
	}
}

func TestAStopByHandIsForTheTestToJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, shop())
		w.Enqueue("orders", "pack", order{}, domain.JobOptions{Delay: time.Hour})
		report := w.Stop()
		if report.Clean() || report.Dropped["orders"] != 1 {
			t.Errorf("Stop() = %+v, want one dropped job", report)
		}
	})
}
