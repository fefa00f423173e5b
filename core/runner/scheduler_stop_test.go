package runner_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

func TestStop_letsRunsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(4*time.Second)))
		f.waitUntil(6 * time.Second)
		if report := r.stop(); report != (runner.StopReport{}) {
			t.Errorf("Stop = %+v, want nothing given back", report)
		}
		if took := time.Since(f.origin); took != 9*time.Second {
			t.Errorf("Stop ended at %s, want 9s", took)
		}
		wantStory(t, r, "report", "5s +5s claimed", "5s +5s started #1", "9s +5s completed #1")
		if got := r.Health().State; got != runner.StateStopped {
			t.Errorf("State = %s, want stopped", got)
		}
	})
}

func TestStop_givesBackRunsThatHaveNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		jittered := tickJob(t, "jittered", 5*time.Second, takes(0))
		jittered.Policy.MaxJitter = 24 * time.Hour
		waiting := tickJob(t, "waiting", 5*time.Second, takes(8*time.Second))
		waiting.Policy.Overlap = domain.OverlapQueueOne
		r := f.start(t, "ann", jittered, waiting)
		f.waitUntil(11 * time.Second)
		if report := r.stop(); report != (runner.StopReport{}) {
			t.Errorf("Stop = %+v, want nothing that had begun given back", report)
		}
		if took := time.Since(f.origin); took != 13*time.Second {
			t.Errorf("Stop ended at %s, want the end of the run under way, 13s", took)
		}
		wantLines(t, "jittered", r.told("jittered", "released"), "11s +5s released (worker is shutting down)")
		wantLines(t, "waiting", r.told("waiting", "released"), "11s +10s released (worker is shutting down)")
		claims := 0
		bob := f.start(t, "bob", jittered, waiting)
		time.Sleep(time.Second)
		for _, job := range []string{"jittered", "waiting"} {
			claims += len(bob.told(job, "abandoned"))
		}
		if claims != 2 {
			t.Errorf("%d runs were taken over within a second, want 2", claims)
		}
	})
}

func TestStop_cutsTheWaitForARetryAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 5*time.Second, fails("down"))
		job.Policy.Retries = domain.Retries{Count: 1, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Hour}}
		r := f.start(t, "ann", job)
		const between = 6250 * time.Millisecond // two looks at what others gave back
		f.waitUntil(between)
		if report := r.stop(); report.Runs != 1 {
			t.Errorf("Stop = %+v, want the run that did not come to its end", report)
		}
		if took := time.Since(f.origin); took != between {
			t.Errorf("Stop ended at %s, want it at once, %s", took, between)
		}
		wantLines(t, "ends", r.told("report", "released", "failed"), "6.25s +5s released (worker is shutting down)")
	})
}

// A run that its jitter held back is one that has begun as soon as its handler has.
func TestStop_countsAJitteredRunThatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", time.Minute, fails("down"))
		job.Policy.MaxJitter = 30 * time.Second
		job.Policy.Retries = domain.Retries{Count: 1, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Hour}}
		r := f.start(t, "ann", job)
		f.waitUntil(100 * time.Second)
		wantLines(t, "jitter", r.told("report", "jittered"), "1m0s +1m0s jittered wait 20.503s")
		if report := r.stop(); report.Runs != 1 {
			t.Errorf("Stop = %+v, want the run that did not come to its end", report)
		}
	})
}

func TestStop_cancelsAndGivesBackRunsThatTakeTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		cause := make(chan error, 1)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, func(ctx context.Context, _ domain.RunKey, _ int) ([]byte, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil, ctx.Err()
		}))
		f.waitUntil(6 * time.Second)
		if report := r.stop(); report.Runs != 1 {
			t.Errorf("Stop = %+v, want the run that was cut off", report)
		}
		if err := <-cause; !errors.Is(err, domain.ErrShutdown) {
			t.Errorf("cause = %v, want ErrShutdown", err)
		}
		wantLines(t, "ends", r.told("report", "released"), "16s +5s released #1 (worker is shutting down)")
	})
}

