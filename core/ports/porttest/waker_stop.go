package porttest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/ports"
)

func wakerStopCases() []wakerCase {
	return []wakerCase{
		{"is closed before Start and after Stop", isClosedOutsideItsLife},
		{"does not wake after Stop", doesNotWakeAfterStop},
		{"Stop waits for a wake under way", stopWaits},
		{"Stop gives up when its context ends", stopGivesUp},
		{"Stop in the instant of a wake ends with the wakes", stopInTheInstantOfAWake},
		{"Stop does no harm twice or before Start", stopIsHarmless},
	}
}

func isClosedOutsideItsLife(t *testing.T, w ports.Waker) {
	if err := w.Arm(0); !errors.Is(err, ports.ErrClosed) {
		t.Errorf("Arm(0) before Start = %v, want ErrClosed", err)
	}
	n := noteWakes()
	startWaker(t, w, n.note)
	if err := w.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	if err := w.Arm(0); !errors.Is(err, ports.ErrClosed) {
		t.Errorf("Arm(0) after Stop = %v, want ErrClosed", err)
	}
	time.Sleep(time.Hour)
	n.want(t)
}

func doesNotWakeAfterStop(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	armWaker(t, w, 10*time.Millisecond)
	time.Sleep(5 * time.Millisecond)
	if err := w.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	time.Sleep(time.Hour)
	n.want(t)
}

func stopWaits(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, func() { n.during(func() { time.Sleep(time.Minute) }) })
	armWaker(t, w, time.Second)
	time.Sleep(2 * time.Second)
	armWaker(t, w, time.Second)
	if err := w.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	if took := time.Since(n.since); n.running.Load() != 0 || took < time.Minute+time.Second-wakeSlack || took > time.Minute+time.Second+wakeSlack {
		t.Errorf("Stop returned after %v, want 1m1s, when wake has returned", took)
	}
	time.Sleep(time.Hour)
	n.want(t, time.Second)
}

func stopGivesUp(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, func() { n.during(func() { time.Sleep(time.Minute) }) })
	armWaker(t, w, 0)
	synctest.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := w.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop() = %v, want the end of its context", err)
	}
	if took := time.Since(n.since); took > time.Second+wakeSlack {
		t.Errorf("Stop returned after %v, want 1s", took)
	}
	if err := w.Arm(0); !errors.Is(err, ports.ErrClosed) {
		t.Errorf("Arm(0) after Stop = %v, want ErrClosed", err)
	}
	time.Sleep(time.Hour)
	n.want(t, 0)
}

func stopInTheInstantOfAWake(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	armWaker(t, w, time.Second)
	time.Sleep(time.Second)
	if err := w.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	if took := time.Since(n.since); took > time.Second+wakeSlack {
		t.Errorf("Stop returned after %v, want at once", took-time.Second)
	}
	before := len(n.all())
	time.Sleep(time.Hour)
	if after := len(n.all()); before > 1 || after != before {
		t.Errorf("%d wakes before Stop returned, %d in the end; want one at most, and none after", before, after)
	}
}

func stopIsHarmless(t *testing.T, w ports.Waker) {
	for range 2 {
		if err := w.Stop(t.Context()); err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
	}
}
