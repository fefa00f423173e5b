package porttest

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/ports"
)

func wakerRaceCases() []wakerCase {
	return []wakerCase{
		{"a time that passes while wake runs leads to a wake after it", wakesAfterARunningWake},
		{"wakes again at once when wake asks for it", wakesAgainAtOnce},
		{"loses no wake that is armed while another fires", losesNoRacingWake},
		{"takes arms from many goroutines and calls one wake at a time", takesConcurrentArms},
	}
}

func wakesAfterARunningWake(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, func() { n.during(func() { time.Sleep(50 * time.Millisecond) }) })
	armWaker(t, w, 0)
	time.Sleep(10 * time.Millisecond)
	armWaker(t, w, 10*time.Millisecond)
	time.Sleep(20 * time.Millisecond)
	n.want(t, 0)
	time.Sleep(time.Second)
	n.want(t, 0, 50*time.Millisecond)
	if n.overlap.Load() {
		t.Error("two calls of wake at the same time, want one after the other")
	}
}

func wakesAgainAtOnce(t *testing.T, w ports.Waker) {
	const count = 100
	n := noteWakes()
	startWaker(t, w, func() {
		n.during(func() {
			if len(n.all()) < count {
				armWaker(t, w, 0)
			}
		})
	})
	armWaker(t, w, time.Millisecond)
	time.Sleep(time.Second)
	want := make([]time.Duration, count)
	for i := range want {
		want[i] = time.Millisecond
	}
	n.want(t, want...)
	if n.overlap.Load() {
		t.Error("two calls of wake at the same time, want one after the other")
	}
}

func losesNoRacingWake(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	for i := range 500 {
		armWaker(t, w, 5*time.Millisecond)
		time.Sleep(5 * time.Millisecond) // ends in the instant of the wake
		due := time.Since(n.since) + 2*time.Millisecond
		armWaker(t, w, 2*time.Millisecond)
		time.Sleep(4 * time.Millisecond)
		synctest.Wait()
		all := n.all()
		if len(all) == 0 || all[len(all)-1] < due-wakeSlack || all[len(all)-1] > due+wakeSlack {
			t.Fatalf("round %d: last wake at %v, want %v", i, all[max(0, len(all)-1):], due)
		}
	}
}

func takesConcurrentArms(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, func() { n.during(func() { time.Sleep(time.Millisecond) }) })
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			dice := rand.New(rand.NewPCG(3, uint64(g)))
			for range 200 {
				armWaker(t, w, time.Duration(dice.IntN(3000)-500)*time.Microsecond)
				time.Sleep(time.Duration(dice.IntN(500)) * time.Microsecond)
			}
		})
	}
	group.Wait()
	time.Sleep(time.Second)
	before := len(n.all())
	due := time.Since(n.since) + time.Second
	armWaker(t, w, time.Second)
	time.Sleep(time.Minute)
	if n.overlap.Load() {
		t.Error("two calls of wake at the same time, want one after the other")
	}
	after := n.all()[before:]
	if before == 0 || len(after) != 1 || after[0] < due-wakeSlack || after[0] > due+wakeSlack {
		t.Errorf("%d wakes, then %v; want some, then one at %v", before, after, due)
	}
}
