package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// App is a worker: built, checked, and not yet started.
type App struct {
	fx       *fx.App
	hooks    *hooks
	engine   *engine
	service  *SchedulerService
	outbox   *Outbox
	settings Settings

	hurry   sync.Once
	hurried chan struct{}

	mu sync.Mutex
	// abort ends a start under way; started closes when it is over. Both are
	// nil before a start.
	abort   context.CancelCauseFunc
	started chan struct{}
	// stopped closes at the end of the stop whose report is set then; nil
	// before a stop.
	stopped chan struct{}
	report  StopReport
}

// rollbackTimeout bounds the stop hooks that undo a failed start.
const rollbackTimeout = 10 * time.Second

// ErrStarted says that a worker was started before; it starts once.
var ErrStarted = errors.New("worker was started before")

// New builds a worker from the settings and features and checks everything
// without starting or connecting anything. Mistakes of the settings and the
// features come all at once as a *[RegistrationError].
func New(settings Settings, log *slog.Logger, options ...Option) (*App, error) {
	a := &App{settings: settings.withDefaults(), service: &SchedulerService{}, outbox: &Outbox{}, hurried: make(chan struct{})}
	a.hooks = &hooks{starting: context.Background(), hurried: a.hurried}
	a.fx = fx.New(
		fx.WithLogger(func() fxevent.Logger { return fxLogger(log) }),
		fx.RecoverFromPanics(),
		fx.Supply(a.settings, a.service, log, &middlewares{}, &Database{}, &BullMQ{}, a.outbox),
		fx.Decorate(a.hooks.guard),
		fx.Provide(newRegistryFromGroup, openStores, newEngine),
		// Hooks run in this order, and stop in the opposite one: the control
		// socket outlives the stores, and the stores whatever uses them. fx
		// invokes the functions of modules before all others, so these two
		// need one, or a feature's hooks could come first.
		fx.Module("takt", fx.Invoke(hookControl, hookStores)),
		fx.Options(options...),
		fx.Invoke(hookEngine, hookRelay),
		fx.Populate(&a.engine),
	)
	if err := a.fx.Err(); err != nil {
		return nil, cause(err)
	}
	a.service.engine.Store(a.engine)
	a.outbox.engine.Store(a.engine)
	return a, nil
}

type contributed struct {
	fx.In

	Settings      Settings
	Contributions []Contribution `group:"takt.contributions"`
	Middleware    *middlewares
}

func newRegistryFromGroup(in contributed) (*registry, error) {
	return newRegistry(in.Settings, in.Contributions, in.Middleware.all)
}

// cause unwraps fx's account of how it came to an error of ours.
func cause(err error) error {
	if wrong, ok := errors.AsType[*RegistrationError](err); ok {
		return wrong
	}
	return fmt.Errorf("assemble worker: %w", err)
}

func fxLogger(log *slog.Logger) fxevent.Logger {
	logger := &fxevent.SlogLogger{Logger: log.WithGroup("fx")}
	logger.UseLogLevel(slog.LevelDebug - 4)
	logger.UseErrorLevel(slog.LevelDebug)
	return logger
}

// Service returns the worker's service.
func (a *App) Service() *SchedulerService { return a.service }

// Health returns how the worker does.
func (a *App) Health() runner.Health { return a.engine.runner.Health() }

// Live reports whether the loops move: a worker that is not live needs a
// restart. One that starts or drains is live.
func (a *App) Live() bool { return isLive(a.Health()) }

// Start starts the worker and returns when it ticks and works its queues. It
// waits for stores that cannot be reached until ctx ends. A start that fails,
// or that [App.Stop] ends, is rolled back before Start returns. A worker starts
// once: later the error is [ErrStarted].
func (a *App) Start(ctx context.Context) error {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	a.mu.Lock()
	if a.started != nil || a.stopped != nil {
		a.mu.Unlock()
		return fmt.Errorf("start worker: %w", ErrStarted)
	}
	a.abort, a.started = abort, make(chan struct{})
	a.mu.Unlock()
	defer close(a.started)
	a.hooks.begin(ctx)
	a.engine.begun.Store(true)
	// fx gets no context that could end: it would drop hooks. See hooks.
	if err := a.fx.Start(context.Background()); err != nil {
		return errors.Join(fmt.Errorf("start worker: %w", err), a.engine.stores.stop())
	}
	return nil
}

// StopReport says what a stop left undone.
type StopReport struct {
	runner.StopReport
	// Dropped counts the unfinished jobs of queues in memory, which end with
	// the process; those of an outbox do not.
	Dropped map[domain.QueueName]int
	// Err is what went wrong while features and stores were closed.
	Err error
}

// Clean reports whether nothing was left undone.
func (r StopReport) Clean() bool {
	return r.Jobs == 0 && r.Runs == 0 && len(r.Dropped) == 0 && r.Err == nil
}

// Shares of the time for a stop, as 25ths of the whole: 17 s, 3 s and 3 s of
// 25 s. What is left is for the hooks.
const (
	shares       = 25
	drainShare   = 17
	cancelShare  = 3
	releaseShare = 3
)

// Stop drains the worker within the settings' shutdown timeout and closes
// everything. What happens in which order: the planner and the queues stop
// handing out work; runs and jobs under way may end; the rest is cancelled;
// what is left is given back unburnt; features, stores and at last the
// control socket are closed, whatever time is left. The end of ctx ends the
// waits of the drain, not the closing. Stop ends a start under way, and forbids
// one that is to come. A second call waits for the first and returns the same
// report.
func (a *App) Stop(ctx context.Context) StopReport {
	a.mu.Lock()
	if stopped := a.stopped; stopped != nil {
		a.mu.Unlock()
		<-stopped
		return a.report
	}
	a.stopped = make(chan struct{})
	abort, started := a.abort, a.started
	a.mu.Unlock()
	defer close(a.stopped)
	deadline := time.Now().Add(a.settings.ShutdownTimeout)
	a.hooks.end(deadline)
	if started != nil {
		abort(domain.ErrShutdown)
		<-started
	}
	a.engine.stores.quiesce()
	share := a.settings.ShutdownTimeout / shares
	a.report.StopReport = a.engine.runner.Stop(ctx, runner.StopBudget{
		Drain: drainShare * share, Cancel: cancelShare * share, Release: releaseShare * share,
	})
	a.report.Err = errors.Join(a.fx.Stop(context.Background()), a.engine.stores.stop())
	// Counted last, for stop hooks may have enqueued.
	a.report.Dropped = a.engine.stores.dropped()
	return a.report
}

// Hurry makes a stop, now or to come, give back at once what is under way,
// and leave hooks behind that take long.
func (a *App) Hurry() {
	a.hurry.Do(func() { close(a.hurried) })
	a.engine.runner.Hurry()
}

func hookEngine(lifecycle fx.Lifecycle, e *engine) {
	lifecycle.Append(fx.Hook{
		OnStart: e.start,
		// After a drain this does nothing; after a failed start it ends what
		// had begun.
		OnStop: func(ctx context.Context) error {
			e.runner.Stop(ctx, runner.StopBudget{})
			return nil
		},
	})
}
