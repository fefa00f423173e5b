package runner_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// crash makes a replica named "dead" claim a run of the job and die: before
// its handler has started, or, with a slot, after.
func (f *fleet) crash(t *testing.T, job, id string, slot domain.Slot) {
	t.Helper()
	if _, err := f.ledger.Sync(t.Context(), domain.SyncRequest{Replica: "dead", Definitions: []domain.Definition{{Job: job, Fingerprint: "v1"}}}); err != nil {
		t.Fatal(err)
	}
	verdicts, err := f.ledger.Claim(t.Context(), []domain.Intent{{
		Run:     domain.RunKey{Job: job, Origin: domain.OriginManual, OriginID: id},
		Replica: "dead", Fingerprint: "v1", Slot: slot, Lease: time.Second,
	}})
	if err != nil || verdicts[0].Kind != domain.Granted {
		t.Fatalf("Claim = %+v, %v, want a grant", verdicts, err)
	}
	time.Sleep(time.Second)
}

// crashAgain lets the dead replica take its own run over and die n times more.
func (f *fleet) crashAgain(t *testing.T, n int) {
	t.Helper()
	for range n {
		claims, err := f.ledger.Abandoned(t.Context(), "dead", time.Second, 1)
		if err != nil || len(claims) != 1 {
			t.Fatalf("Abandoned = %+v, %v, want the run", claims, err)
		}
		time.Sleep(time.Second)
	}
}

func TestAbandoned_runsAreDrivenAgain(t *testing.T) {
	for name, c := range map[string]struct {
		slot    domain.Slot
		policy  domain.AbandonPolicy
		crashes int
		want    []string
	}{
		"before the start": {domain.SlotLater, domain.AbandonLost, 0, []string{"abandoned", "started", "completed"}},
		"rerun":            {domain.SlotSkip, domain.AbandonRerun, 0, []string{"abandoned", "started", "completed"}},
		"second crash":     {domain.SlotSkip, domain.AbandonRerun, 1, []string{"abandoned", "started", "completed"}},
		"third crash":      {domain.SlotSkip, domain.AbandonRerun, 2, []string{"quarantined"}},
		"lost":             {domain.SlotSkip, domain.AbandonLost, 0, []string{"lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.crash(t, "report", "one", c.slot)
				f.crashAgain(t, c.crashes)
				job := manualJob("report", takes(time.Second))
				job.Policy.OnAbandon = c.policy
				ann := f.start(t, "ann", job)
				time.Sleep(5 * time.Second)
				ann.story("report")
				var got []string
				for _, record := range ann.book.all() {
					got = append(got, string(record.Event))
				}
				wantLines(t, "events", got, c.want...)
				if report := ann.handTo(t, "two"); report.Event != domain.EventCompleted {
					t.Errorf("the next run is %s, want the slot free", report.Event)
				}
				if report := ann.handTo(t, "one"); report.Reason != domain.ReasonTaken {
					t.Errorf("the same run again is %+v, want it taken", report)
				}
			})
		})
	}
}

func TestAbandoned_queuedRunsAreNotDrivenAgainWhenTheirReceiptIsForgotten(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration
		want string
	}{
		"in time":  {domain.ReceiptLife - time.Minute, "abandoned"},
		"too late": {domain.ReceiptLife, "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.crash(t, "report", "one", domain.SlotSkip)
				time.Sleep(c.age - time.Second)
				job := manualJob("report", makes(`1`))
				job.Target = domain.Target{Queue: "mail", JobName: "send"}
				ann := f.start(t, "ann", job)
				time.Sleep(5 * time.Second)
				ann.story("report")
				if first := ann.book.all()[0]; string(first.Event) != c.want {
					t.Errorf("a run claimed %s ago is %s (%s), want %s", c.age, first.Event, first.Reason, c.want)
				}
			})
		})
	}
}

func TestAbandoned_queuedRunsAreEnqueuedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := func() runner.ScheduledJob {
			job := tickJob(t, "report", 10*time.Second, makes(`1`))
			job.Target = domain.Target{Queue: "mail", JobName: "send"}
			return job
		}
		ann := f.start(t, "ann", job())
		f.waitUntil(5 * time.Second)
		// The job gets onto its queue, and then the replica is cut off for good.
		f.ledger.watch(func(call string) {
			if call == "finish" {
				f.ledger.cut("finish", "renew", "sync")
			}
		})
		f.waitUntil(11 * time.Second)
		f.ledger.cut()
		f.waitUntil(26 * time.Second)
		ann.Hurry()
		go ann.stop()
		f.waitUntil(29 * time.Second)
		f.ledger.watch(nil)
		f.ledger.heal()
		bob := f.start(t, "bob", job())
		f.waitUntil(49 * time.Second)
		jobs, err := f.queue.Jobs(t.Context(), "mail", domain.JobFilter{State: domain.StateWait})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[domain.JobID]int{}
		for _, view := range jobs {
			seen[view.Job.ID]++
		}
		if n := seen["tick.report.946684810000"]; n != 1 {
			t.Errorf("the job of the first tick is on the queue %d times, want once", n)
		}
		if got := bob.told("report", "+10s fired"); len(got) > 1 {
			t.Errorf("the second replica recorded %q, want one record at most", got)
		}
	})
}

