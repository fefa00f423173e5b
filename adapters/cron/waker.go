package cron

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/taktwork/takt/core/ports"
)

// Waker is an alarm clock. Make one with [New]. It is safe for concurrent use.
type Waker struct {
	log     *slog.Logger
	clock   *steadyClock
	changed chan struct{} // holds one mark that the fields below changed

	mu       sync.Mutex
	phase    phase
	armed    bool
	deadline time.Time     // in the time of clock
	done     chan struct{} // closed when the goroutine has ended; nil before Start
	err      error         // why it ended, when nobody stopped it, or what the end itself met
}

var _ ports.Waker = (*Waker)(nil)

type phase int

const (
	fresh phase = iota
	running
	stopped
)

// New returns a Waker that has not started. It logs panics of wake to log.
func New(log *slog.Logger) *Waker { return newWaker(log, time.Now) }

func newWaker(log *slog.Logger, wall func() time.Time) *Waker {
	return &Waker{log: log, clock: newSteadyClock(wall), changed: make(chan struct{}, 1)}
}

// Start begins and returns; from then on wake is called whenever an armed time
// has passed, from one goroutine. A panic of wake is logged and ends only that
// call. After Stop it returns [ports.ErrClosed]; a second Start is an error.
func (w *Waker) Start(wake func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.phase {
	case running:
		return errors.New("start waker: already started")
	case stopped:
		return fmt.Errorf("start waker: %w", ports.ErrClosed)
	case fresh:
	}
	a, err := newAlarm(w.clock)
	if err != nil {
		return fmt.Errorf("start waker: %w", err)
	}
	w.phase, w.done = running, make(chan struct{})
	go w.run(a, wake)
	return nil
}

// Arm asks for one wake after d and replaces what was asked for before; d of
// zero or less wakes at once. It does not block, costs well under a
// microsecond and may be called from wake, whose end the next wake awaits.
// Before Start and after Stop it returns [ports.ErrClosed].
func (w *Waker) Arm(d time.Duration) error {
	w.mu.Lock()
	if w.phase != running {
		w.mu.Unlock()
		return fmt.Errorf("arm waker: %w", ports.ErrClosed)
	}
	w.armed, w.deadline = true, w.clock.Now().Add(d)
	w.mu.Unlock()
	signal(w.changed)
	return nil
}

// Stop ends the wakes and waits for a call of wake that is under way, at most
// until ctx ends; what is left then ends with that call. Calling it twice, or
// before Start, does no harm. Called from wake it waits for itself: until ctx
// ends.
func (w *Waker) Stop(ctx context.Context) error {
	w.mu.Lock()
	w.phase = stopped
	done := w.done
	w.mu.Unlock()
	if done == nil {
		return nil
	}
	signal(w.changed)
	select {
	case <-done:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.err
	case <-ctx.Done():
		return fmt.Errorf("stop waker: wake has not returned: %w", ctx.Err())
	}
}

// run is the goroutine that owns the alarm and calls wake.
func (w *Waker) run(a *alarm, wake func()) {
	var err error
	defer func() {
		w.end(errors.Join(err, a.close()))
		close(w.done)
	}()
	err = w.loop(a, wake)
}

func (w *Waker) loop(a *alarm, wake func()) error {
	for {
		deadline, todo := w.next()
		switch todo {
		case quit:
			return nil
		case wakeUp:
			w.call(wake)
			continue
		case await:
			moved, err := a.set(deadline)
			if err != nil {
				return err
			}
			if moved {
				continue
			}
		case rest:
		}
		select {
		case <-w.changed:
		case <-a.rang:
		}
	}
}

// todo is what the goroutine of a Waker does next.
type todo int

const (
	rest todo = iota
	await
	wakeUp
	quit
)

// next decides; when the armed time has passed, it counts as served from here
// on, and whatever is armed afterwards leads to a further wake.
func (w *Waker) next() (time.Time, todo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.phase == stopped:
		return time.Time{}, quit
	case !w.armed:
		return time.Time{}, rest
	case w.clock.Now().Before(w.deadline):
		return w.deadline, await
	}
	w.armed = false
	return time.Time{}, wakeUp
}

func (w *Waker) call(wake func()) {
	defer func() {
		if v := recover(); v != nil {
			w.log.Error("wake panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	wake()
}

// end closes the Waker. An alarm that cannot be set ends it too: then Arm says
// that it is closed, and Stop why.
func (w *Waker) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = stopped
	if err != nil {
		w.err = fmt.Errorf("stop waker: %w", err)
	}
}
