package runner_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// holdAndQueue starts a run that takes a minute and one that waits behind it.
func holdAndQueue(t *testing.T, f *fleet) *replica {
	t.Helper()
	job := manualJob("report", takes(time.Minute))
	job.Policy.Overlap = domain.OverlapQueueOne
	r := f.start(t, "ann", job)
	for _, id := range []string{"one", "two"} {
		go func() { _, _ = r.Trigger(t.Context(), "report", id) }()
		synctest.Wait()
	}
	return r
}

func TestRun_waitsForItsSlotThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := holdAndQueue(t, f)
		f.waitUntil(55 * time.Second)
		f.ledger.cut("claim", "finish")
		f.waitUntil(65 * time.Second)
		f.ledger.heal()
		f.waitUntil(3 * time.Minute)
		if got := r.told("report", "completed"); len(got) != 2 {
			t.Errorf("ends = %q, want both runs'", got)
		}
		if n := f.log.count("run not started yet"); n < 1 || n > 12 {
			t.Errorf("the outage was logged %d times, want about once a second at most", n)
		}
	})
}

func TestRun_isLostWhileItWaitsForItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := holdAndQueue(t, f)
		f.waitUntil(time.Second)
		f.ledger.cut()
		f.waitUntil(18 * time.Second)
		ends := r.told("report", "lost")
		slices.Sort(ends)
		wantLines(t, "ends", ends, "15s manual:one lost #1 (lease lost)", "15s manual:two lost (lease lost)")
		f.ledger.heal()
		f.waitUntil(3 * time.Minute)
		if got := r.told("report", "completed"); len(got) != 2 {
			t.Errorf("ends = %q, want both runs driven again", got)
		}
	})
}

func TestRun_isLostWhenItsClaimIsTakenBeforeItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 10*time.Second, takes(0))
		job.Policy.MaxJitter = 9 * time.Second
		r := f.start(t, "ann", job)
		f.waitUntil(10010 * time.Millisecond)
		// Someone ends the claim behind the replica's back.
		f.ledger.cut("renew")
		claims, err := f.ledger.Ledger.Abandoned(t.Context(), "ann", time.Minute, 1)
		if err != nil || len(claims) != 0 {
			t.Fatalf("Abandoned = %+v, %v, want none yet", claims, err)
		}
		f.step(time.Hour)
		if claims, err = f.ledger.Ledger.Abandoned(t.Context(), "ann", time.Hour, 1); err != nil || len(claims) != 1 {
			t.Fatalf("Abandoned = %+v, %v, want the run", claims, err)
		}
		f.waitUntil(20 * time.Second)
		if got := r.told("report", "+10s lost"); len(got) != 1 {
			t.Errorf("story = %q, want the run lost", r.lines("report"))
		}
	})
}

func TestRun_isCancelledWhileItWaitsForARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := manualJob("report", fails("down"))
		job.Policy.Overlap = domain.OverlapCancelPrevious
		job.Policy.Retries = domain.Retries{Count: 1, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Hour}}
		r := f.start(t, "ann", job)
		for _, id := range []string{"one", "two"} {
			go func() { _, _ = r.Trigger(t.Context(), "report", id) }()
			synctest.Wait()
		}
		wantLines(t, "ends", r.told("report", "cancelled"), "0s manual:one cancelled (cancelled by a newer run)")
	})
}

func TestRun_keepsWorkThatWasDoneAlthoughTheWorkerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 5*time.Second, func(ctx context.Context, _ domain.RunKey, _ int) ([]byte, error) {
			<-ctx.Done()
			return []byte(`1`), nil
		})
		job.Target = domain.Target{Queue: "mail", JobName: "send"}
		r := f.start(t, "ann", job)
		f.waitUntil(6 * time.Second)
		r.stop()
		wantLines(t, "ends", r.told("report", "fired", "released"), "16s +5s fired #1")
	})
}

func TestRun_isGivenBackIfItsQueueTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 5*time.Second, takes(2*time.Second))
		job.Policy.Retries = domain.Retries{Count: 1}
		job.Target = domain.Target{Queue: "mail", JobName: "send"}
		r := f.start(t, "ann", job)
		f.waitUntil(6 * time.Second)
		if err := f.queue.Close(); err != nil {
			t.Fatal(err)
		}
		if report := r.stop(); report.Runs != 1 {
			t.Errorf("Stop = %+v, want the run whose job was not enqueued", report)
		}
		wantLines(t, "ends", r.told("report", "fired", "failed", "retrying", "released"), "7s +5s released #1 (worker is shutting down)")
	})
}

func TestRun_survivesWhateverItsHandlerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		broken := map[string]runFunc{
			"panics":    func(context.Context, domain.RunKey, int) ([]byte, error) { panic("boo") },
			"panicsNil": func(context.Context, domain.RunKey, int) ([]byte, error) { panic(error(nil)) },
			"bytes":     fails("bad \x00 \xff text"),
		}
		var jobs []runner.ScheduledJob
		for name, handler := range broken {
			jobs = append(jobs, manualJob(name, handler))
		}
		r := f.start(t, "ann", jobs...)
		for name := range broken {
			report, err := r.Trigger(t.Context(), name, "")
			if err != nil || report.Event != domain.EventFailed || report.Reason == "" {
				t.Errorf("Trigger(%s) = %+v, %v, want it failed with a reason", name, report, err)
			}
		}
		settle()
		for _, record := range r.book.all() {
			if record.Event == domain.EventFailed && record.Run.Job == "panics" && record.Stack == "" {
				t.Error("the record of a panic has no stack")
			}
		}
	})
}

func TestHealth_namesAHandlerThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := manualJob("report", func(context.Context, domain.RunKey, int) ([]byte, error) {
			time.Sleep(30 * time.Second)
			return nil, errors.New("late")
		})
		job.Policy.Timeout = time.Second
		r := f.start(t, "ann", job)
		defer f.waitUntil(40 * time.Second) // The handler has returned by then.
		go func() { _, _ = r.Trigger(t.Context(), "report", "") }()
		f.waitUntil(20 * time.Second)
		if got := r.Health().Problems; len(got) != 1 || got[0] != "job report: its handler ignores the end of its context" {
			t.Errorf("Problems = %q, want the job named", got)
		}
	})
}
