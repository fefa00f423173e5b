package porttest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/ports"
)

// WakerHarness gives the suite what it needs of an implementation.
type WakerHarness struct {
	// New returns a Waker that was not started. It is called inside a
	// synctest bubble, once for each case.
	New func(t *testing.T) ports.Waker
}

// wakeSlack is how far a wake may lie from its armed time. In a bubble the clock
// stands still while anything runs, so it covers rounding alone.
const wakeSlack = time.Millisecond

// Waker checks an implementation of [ports.Waker] against its contract.
func Waker(t *testing.T, harness WakerHarness) {
	t.Helper()
	for _, c := range slices.Concat(wakerTimeCases(), wakerRaceCases(), wakerStopCases()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := harness.New(t)
				defer func() {
					if err := w.Stop(context.Background()); err != nil {
						t.Errorf("Stop() = %v, want nil", err)
					}
				}()
				c.test(t, w)
			})
		})
	}
}

type wakerCase struct {
	name string
	test func(t *testing.T, w ports.Waker)
}

// wakeNotes tell when wake was called, counted from the making of the note.
type wakeNotes struct {
	since   time.Time
	running atomic.Int32
	overlap atomic.Bool
	mu      sync.Mutex
	at      []time.Duration
}

func noteWakes() *wakeNotes { return &wakeNotes{since: time.Now()} }

func (n *wakeNotes) note() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at = append(n.at, time.Since(n.since))
}

// during notes a wake that lasts as long as work does.
func (n *wakeNotes) during(work func()) {
	if n.running.Add(1) > 1 {
		n.overlap.Store(true)
	}
	defer n.running.Add(-1)
	n.note()
	work()
}

func (n *wakeNotes) all() []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.at)
}

func (n *wakeNotes) want(t *testing.T, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	got := n.all()
	if len(got) != len(want) {
		t.Fatalf("%d wakes %v, want %d: %v", len(got), firstWakes(got), len(want), firstWakes(want))
	}
	for i := range got {
		if early, late := want[i]-got[i], got[i]-want[i]; early > wakeSlack || late > wakeSlack {
			t.Fatalf("wake %d after %v, want %v", i, got[i], want[i])
		}
	}
}

func firstWakes(d []time.Duration) []time.Duration { return d[:min(len(d), 20)] }

func startWaker(t *testing.T, w ports.Waker, wake func()) {
	t.Helper()
	if err := w.Start(wake); err != nil {
		t.Fatalf("Start() = %v, want nil", err)
	}
}

// armWaker may be called from any goroutine.
func armWaker(t *testing.T, w ports.Waker, d time.Duration) {
	t.Helper()
	if err := w.Arm(d); err != nil {
		t.Errorf("Arm(%v) = %v, want nil", d, err)
	}
}
