package app_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/fx"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// instance returns settings with a control socket, and the socket's path.
func instance(t *testing.T) (app.Settings, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "takt") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return app.Settings{StateDir: dir, Instance: "one"}, filepath.Join(dir, "default", "one.sock")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// witness notes at each hook what is open.
type witness struct {
	diary

	socket  string
	service *app.SchedulerService
}

func (w *witness) note(when string) {
	state := []string{when}
	if exists(w.socket) {
		state = append(state, "socket")
	}
	if _, err := w.service.Enqueue(context.Background(), "", "later", nil); err == nil {
		state = append(state, "stores")
	}
	if _, err := w.service.TriggerNow(context.Background(), "job"); err == nil {
		state = append(state, "runner")
	}
	w.diary.note(strings.Join(state, " "))
}

func TestStartAndStopFollowTheDocumentedOrder(t *testing.T) {
	settings, socket := instance(t)
	w := &witness{socket: socket}
	feature := func(name string) app.Option {
		return app.Feature(name, func(l app.Lifecycle, service *app.SchedulerService) app.Contribution {
			w.service = service
			l.Append(app.Hook{
				OnStart: func(context.Context) error { w.note("start"); return nil },
				OnStop: func(ctx context.Context) error {
					if ctx.Err() != nil {
						t.Errorf("the context of a stop hook has ended: %v", ctx.Err())
					}
					w.note("stop")
					return nil
				},
			})
			return app.Contribution{}
		}, fx.Invoke(func(l app.Lifecycle) {
			// Invoked before the constructors that nobody asks for yet.
			l.Append(app.Hook{OnStop: func(context.Context) error { w.note("stop invoked"); return nil }})
		}))
	}
	worker := build(t, settings, feature("a"), jobs("jobs", app.Schedule("job", nothing)))
	w.service = worker.Service()
	w.note("built")
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.note("started")
	report := worker.Stop(canceled())
	if report.Err != nil {
		t.Errorf("Stop().Err = %v", report.Err)
	}
	w.note("stopped")
	want := []string{
		"built", "start socket stores", "started socket stores runner",
		"stop socket stores", "stop invoked socket stores", "stopped",
	}
	if diff := cmp.Diff(want, w.all()); diff != "" {
		t.Errorf("what was open when (-want +got):\n%s", diff)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestWorkIsDrainedBeforeStopHooksRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		worker := build(t, app.Settings{}, hook("hook", nil, func(context.Context) error { d.note("hook"); return nil }),
			jobs("jobs", app.Schedule("slow", func(context.Context, app.Run) (any, error) {
				<-time.After(10 * time.Second)
				d.note("run")
				return nil, nil
			}, app.OnStart("each-replica"))))
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if report := worker.Stop(t.Context()); !report.Clean() {
			t.Errorf("Stop() = %+v, want a clean one", report)
		}
		if diff := cmp.Diff([]string{"run", "hook"}, d.all()); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestJobsThatStopHooksEnqueueAreCountedAsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker, err := app.New(app.Settings{}, slog.New(slog.DiscardHandler), app.Feature("flush", func(lifecycle app.Lifecycle, s *app.SchedulerService) app.Contribution {
			lifecycle.Append(app.Hook{OnStop: func(ctx context.Context) error {
				_, err := s.Enqueue(ctx, "", "flushed", 1)
				return err
			}})
			return app.Contribution{}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if report := worker.Stop(context.Background()); report.Err != nil || report.Dropped["default"] != 1 || report.Clean() {
			t.Errorf("Stop = %+v, want the job that the hook enqueued counted as dropped", report)
		}
	})
}

func TestAFailedStartRollsBack(t *testing.T) {
	broken := errors.New("no licence")
	for name, c := range map[string]struct {
		options []app.Option
		prepare func(t *testing.T, settings app.Settings)
		// broken tells that the stores are closed before the start.
		broken bool
		want   error
		text   string
		hooks  []string
	}{
		"hook fails": {
			options: []app.Option{hook("z", func(context.Context) error { return broken }, nil)},
			want:    broken, text: "start hook of app_test.", hooks: []string{"start", "stop"},
		},
		"hook panics": {
			options: []app.Option{hook("z", func(context.Context) error { panic("no fuel") }, nil)},
			text:    "panic: no fuel", hooks: []string{"start", "stop"},
		},
		"hook exits": {
			options: []app.Option{hook("z", func(context.Context) error { runtime.Goexit(); return nil }, nil)},
			text:    "ended its goroutine", hooks: []string{"start", "stop"},
		},
		"socket in use": {
			prepare: func(t *testing.T, settings app.Settings) {
				t.Helper()
				other := build(t, settings)
				if err := other.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { other.Stop(context.Background()) })
			},
			want: control.ErrInUse, text: "control socket",
		},
		"runner": {
			options: []app.Option{contribute("f", app.Contribution{Handlers: []app.Handler{app.Handle("", "job", ignore)}})},
			broken:  true,
			want:    ports.ErrClosed, text: "open queue", hooks: []string{"start", "stop"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			settings, socket := instance(t)
			if c.prepare != nil {
				c.prepare(t, settings)
			}
			var d diary
			first := fx.Invoke(func(l app.Lifecycle) {
				l.Append(app.Hook{
					OnStart: func(context.Context) error { d.note("start"); return nil },
					OnStop:  func(ctx context.Context) error { d.note("stop"); return ctx.Err() },
				})
			})
			worker := build(t, settings, append([]app.Option{first}, c.options...)...)
			if c.broken {
				if err := app.CloseStores(worker); err != nil {
					t.Fatal(err)
				}
			}
			err := worker.Start(t.Context())
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("Start = %v, want %v, %q", err, c.want, c.text)
			}
			if c.prepare == nil && exists(socket) {
				t.Errorf("the socket is still there")
			}
			if diff := cmp.Diff(c.hooks, d.all()); diff != "" {
				t.Errorf("hooks (-want +got):\n%s", diff)
			}
			if _, err := worker.Service().Enqueue(t.Context(), "", "job", nil); !errors.Is(err, ports.ErrClosed) {
				t.Errorf("Enqueue after a failed start = %v, want %v", err, ports.ErrClosed)
			}
			if report := worker.Stop(t.Context()); report.Err != nil {
				t.Errorf("Stop() after a failed start = %v", report.Err)
			}
		})
	}
}

