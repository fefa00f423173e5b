package runner_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

func TestTrigger_runsAJobNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", manualJob("report", takes(2*time.Second)))
		report := r.handTo(t, "")
		want := runner.RunReport{
			Run:   domain.RunKey{Job: "report", Origin: domain.OriginManual, OriginID: "ann-1", PlannedMS: f.origin.UnixMilli()},
			Event: domain.EventCompleted, Attempts: 1, Took: 2 * time.Second,
		}
		if report != want {
			t.Errorf("Trigger = %+v, want %+v", report, want)
		}
	})
}

func TestTrigger_namesTheJobOnItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := manualJob("report", takes(0))
		job.Target = domain.Target{Queue: "mail", JobName: "send"}
		r := f.start(t, "ann", job)
		report := r.handTo(t, "7")
		if report.Event != domain.EventFired || report.JobID != "manual.report.0@7" {
			t.Errorf("Trigger = %+v, want the job that was queued", report)
		}
		jobs, err := f.queue.Jobs(t.Context(), "mail", domain.JobFilter{ID: report.JobID})
		if err != nil || len(jobs) != 1 || string(jobs[0].Job.Data) != "null" {
			t.Errorf("Jobs = %+v, %v, want the job without payload", jobs, err)
		}
	})
}

func TestTrigger_runsOnceForEachID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var started atomic.Int32
		job := func() runner.ScheduledJob {
			return manualJob("report", func(context.Context, domain.RunKey, int) ([]byte, error) {
				started.Add(1)
				return nil, nil
			})
		}
		ann, bob := f.start(t, "ann", job()), f.start(t, "bob", job())
		for _, r := range []*replica{ann, bob, ann} {
			r.handTo(t, "one")
		}
		if report := bob.handTo(t, "one"); report.Event != domain.EventSkipped || report.Reason != domain.ReasonTaken {
			t.Errorf("Trigger = %+v, want it taken", report)
		}
		if started.Load() != 1 {
			t.Errorf("the job ran %d times, want once", started.Load())
		}
	})
}

func TestTrigger_isSkippedByAnotherRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", manualJob("report", takes(time.Minute)))
		go func() { _, _ = r.Trigger(t.Context(), "report", "one") }()
		synctest.Wait()
		report := r.handTo(t, "two")
		if report.Event != domain.EventSkipped || report.Reason != domain.ReasonOverlap || report.By != "report@manual:one" {
			t.Errorf("Trigger = %+v, want it skipped by the first", report)
		}
		wantLines(t, "skips", r.told("report", "skipped"), "0s manual:two skipped (overlap) by report@manual:one")
	})
}

func TestTrigger_refusesWhatCannotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		off := manualJob("off", takes(0))
		off.Disabled = true
		r := f.replica(t, "ann", manualJob("report", takes(0)), off)
		if _, err := r.Trigger(t.Context(), "report", ""); !errors.Is(err, runner.ErrStopping) {
			t.Errorf("Trigger before the start = %v, want ErrStopping", err)
		}
		r.mustStart(t)
		if _, err := r.Trigger(t.Context(), "off", ""); !errors.Is(err, runner.ErrDisabled) {
			t.Errorf("Trigger(off) = %v, want ErrDisabled", err)
		}
		if _, err := r.Trigger(t.Context(), "reprot", ""); !errors.Is(err, runner.ErrUnknownJob) || !strings.Contains(err.Error(), "off, report") {
			t.Errorf("Trigger(reprot) = %v, want ErrUnknownJob with the names there are", err)
		}
		if _, err := r.Trigger(t.Context(), "report", "a:b"); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Trigger(report, a:b) = %v, want ErrInvalid", err)
		}
		f.ledger.cut("claim")
		if _, err := r.Trigger(t.Context(), "report", ""); err == nil {
			t.Error("Trigger without a ledger succeeds, want its error")
		}
		f.ledger.heal()
		r.stop()
		if _, err := r.Trigger(t.Context(), "report", ""); !errors.Is(err, runner.ErrStopping) {
			t.Errorf("Trigger after the stop = %v, want ErrStopping", err)
		}
	})
}

func TestTrigger_isRefusedWithoutScheduler(t *testing.T) {
	r, err := runner.New(runner.Config{Replica: "ann"}, runner.Ports{Now: time.Now}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Trigger(t.Context(), "report", ""); !errors.Is(err, runner.ErrDisabled) {
		t.Errorf("Trigger = %v, want ErrDisabled", err)
	}
	if jobs := r.Jobs(); jobs != nil {
		t.Errorf("Jobs = %v, want none", jobs)
	}
}

func TestTrigger_letsTheRunGoOnWithoutItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", manualJob("report", takes(10*time.Second)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Trigger(ctx, "report", "one"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Trigger = %v, want the end of the context", err)
		}
		f.waitUntil(11 * time.Second)
		wantLines(t, "ends", r.told("report", "completed"), "10s manual:one completed #1")
	})
}

func TestTrigger_whoseCallerLeavesHarmsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := manualJob("report", takes(0))
		job.Policy.Overlap = domain.OverlapAllow
		r := f.start(t, "ann", job)
		f.ledger.watch(func(call string) {
			if call == "claim" {
				time.Sleep(3 * time.Second)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := r.Trigger(ctx, "report", "one"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Trigger = %v, want the end of the context", err)
			}
		})
		synctest.Wait()
		for _, id := range []string{"two", "three"} {
			group.Go(func() {
				if report := r.handTo(t, id); report.Event != domain.EventCompleted {
					t.Errorf("%s is %+v, want completed", id, report)
				}
			})
		}
		group.Wait()
		f.ledger.watch(nil)
		if got := r.told("report", "completed"); len(got) != 3 {
			t.Errorf("ends = %q, want all three", got)
		}
	})
}

func TestRunOnStart_runsOnEachReplicaOrOncePerDeploy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		jobs := func() []runner.ScheduledJob {
			each, once, broken := manualJob("each", takes(0)), manualJob("once", takes(0)), manualJob("broken", fails("no"))
			each.Policy.OnStart = domain.StartEachReplica
			once.Policy.OnStart = domain.StartOncePerDeploy
			broken.Policy.OnStart = domain.StartEachReplica
			each.Policy.Overlap, broken.Policy.Overlap = domain.OverlapAllow, domain.OverlapAllow
			return []runner.ScheduledJob{each, once, broken}
		}
		ann, bob := f.start(t, "ann", jobs()...), f.start(t, "bob", jobs()...)
		for r, name := range map[*replica]string{ann: "ann", bob: "bob"} {
			wantLines(t, "each", r.told("each", "completed"), "0s start:"+name+" completed #1")
			wantLines(t, "broken", r.told("broken", "failed"), "0s start:"+name+" failed #1 (no)")
		}
		if got := append(ann.told("once", "completed"), bob.told("once", "completed")...); len(got) != 1 || got[0] != "0s start:deploy completed #1" {
			t.Errorf("once = %q, want one run", got)
		}
	})
}

func TestRunOnStart_waitsForTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := manualJob("each", takes(0))
		job.Policy.OnStart = domain.StartEachReplica
		f.ledger.cut("claim")
		time.AfterFunc(10*time.Second, f.ledger.heal)
		r := f.start(t, "ann", job)
		f.waitUntil(15 * time.Second)
		if got := r.told("each", "completed"); len(got) != 1 {
			t.Errorf("ends = %q, want the run once the ledger is back", got)
		}
	})
}
