package cron_test

import (
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/cron"
)

// BenchmarkArm is Arm as planners call it: each deadline is a little later than
// the last.
func BenchmarkArm(b *testing.B) {
	w := started(b, func() {})
	b.ReportAllocs()
	for b.Loop() {
		_ = w.Arm(time.Hour)
	}
}

// BenchmarkArmEarlier is Arm at its dearest: each deadline is earlier, so that the alarm is set anew.
func BenchmarkArmEarlier(b *testing.B) {
	w := started(b, func() {})
	b.ReportAllocs()
	d := 1000 * time.Hour
	for b.Loop() {
		d -= time.Microsecond
		_ = w.Arm(d)
	}
}

func BenchmarkArmFromManyGoroutines(b *testing.B) {
	w := started(b, func() {})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = w.Arm(time.Hour)
		}
	})
}

// BenchmarkLateness measures a bare timer next to the Waker: what that is late by
// belongs to the machine.
func BenchmarkLateness(b *testing.B) {
	every := func(periods ...time.Duration) func(now time.Duration) time.Duration {
		return func(now time.Duration) time.Duration {
			next := time.Duration(1<<63 - 1)
			for _, p := range periods {
				next = min(next, now-now%p+p)
			}
			return next
		}
	}
	grids := map[string]func(time.Duration) time.Duration{
		"250ms+330ms": every(250*time.Millisecond, 330*time.Millisecond),
		"1ms":         every(time.Millisecond),
	}
	for name, grid := range grids {
		b.Run(name+"/waker", func(b *testing.B) {
			lateness(b, grid, func(wake func()) func(time.Duration) { return armOf(b, started(b, wake)) })
		})
		b.Run(name+"/timer", func(b *testing.B) {
			lateness(b, grid, func(wake func()) func(time.Duration) {
				return func(d time.Duration) { time.AfterFunc(d, wake) }
			})
		})
	}
}

func armOf(b *testing.B, w *cron.Waker) func(time.Duration) {
	b.Helper()
	return func(d time.Duration) {
		if err := w.Arm(d); err != nil {
			b.Errorf("Arm(%v) = %v, want nil", d, err)
		}
	}
}

// lateness wakes b.N times on the grid of next, which plans from the last
// planned time on, and reports how late after the grid the wakes began.
func lateness(b *testing.B, next func(time.Duration) time.Duration, clock func(wake func()) func(time.Duration)) {
	b.Helper()
	late := make([]time.Duration, 0, b.N)
	done := make(chan struct{})
	var begin time.Time
	var planned time.Duration
	var arm func(time.Duration)
	arm = clock(func() {
		late = append(late, time.Since(begin)-planned)
		if len(late) == b.N {
			close(done)
			return
		}
		planned = next(planned)
		arm(planned - time.Since(begin))
	})
	begin = time.Now()
	planned = next(0)
	arm(planned - time.Since(begin))
	<-done
	slices.Sort(late)
	b.ReportMetric(0, "ns/op")
	for name, p := range map[string]int{"p50-µs": 50, "p99-µs": 99, "max-µs": 100} {
		b.ReportMetric(float64(late[(len(late)-1)*p/100])/float64(time.Microsecond), name)
	}
}
