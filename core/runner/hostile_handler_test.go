package runner_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// noSnooze is the usual slip: a nil of a concrete type in an error.
func noSnooze() *domain.SnoozeError { return nil }

func noChildren() *domain.WaitForChildrenError { return nil }

func noLimit() *domain.RateLimitError { return nil }

// selfish cannot be told: its text is a panic with itself.
type selfish struct{}

func (s selfish) Error() string { panic(s) }

// exiting ends the goroutine of whoever wants its text.
type exiting struct{}

func (exiting) Error() string {
	runtime.Goexit()
	return ""
}

// panicsOnItsWay ends its goroutine, and panics on the way out.
func panicsOnItsWay() error {
	defer func() { panic("too late") }()
	runtime.Goexit()
	return nil
}

func TestHandlersCannotHarmMoreThanTheirOwnJob(t *testing.T) {
	for name, handler := range map[string]func() error{
		"a typed nil snooze":           func() error { return noSnooze() },
		"a typed nil of children":      func() error { return noChildren() },
		"a typed nil rate limit":       func() error { return noLimit() },
		"an error that panics itself":  func() error { return selfish{} },
		"a panic that panics itself":   func() error { panic(selfish{}) },
		"a panic that ends goroutines": func() error { panic(exiting{}) },
		"a panic on its way out":       panicsOnItsWay,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, handlers{
					"bad":  route(func(context.Context, *domain.Job) ([]byte, error) { return nil, handler() }),
					"good": route(func(context.Context, *domain.Job) ([]byte, error) { return nil, nil }),
				}, func(d *desk) { d.concurrency = 1 })
				bad, good := d.put("bad", 2, domain.JobOptions{}), d.put("good", 1, domain.JobOptions{})
				pass(time.Second)
				for _, id := range bad {
					d.wantState(id, domain.StateFailed)
				}
				d.wantState(good[0], domain.StateCompleted)
				again := d.put("good", 1, domain.JobOptions{})
				pass(time.Second)
				d.wantState(again[0], domain.StateCompleted)
			})
		})
	}
}

func TestScheduledHandlersCannotHarmMoreThanTheirOwnRun(t *testing.T) {
	for name, handler := range map[string]func() error{
		"a typed nil snooze":           func() error { return noSnooze() },
		"the end of its goroutine":     func() error { runtime.Goexit(); return nil },
		"an error that panics itself":  func() error { return selfish{} },
		"a panic that panics itself":   func() error { panic(selfish{}) },
		"a panic that ends goroutines": func() error { panic(exiting{}) },
		"a panic on its way out":       panicsOnItsWay,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				attempts := 0
				job := manualJob("report", func(_ context.Context, _ domain.RunKey, attempt int) ([]byte, error) {
					if attempts++; attempts != attempt {
						t.Errorf("attempt %d is the %dth call", attempt, attempts)
					}
					return nil, handler()
				})
				job.Policy.Retries.Count = 1
				ann := f.start(t, "ann", job)
				report, err := ann.Trigger(t.Context(), "report", "")
				if err != nil || report.Event != domain.EventFailed || report.Attempts != 2 {
					t.Errorf("Trigger = %+v, %v, want a failure after 2 attempts", report, err)
				}
				if report := ann.stop(); report.Runs != 0 {
					t.Errorf("Stop = %+v, want no run left", report)
				}
			})
		})
	}
}

func TestAFailedAttemptWithALargeResultHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"bad": route(func(context.Context, *domain.Job) ([]byte, error) {
			return bytes.Repeat([]byte("1"), 1<<20), errors.New("down")
		})}, nil)
		ids := d.put("bad", 1, domain.JobOptions{})
		pass(time.Second)
		d.wantState(ids[0], domain.StateFailed)
	})
}

func TestAZeroPauseDoesNotTurnInCircles(t *testing.T) {
	for name, pause := range map[string]error{"snooze": domain.Snooze(0), "rate limit": domain.RateLimit(-time.Hour)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				d := open(t, handlers{"hot": route(func(context.Context, *domain.Job) ([]byte, error) {
					calls++
					return nil, pause
				})}, nil)
				d.put("hot", 1, domain.JobOptions{})
				pass(10 * time.Second)
				if calls < 50 || calls > 101 {
					t.Errorf("%d calls in 10s, want about one each 100ms", calls)
				}
			})
		})
	}
}

// heapGrowth returns by how much the heap grew while fn ran.
func heapGrowth(fn func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fn()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestALargeErrorIsNotKeptWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 100
		d := open(t, handlers{"bad": route(func(context.Context, *domain.Job) ([]byte, error) {
			return nil, errors.New(strings.Repeat("x", 1<<20))
		})}, nil)
		grown := heapGrowth(func() {
			d.put("bad", jobs, domain.JobOptions{})
			pass(5 * time.Second)
		})
		if grown > 20<<20 {
			t.Errorf("the heap grew by %d MiB for %d failed jobs, want 4 KiB or so for each", grown>>20, jobs)
		}
	})
}

func TestALongJobDoesNotKeepThoseItCameWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const concurrency, size = 20, 256 << 10
		release := make(chan struct{})
		d := open(t, handlers{
			"long": route(func(context.Context, *domain.Job) ([]byte, error) { <-release; return nil, nil }),
			"fast": route(func(context.Context, *domain.Job) ([]byte, error) { return nil, nil }),
		}, func(d *desk) { d.concurrency = concurrency })
		defer close(release)
		grown := heapGrowth(func() {
			for i := range concurrency - 2 {
				jobs := []domain.NewJob{{Queue: mail, Name: "long", Data: []byte("1")}}
				for range concurrency - i - 1 {
					jobs = append(jobs, domain.NewJob{
						Queue: mail, Name: "fast", Data: bytes.Repeat([]byte{' '}, size),
						Options: domain.JobOptions{KeepCompleted: domain.KeepNone()},
					})
				}
				d.enqueue(jobs...)
				pass(time.Second)
			}
		})
		if most := int64(concurrency * size); grown > most {
			t.Errorf("the heap grew by %d MiB with jobs of one byte under way, want %d MiB at most", grown>>20, most>>20)
		}
	})
}
