package porttest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taktwork/takt/core/ports"
)

func wakerTimeCases() []wakerCase {
	return []wakerCase{
		{"wakes once at the armed time", wakesOnceAtTheArmedTime},
		{"wakes at once when the time is zero or has passed", wakesAtOnce},
		{"an earlier time replaces a later one", earlierReplacesLater},
		{"a later time replaces an earlier one", laterReplacesEarlier},
		{"keeps a grid of one millisecond when armed from wake", keepsAMillisecondGrid},
		{"keeps two intervals below a second apart", keepsTwoIntervals},
		{"follows a thousand random arms", followsRandomArms},
	}
}

func wakesOnceAtTheArmedTime(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	var want []time.Duration
	var now time.Duration
	for _, d := range []time.Duration{
		time.Millisecond, 250 * time.Millisecond, time.Second, 1500 * time.Millisecond, time.Minute, 30 * 24 * time.Hour,
	} {
		armWaker(t, w, d)
		want = append(want, now+d)
		time.Sleep(3 * d)
		now += 3 * d
	}
	time.Sleep(24 * time.Hour)
	n.want(t, want...)
}

func wakesAtOnce(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	armWaker(t, w, 0)
	n.want(t, 0)
	armWaker(t, w, -time.Hour)
	n.want(t, 0, 0)
	time.Sleep(2 * time.Hour)
	n.want(t, 0, 0)
}

func earlierReplacesLater(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	armWaker(t, w, time.Hour)
	time.Sleep(10 * time.Millisecond)
	armWaker(t, w, 20*time.Millisecond)
	time.Sleep(2 * time.Hour)
	n.want(t, 30*time.Millisecond)
}

func laterReplacesEarlier(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	armWaker(t, w, 20*time.Millisecond)
	time.Sleep(10 * time.Millisecond)
	armWaker(t, w, time.Hour)
	time.Sleep(2 * time.Hour)
	n.want(t, time.Hour+10*time.Millisecond)
}

func keepsAMillisecondGrid(t *testing.T, w ports.Waker) {
	const count = 2500
	n := noteWakes()
	grid := func() { armWaker(t, w, time.Millisecond-time.Since(n.since)%time.Millisecond) }
	startWaker(t, w, func() { n.during(grid) })
	grid()
	time.Sleep(count*time.Millisecond + 500*time.Microsecond)
	want := make([]time.Duration, count)
	for i := range want {
		want[i] = time.Duration(i+1) * time.Millisecond
	}
	n.want(t, want...)
}

func keepsTwoIntervals(t *testing.T, w ports.Waker) {
	const a, b, span = 250 * time.Millisecond, 330 * time.Millisecond, 10 * time.Second
	n := noteWakes()
	next := func(now time.Duration) time.Duration { return min(now-now%a+a, now-now%b+b) }
	again := func() {
		now := time.Since(n.since)
		armWaker(t, w, next(now)-now)
	}
	startWaker(t, w, func() { n.during(again) })
	again()
	time.Sleep(span + time.Millisecond)
	var want []time.Duration
	for at := next(0); at <= span; at = next(at) {
		want = append(want, at)
	}
	n.want(t, want...)
}

func followsRandomArms(t *testing.T, w ports.Waker) {
	n := noteWakes()
	startWaker(t, w, n.note)
	dice := rand.New(rand.NewPCG(1, 2))
	var want []time.Duration
	var now time.Duration
	for range 1000 {
		// Even and odd: an arm never coincides with a wake.
		d := time.Duration(dice.IntN(25)-2) * 2 * time.Millisecond
		pause := time.Duration(dice.IntN(25)*2+1) * time.Millisecond
		armWaker(t, w, d)
		if due := now + max(d, 0); due < now+pause {
			want = append(want, due)
		}
		time.Sleep(pause)
		now += pause
		armWaker(t, w, time.Hour)
		time.Sleep(time.Millisecond)
		now += time.Millisecond
	}
	n.want(t, want...)
}