func TestARollbackRunsAllHooksAlthoughTheStartTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		blocked := make(chan struct{})
		worker := build(t, app.Settings{},
			fx.Invoke(func(l app.Lifecycle) {
				l.Append(app.Hook{OnStop: func(ctx context.Context) error { d.note("stop"); return ctx.Err() }})
			}),
			hook("z", func(context.Context) error { <-blocked; return nil }, func(context.Context) error { d.note("never"); return nil }))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := worker.Start(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "left behind") {
			t.Errorf("Start = %v, want %v of a hook left behind", err, context.DeadlineExceeded)
		}
		if took := time.Since(began); took > time.Minute+time.Second {
			t.Errorf("Start took %s, want a minute", took)
		}
		if diff := cmp.Diff([]string{"stop"}, d.all()); diff != "" {
			t.Errorf("hooks (-want +got):\n%s", diff)
		}
		close(blocked)
	})
}

func TestAStopEndsAStartUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker := build(t, app.Settings{}, hook("slow", func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, nil))
		started := make(chan error, 1)
		go func() { started <- worker.Start(context.Background()) }()
		synctest.Wait()
		if report := worker.Stop(t.Context()); !report.Clean() {
			t.Errorf("Stop() = %+v, want a clean one", report)
		}
		if err := <-started; !errors.Is(err, domain.ErrShutdown) {
			t.Errorf("Start = %v, want %v", err, domain.ErrShutdown)
		}
	})
}

func TestAWorkerStartsOnce(t *testing.T) {
	worker := build(t, app.Settings{})
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); !errors.Is(err, app.ErrStarted) {
		t.Errorf("second Start = %v, want %v", err, app.ErrStarted)
	}
	worker.Stop(t.Context())
	if err := worker.Start(t.Context()); !errors.Is(err, app.ErrStarted) {
		t.Errorf("Start after Stop = %v, want %v", err, app.ErrStarted)
	}
}

func TestAStopBeforeTheStartForbidsIt(t *testing.T) {
	settings, socket := instance(t)
	worker := build(t, settings, hook("h", func(context.Context) error { t.Error("the hook ran"); return nil }, nil))
	if report := worker.Stop(t.Context()); !report.Clean() {
		t.Errorf("Stop() = %+v, want a clean one", report)
	}
	if err := worker.Start(t.Context()); !errors.Is(err, app.ErrStarted) {
		t.Errorf("Start after Stop = %v, want %v", err, app.ErrStarted)
	}
	if exists(socket) {
		t.Error("the socket is there")
	}
}