func TestStop_fencesAHandlerThatIgnoresIt(t *testing.T) {
	for name, end := range map[string]func(){
		"and returns":            func() {},
		"and panics":             func() { panic("too late") },
		"and ends its goroutine": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) { testStopFences(t, end) })
	}
}

func testStopFences(t *testing.T, end func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 5*time.Second, func(context.Context, domain.RunKey, int) ([]byte, error) {
			time.Sleep(time.Minute)
			end()
			return []byte(`1`), nil
		})
		job.Target = domain.Target{Queue: "mail", JobName: "send"}
		r := f.start(t, "ann", job)
		f.waitUntil(6 * time.Second)
		if report := r.stop(); report.Runs != 1 {
			t.Errorf("Stop = %+v, want one run given back", report)
		}
		if took := time.Since(f.origin); took != 19*time.Second {
			t.Errorf("Stop ended at %s, want the end of drain and cancel, 19s", took)
		}
		f.waitUntil(2 * time.Minute)
		wantLines(t, "ends", r.told("report", "released", "fired", "completed"), "19s +5s released #1 (worker is shutting down)")
		if counts, err := f.queue.Counts(t.Context(), "mail"); err != nil || counts[0].Jobs[domain.StateWait] != 0 {
			t.Errorf("Counts = %+v, %v, want nothing enqueued by the fenced handler", counts, err)
		}
	})
}

func TestStop_keepsToItsBudgetWhenTheLedgerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(3*time.Second)))
		f.waitUntil(6 * time.Second)
		f.ledger.cut()
		r.stop()
		if took := time.Since(f.origin); took > 21*time.Second {
			t.Errorf("Stop ended at %s, want the budget kept, 20s", took)
		}
		wantLines(t, "ends", r.told("report", "completed", "released"), "8s +5s completed #1")
	})
}

func TestStop_waitsForAClaimThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(0)))
		f.ledger.watch(func(call string) {
			if call == "claim" {
				time.Sleep(3 * time.Second)
			}
		})
		f.waitUntil(6 * time.Second)
		if report := r.stop(); report != (runner.StopReport{}) {
			t.Errorf("Stop = %+v, want nothing that had begun given back", report)
		}
		wantStory(t, r, "report", "8s +5s claimed", "8s +5s released (worker is shutting down)")
		bob := f.start(t, "bob", tickJob(t, "report", 5*time.Second, takes(0)))
		f.ledger.watch(nil)
		time.Sleep(time.Second)
		if got := bob.told("report", "+5s started"); len(got) != 1 {
			t.Errorf("the second replica recorded %q, want the run at once", bob.story("report"))
		}
	})
}

func TestStop_isHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(time.Hour)))
		f.waitUntil(6 * time.Second)
		time.AfterFunc(100*time.Millisecond, r.Hurry)
		r.stop()
		if took := time.Since(f.origin); took > 7100*time.Millisecond {
			t.Errorf("Stop ended at %s, want it within a second of the hurry", took)
		}
	})
}

func TestStop_handsTheCountOfAttemptsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var calls atomic.Int64
		job := func() runner.ScheduledJob {
			job := manualJob("report", func(context.Context, domain.RunKey, int) ([]byte, error) {
				calls.Add(1)
				return nil, errors.New("down")
			})
			job.Policy.Retries = domain.Retries{Count: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Minute}}
			return job
		}
		ann, bob := f.start(t, "ann", job()), f.start(t, "bob", job())
		go func() { _, _ = ann.Trigger(context.Background(), "report", "x") }()
		f.waitUntil(90 * time.Second)
		ann.stop()
		f.waitUntil(10 * time.Minute)
		if n := calls.Load(); n != 3 {
			t.Errorf("%d attempts on both replicas, want 3 of a run with 2 retries:\n%q\n%q", n, ann.story("report"), bob.story("report"))
		}
	})
}
