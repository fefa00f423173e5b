package app

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.uber.org/fx"

	"github.com/taktwork/takt/core/domain"
)

// Lifecycle takes the hooks of a feature: a constructor that opens something
// asks for one and appends a [Hook] that closes it.
type Lifecycle = fx.Lifecycle

// Hook is what a feature does when the worker starts and when it has stopped
// working. OnStart runs before the first job, in the order in which hooks were
// appended, and its context ends when the start does: what goes on beyond
// needs one of its own. OnStop runs, in the opposite order and only if its
// OnStart succeeded, after the last job has ended and while queues and ledger
// are still open, on a fresh context. A hook that panics, or that goes on
// after the end of its context, is reported and left behind; the others run.
type Hook = fx.Hook

const (
	// hookGrace is how long a hook may go on after its context has ended.
	hookGrace = 100 * time.Millisecond
	// hookLeast is what a stop hook is given however late it is.
	hookLeast = 250 * time.Millisecond
)

// errHookExited says that a hook ended its goroutine.
var errHookExited = errors.New("hook ended its goroutine")

// hooks stands between fx and every hook of the worker. fx itself knows no
// deadline: when one passes it drops the hooks that are left, in a stop as in
// the rollback of a start. Here each hook has its own part of the time.
type hooks struct {
	mu sync.Mutex
	// starting is the context of the start.
	starting context.Context //nolint:containedctx // fx has no way to hand a context of ours to a hook
	// deadline is the end of the stop; zero outside one.
	deadline time.Time
	hurried  <-chan struct{}
}

// guard has the hooks of all constructors pass through h.
func (h *hooks) guard(lifecycle fx.Lifecycle) fx.Lifecycle {
	return &guardedLifecycle{Lifecycle: lifecycle, hooks: h}
}

// begin sets the context of the start hooks.
func (h *hooks) begin(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starting = ctx
}

// end sets the time by which the stop hooks are to be done.
func (h *hooks) end(deadline time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = deadline
}

func (h *hooks) startContext() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.starting
}

// stopContext returns a context for one stop hook: half of the time that is
// left, so that hooks that hang leave something to all others.
func (h *hooks) stopContext() (context.Context, context.CancelFunc) {
	h.mu.Lock()
	deadline := h.deadline
	h.mu.Unlock()
	left := rollbackTimeout
	if !deadline.IsZero() {
		left = time.Until(deadline)
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(left/2, hookLeast))
	hasten := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-h.hurried:
		case <-hasten:
			return
		}
		timer := time.NewTimer(hookLeast)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-hasten:
		}
	})
	return ctx, func() {
		close(hasten)
		waiting.Wait()
		cancel()
	}
}

// guardedLifecycle is what constructors get as their fx.Lifecycle.
type guardedLifecycle struct {
	fx.Lifecycle

	hooks *hooks
}

// Append adds the hook, guarded.
func (l *guardedLifecycle) Append(hook fx.Hook) {
	owner := callerName()
	if start := hook.OnStart; start != nil {
		hook.OnStart = func(context.Context) error {
			ctx := l.hooks.startContext()
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("start hook of %s: %w", owner, context.Cause(ctx))
			}
			return describe("start hook of "+owner, call(ctx, start))
		}
	}
	if stop := hook.OnStop; stop != nil {
		hook.OnStop = func(context.Context) error {
			ctx, cancel := l.hooks.stopContext()
			defer cancel()
			return describe("stop hook of "+owner, call(ctx, stop))
		}
	}
	l.Lifecycle.Append(hook)
}

func describe(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// call runs a hook and waits for its end, but not much longer than ctx lives.
func call(ctx context.Context, hook func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		err := errHookExited
		defer func() {
			if value := recover(); value != nil {
				err = &domain.PanicError{
					Value: domain.CleanText(fmt.Sprint(value), domain.MaxReason),
					Stack: domain.CleanText(string(debug.Stack()), domain.MaxStack),
				}
			}
			done <- err
		}()
		err = hook(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(hookGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return fmt.Errorf("left behind, for it goes on after the end of its context: %w", context.Cause(ctx))
	}
}

// callerName names the function that appends a hook.
func callerName() string {
	pc, _, _, ok := runtime.Caller(2)
	if !ok {
		return "a feature"
	}
	name := runtime.FuncForPC(pc).Name()
	return name[strings.LastIndexByte(name, '/')+1:]
}