func TestASecondStopWaitsForTheFirstAndReportsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker := build(t, app.Settings{}, hook("h", nil, func(context.Context) error {
			<-time.After(time.Second)
			return errors.New("no space")
		}))
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		reports := make(chan app.StopReport, 2)
		for range 2 {
			go func() { reports <- worker.Stop(context.Background()) }()
		}
		for range 2 {
			if report := <-reports; report.Clean() || !strings.Contains(report.Err.Error(), "no space") {
				t.Errorf("Stop() = %+v, want the error of the hook", report)
			}
		}
	})
}

func TestStopHooksThatHangOrPanicKeepNoneFromRunning(t *testing.T) {
	settings, socket := instance(t)
	settings.ShutdownTimeout = 2 * time.Second
	blocked := make(chan struct{})
	var d diary
	stop := func(name string, then func()) app.Option {
		return fx.Invoke(func(l app.Lifecycle) {
			l.Append(app.Hook{OnStop: func(ctx context.Context) error {
				d.note(name)
				then()
				return ctx.Err()
			}})
		})
	}
	worker := build(t, settings, stop("first", func() {}),
		stop("hangs", func() { <-blocked }), stop("panics", func() { panic("no fuel") }), stop("exits", runtime.Goexit),
		stop("last", func() {}))
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	report := worker.Stop(t.Context())
	if took := time.Since(began); took > settings.ShutdownTimeout {
		t.Errorf("Stop took %s, want at most %s", took, settings.ShutdownTimeout)
	}
	if diff := cmp.Diff([]string{"last", "exits", "panics", "hangs", "first"}, d.all()); diff != "" {
		t.Errorf("hooks (-want +got):\n%s", diff)
	}
	for _, want := range []string{"left behind", "panic: no fuel", "ended its goroutine"} {
		if report.Err == nil || !strings.Contains(report.Err.Error(), want) {
			t.Errorf("Stop().Err = %v, want it to hold %q", report.Err, want)
		}
	}
	if exists(socket) {
		t.Error("the socket is still there")
	}
	if _, err := worker.Service().Enqueue(t.Context(), "", "job", nil); !errors.Is(err, ports.ErrClosed) {
		t.Errorf("Enqueue after Stop = %v, want %v", err, ports.ErrClosed)
	}
	if panicked, ok := errors.AsType[*domain.PanicError](report.Err); !ok || !strings.Contains(panicked.Stack, "lifecycle_test.go") {
		t.Errorf("Stop().Err = %v, want the panic with its stack", report.Err)
	}
	close(blocked)
}

func TestEachHangingHookHasAPartOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		var options []app.Option
		for range 5 {
			options = append(options, fx.Invoke(func(l app.Lifecycle) {
				l.Append(app.Hook{OnStop: func(context.Context) error { <-blocked; return nil }})
			}))
		}
		worker := build(t, app.Settings{}, options...)
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		report := worker.Stop(t.Context())
		if took := time.Since(began); took > 26*time.Second {
			t.Errorf("Stop took %s, want 25s and little more", took)
		}
		if got := strings.Count(report.Err.Error(), "left behind"); got != 5 {
			t.Errorf("%d hooks were left behind, want 5: %v", got, report.Err)
		}
		close(blocked)
	})
}

func TestAHurriedStopLeavesEverythingBehindWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		worker := build(t, app.Settings{},
			hook("h", nil, func(context.Context) error { <-blocked; return nil }),
			jobs("jobs", app.Schedule("slow", func(context.Context, app.Run) (any, error) { <-blocked; return nil, nil }, app.OnStart("each-replica"))))
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		stopped := make(chan app.StopReport)
		go func() { stopped <- worker.Stop(context.Background()) }()
		<-time.After(2 * time.Second)
		worker.Hurry()
		report := <-stopped
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Stop took %s, want a second after the hurry", took)
		}
		if report.Runs != 1 || report.Err == nil {
			t.Errorf("Stop() = %+v, want one run and one hook left behind", report)
		}
		close(blocked)
	})
}