func TestAbandoned_runsOfThisReplicaGoOnAfterAStepOfTheStoresClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var started atomic.Int32
		r := f.start(t, "ann", manualJob("report", func(ctx context.Context, _ domain.RunKey, _ int) ([]byte, error) {
			started.Add(1)
			return takes(time.Minute)(ctx, domain.RunKey{}, 1)
		}))
		var group sync.WaitGroup
		group.Go(func() {
			if report := r.handTo(t, "one"); report.Event != domain.EventCompleted {
				t.Errorf("the run is %+v, want it completed", report)
			}
		})
		for range 5 {
			time.Sleep(10100 * time.Millisecond)
			f.step(time.Hour)
		}
		group.Wait()
		if n := started.Load(); n != 1 {
			t.Errorf("the handler was started %d times, want once", n)
		}
	})
}

func TestAbandoned_runsAreNotDrivenBesideTheirFormerHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var running, most, started atomic.Int32
		// The handler ignores the end of its context for a while.
		r := f.start(t, "ann", manualJob("report", func(context.Context, domain.RunKey, int) ([]byte, error) {
			started.Add(1)
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(50 * time.Second)
			running.Add(-1)
			return nil, nil
		}))
		f.waitUntil(100 * time.Millisecond)
		go func() { _, _ = r.Trigger(t.Context(), "report", "one") }()
		f.waitUntil(time.Second)
		f.ledger.cut("renew")
		f.waitUntil(20 * time.Second)
		f.ledger.heal()
		f.waitUntil(3 * time.Minute)
		if most.Load() != 1 || started.Load() != 2 {
			t.Errorf("the handler was started %d times, %d at once, want 2 and 1", started.Load(), most.Load())
		}
		wantLines(t, "ends", r.told("report", "abandoned", "lost", "completed"),
			"15.5s manual:one abandoned (its replica let the claim run out)", "50.1s manual:one late-result-discarded #1 (lease lost)",
			"50.1s manual:one lost #1 (lease lost)", "1m40.1s manual:one completed #1")
	})
}

func TestAbandoned_runsAreNotStartedAgainWhenOnlyTheirEndIsUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var started atomic.Int32
		r := f.start(t, "ann", manualJob("report", func(context.Context, domain.RunKey, int) ([]byte, error) {
			started.Add(1)
			return nil, nil
		}))
		f.ledger.cut("finish", "renew", "sync")
		go func() { _, _ = r.Trigger(t.Context(), "report", "one") }()
		f.waitUntil(time.Minute)
		f.ledger.heal()
		f.waitUntil(2 * time.Minute)
		if n := started.Load(); n != 1 {
			t.Errorf("the handler was started %d times, want once", n)
		}
		wantStory(t, r, "report", "0s manual:one claimed", "0s manual:one started #1", "0s manual:one completed #1")
		if n := r.Health().Runs; n != 0 {
			t.Errorf("%d runs are under way, want none", n)
		}
	})
}

func TestAbandoned_runsAreTakenOverSoonAfterTheirRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		stubborn := func(d time.Duration) runFunc {
			return func(context.Context, domain.RunKey, int) ([]byte, error) {
				time.Sleep(d)
				return nil, nil
			}
		}
		ann := f.start(t, "ann", manualJob("report", stubborn(time.Minute)))
		bob := f.start(t, "bob", manualJob("report", stubborn(time.Second)))
		go func() { _, _ = ann.Trigger(t.Context(), "report", "one") }()
		f.waitUntil(2 * time.Second)
		report := ann.stop() // 13 s later the run is given back.
		if report.Runs != 1 {
			t.Errorf("Stop = %+v, want one run given back", report)
		}
		f.waitUntil(20 * time.Second)
		got := bob.told("report", "started")
		if len(got) != 1 || got[0] != "15.5s manual:one started #1" && got[0] != "15s manual:one started #1" {
			t.Errorf("the second replica's run = %q, want a start within half a second of 15s", got)
		}
		f.waitUntil(2 * time.Minute)
		if got := ann.told("report", "completed", "lost"); len(got) != 0 {
			t.Errorf("the first replica recorded %q, want nothing after the release", got)
		}
	})
}
