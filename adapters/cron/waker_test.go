package cron_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/cron"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
)

func TestWakerKeepsTheContract(t *testing.T) {
	porttest.Waker(t, porttest.WakerHarness{New: func(*testing.T) ports.Waker {
		return cron.New(slog.New(slog.DiscardHandler))
	}})
}

func started(tb testing.TB, wake func()) *cron.Waker {
	tb.Helper()
	w := cron.New(slog.New(slog.DiscardHandler))
	if err := w.Start(wake); err != nil {
		tb.Fatalf("Start() = %v, want nil", err)
	}
	tb.Cleanup(func() {
		if err := w.Stop(context.Background()); err != nil {
			tb.Errorf("Stop() = %v, want nil", err)
		}
	})
	return w
}

func TestWallClockStepsNeitherDelayNorAdvanceAWake(t *testing.T) {
	for _, step := range []time.Duration{
		time.Second, -time.Second, 7 * time.Second, -7 * time.Second, time.Minute, -time.Minute, time.Hour, -time.Hour,
	} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var offset atomic.Int64
				w := cron.NewOnWall(slog.New(slog.DiscardHandler), func() time.Time {
					return time.Now().Round(0).Add(time.Duration(offset.Load()))
				})
				woke := make(chan time.Time, 10)
				if err := w.Start(func() { woke <- time.Now() }); err != nil {
					t.Fatalf("Start() = %v, want nil", err)
				}
				defer func() { _ = w.Stop(context.Background()) }()
				for round := range 5 {
					armed := time.Now()
					if err := w.Arm(1700 * time.Millisecond); err != nil {
						t.Fatalf("Arm(1.7s) = %v, want nil", err)
					}
					time.Sleep(300 * time.Millisecond)
					offset.Add(int64(step))
					if late := (<-woke).Sub(armed); late != 1700*time.Millisecond {
						t.Fatalf("round %d: woke after %v, want 1.7s", round, late)
					}
				}
			})
		})
	}
}

func TestAPanicOfWakeIsLoggedAndStopsNoLaterWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		w := cron.New(slog.New(slog.NewTextHandler(&logged, nil)))
		calls := 0
		if err := w.Start(func() {
			calls++
			if calls == 1 {
				panic("first call")
			}
		}); err != nil {
			t.Fatalf("Start() = %v, want nil", err)
		}
		for range 2 {
			if err := w.Arm(time.Second); err != nil {
				t.Fatalf("Arm(1s) = %v, want nil", err)
			}
			time.Sleep(2 * time.Second)
		}
		if err := w.Stop(t.Context()); err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
		if calls != 2 {
			t.Errorf("%d wakes, want 2", calls)
		}
		if log := logged.String(); strings.Count(log, "wake panicked") != 1 || !strings.Contains(log, "first call") {
			t.Errorf("log = %q, want one panic with its value", log)
		}
	})
}

func TestStartIsRefusedTwiceAndAfterStop(t *testing.T) {
	w := cron.New(slog.New(slog.DiscardHandler))
	if err := w.Start(func() {}); err != nil {
		t.Fatalf("Start() = %v, want nil", err)
	}
	if err := w.Start(func() {}); err == nil || errors.Is(err, ports.ErrClosed) {
		t.Errorf("second Start() = %v, want another error than ErrClosed", err)
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	if err := w.Start(func() {}); !errors.Is(err, ports.ErrClosed) {
		t.Errorf("Start() after Stop = %v, want ErrClosed", err)
	}
}

func TestAnAlarmThatCannotBeSetClosesTheWaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		w := cron.New(slog.New(slog.DiscardHandler))
		if err := w.StartBroken(broken); err != nil {
			t.Fatalf("StartBroken() = %v, want nil", err)
		}
		if err := w.Arm(time.Second); err != nil {
			t.Errorf("Arm(1s) = %v, want nil", err)
		}
		synctest.Wait()
		if err := w.Arm(time.Second); !errors.Is(err, ports.ErrClosed) {
			t.Errorf("Arm(1s) on a broken alarm = %v, want ErrClosed", err)
		}
		if err := w.Stop(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Stop() = %v, want the cause", err)
		}
	})
}

// In real time gocron's messages race with the arms as they never do in a bubble.
func TestNoWakeIsLostWhenArmsRaceWithRealTimers(t *testing.T) {
	woke := make(chan time.Time, 4096)
	w := started(t, func() {
		select {
		case woke <- time.Now():
		default:
		}
	})
	dice := rand.New(rand.NewPCG(5, 6))
	for round := range 1000 {
		if err := w.Arm(time.Duration(dice.IntN(150)) * time.Microsecond); err != nil {
			t.Fatalf("Arm() = %v, want nil", err)
		}
		for end := time.Now().Add(time.Duration(dice.IntN(150)) * time.Microsecond); time.Now().Before(end); {
			runtime.Gosched()
		}
		d := time.Duration(dice.IntN(300)) * time.Microsecond
		due := time.Now().Add(d)
		if err := w.Arm(d); err != nil {
			t.Fatalf("Arm(%v) = %v, want nil", d, err)
		}
		for served := false; !served; {
			select {
			case at := <-woke:
				served = !at.Before(due)
			case <-time.After(5 * time.Second):
				t.Fatalf("round %d: no wake 5s after Arm(%v)", round, d)
			}
		}
	}
}

func TestStopReturnsSoonWhileWakesComeAndGo(t *testing.T) {
	for round := range 100 {
		var stopped, late atomic.Bool
		w := cron.New(slog.New(slog.DiscardHandler))
		if err := w.Start(func() {
			late.Store(stopped.Load())
			_ = w.Arm(50 * time.Microsecond)
		}); err != nil {
			t.Fatalf("Start() = %v, want nil", err)
		}
		var arms sync.WaitGroup
		arms.Go(func() {
			for w.Arm(20*time.Microsecond) == nil {
				runtime.Gosched()
			}
		})
		<-time.After(time.Duration(round) * 10 * time.Microsecond)
		begin := time.Now()
		if err := w.Stop(t.Context()); err != nil {
			t.Fatalf("round %d: Stop() = %v, want nil", round, err)
		}
		stopped.Store(true)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("round %d: Stop took %v, want milliseconds", round, took)
		}
		arms.Wait()
		if late.Load() {
			t.Errorf("round %d: a wake after Stop, want none", round)
		}
	}
}

func TestAnIdleWakerKeepsThreeGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	w := started(t, func() {})
	if err := w.Arm(time.Hour); err != nil {
		t.Fatalf("Arm(1h) = %v, want nil", err)
	}
	runtime.Gosched()
	if kept := runtime.NumGoroutine() - before; kept > 3 {
		t.Errorf("%d goroutines, want 3", kept)
	}
}

func TestAnAlarmThatIsSetAnewLeavesNoJobBehind(t *testing.T) {
	if jobs, err := cron.JobsAfterSettings(100); err != nil || jobs != 1 {
		t.Errorf("%d jobs after 100 settings, %v; want 1", jobs, err)
	}
}
