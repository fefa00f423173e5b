package runner_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// overlapping runs a job every ten seconds whose runs take 25 seconds.
func overlapping(t *testing.T, policy domain.OverlapPolicy) *replica {
	t.Helper()
	f := newFleet(t)
	job := tickJob(t, "report", 10*time.Second, takes(25*time.Second))
	job.Policy.Overlap = policy
	r := f.start(t, "ann", job)
	f.waitUntil(41 * time.Second)
	return r
}

func TestRun_skipsWhileAnotherIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wantStory(t, overlapping(t, domain.OverlapSkip), "report",
			"10s +10s claimed", "10s +10s started #1",
			"20s +20s skipped (overlap) by report@2000-01-01T00:00:10Z",
			"30s +30s skipped (overlap) by report@2000-01-01T00:00:10Z",
			"35s +10s completed #1",
			"40s +40s claimed", "40s +40s started #1")
	})
}

func TestRun_waitsForTheOneBeforeAndSkipsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wantStory(t, overlapping(t, domain.OverlapQueueOne), "report",
			"10s +10s claimed", "10s +10s started #1",
			"20s +20s claimed", "20s +20s queued by report@2000-01-01T00:00:10Z",
			"30s +30s skipped (overlap) by report@2000-01-01T00:00:10Z",
			"35s +10s completed #1", "35s +20s started #1 late 15s",
			"40s +40s claimed", "40s +40s queued by report@2000-01-01T00:00:20Z")
	})
}

func TestRun_runsBesideOthersWhenAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wantStory(t, overlapping(t, domain.OverlapAllow), "report",
			"10s +10s claimed", "10s +10s started #1", "20s +20s claimed", "20s +20s started #1",
			"30s +30s claimed", "30s +30s started #1", "35s +10s completed #1",
			"40s +40s claimed", "40s +40s started #1")
	})
}

func TestRun_cancelsTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The older run learns of the newer one by its claim or by a renewal of the
		// same moment: whether the newer one is seen to wait, and which of the two is
		// recorded first, is a matter of who comes first.
		r := overlapping(t, domain.OverlapCancelPrevious)
		wantLines(t, "runs", slices.Sorted(slices.Values(r.told("report", "claimed", "started", "cancelled", "completed", "skipped"))),
			"10s +10s claimed", "10s +10s started #1",
			"20s +10s cancelled #1 (cancelled by a newer run)", "20s +20s claimed", "20s +20s started #1",
			"30s +20s cancelled #1 (cancelled by a newer run)", "30s +30s claimed", "30s +30s started #1",
			"40s +30s cancelled #1 (cancelled by a newer run)", "40s +40s claimed", "40s +40s started #1")
	})
}

// handTo triggers the job "report" by hand and returns what became of it.
func (r *replica) handTo(t *testing.T, id string) runner.RunReport {
	t.Helper()
	report, err := r.Trigger(t.Context(), "report", id)
	if err != nil {
		t.Errorf("Trigger(report, %s) = %v, want a report", id, err)
	}
	return report
}

func TestRun_cancelsTheOneBeforeOnAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := func() runner.ScheduledJob {
			job := manualJob("report", takes(time.Minute))
			job.Policy.Overlap = domain.OverlapCancelPrevious
			return job
		}
		ann := f.start(t, "ann", job())
		f.waitUntil(100 * time.Millisecond)
		bob := f.start(t, "bob", job())
		var group sync.WaitGroup
		group.Go(func() {
			if report := ann.handTo(t, "one"); report.Event != domain.EventCancelled {
				t.Errorf("the first run is %s, want cancelled", report.Event)
			}
		})
		f.waitUntil(10100 * time.Millisecond)
		group.Go(func() {
			if report := bob.handTo(t, "two"); report.Event != domain.EventCompleted {
				t.Errorf("the second run is %s, want completed", report.Event)
			}
		})
		group.Wait()
		wantLines(t, "the second run", bob.told("report", "manual"), "10.1s manual:two claimed",
			"10.1s manual:two queued by report@manual:one", "10.6s manual:two started #1", "1m10.6s manual:two completed #1")
	})
}

func TestRun_givesItsPlaceToANewerOneThatCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		stubborn := runFunc(func(context.Context, domain.RunKey, int) ([]byte, error) {
			time.Sleep(20 * time.Second)
			return nil, errors.New("too late")
		})
		job := manualJob("report", stubborn)
		job.Policy.Overlap = domain.OverlapCancelPrevious
		r := f.start(t, "ann", job)
		var group sync.WaitGroup
		for _, id := range []string{"one", "two", "three"} {
			group.Go(func() { r.handTo(t, id) })
			time.Sleep(1100 * time.Millisecond)
		}
		group.Wait()
		wantLines(t, "ends", r.told("report", "cancelled", "skipped", "failed"), "2.5s manual:two skipped (overlap) by report@manual:three",
			"20s manual:one cancelled #1 (cancelled by a newer run)", "40s manual:three failed #1 (too late)")
	})
}

func TestRun_holdsItsOverlapUntilTheQueuedJobIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 10*time.Second, makes(`{"n":1}`))
		job.Policy.Scope = domain.ScopeCompletion
		job.Target = domain.Target{Queue: "mail", JobName: "send"}
		r := f.start(t, "ann", job)
		f.waitUntil(25 * time.Second)
		consumer, err := f.queue.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "bob", Lease: time.Minute, Handles: []string{"send"}})
		if err != nil {
			t.Fatal(err)
		}
		leases, err := consumer.Reserve(t.Context(), 1)
		if err != nil || string(leases[0].Job.Data) != `{"n":1}` || leases[0].Job.ID != "tick.report.946684810000" {
			t.Fatalf("Reserve = %+v, %v, want the job of the first tick", leases, err)
		}
		f.waitUntil(35 * time.Second)
		if _, err := consumer.Settle(t.Context(), []domain.Settlement{{Lease: leases[0].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 0); err != nil {
			t.Fatal(err)
		}
		f.waitUntil(45 * time.Second)
		wantLines(t, "ends", r.told("report", "fired", "skipped"), "10s +10s fired #1",
			"20s +20s skipped #1 (overlap) by tick.report.946684810000",
			"30s +30s skipped #1 (overlap) by tick.report.946684810000", "40s +40s fired #1")
	})
}

func TestRun_keepsTheOrderOfRunsThatWaitOnTwoReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var mu sync.Mutex
		running, most := 0, 0
		job := func() runner.ScheduledJob {
			job := manualJob("report", func(context.Context, domain.RunKey, int) ([]byte, error) {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(3 * time.Second)
				mu.Lock()
				running--
				mu.Unlock()
				return nil, nil
			})
			job.Policy.Overlap = domain.OverlapQueueOne
			return job
		}
		replicas := []*replica{f.start(t, "ann", job()), f.start(t, "bob", job())}
		var group sync.WaitGroup
		ends := map[domain.Event]int{}
		for i := range 40 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 700 * time.Millisecond)
				report := replicas[i%2].handTo(t, "")
				mu.Lock()
				defer mu.Unlock()
				ends[report.Event]++
			})
		}
		group.Wait()
		if most != 1 {
			t.Errorf("%d runs were under way at once, want 1", most)
		}
		if ends[domain.EventCompleted]+ends[domain.EventSkipped] != 40 || ends[domain.EventCompleted] < 7 {
			t.Errorf("ends = %v, want 40 completed or skipped, seven completed at least", ends)
		}
	})
}

// Overlap counts in the whole fleet, for runs on start of each replica, too.
func TestOverlap_ofRunsOnStartCountsInTheFleet(t *testing.T) {
	for policy, want := range map[domain.OverlapPolicy]int{domain.OverlapSkip: 1, domain.OverlapQueueOne: 2, domain.OverlapAllow: 3} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			var ran atomic.Int32
			for _, name := range []string{"ann", "bob", "cid"} {
				job := tickJob(t, "fill", time.Hour, func(context.Context, domain.RunKey, int) ([]byte, error) {
					ran.Add(1)
					time.Sleep(10 * time.Second)
					return nil, nil
				})
				job.Policy.OnStart, job.Policy.Overlap = domain.StartEachReplica, policy
				f.start(t, name, job)
			}
			f.waitUntil(time.Minute)
			if got := int(ran.Load()); got != want {
				t.Errorf("%s: %d of three replicas ran, want %d", policy, got, want)
			}
		})
	}
}
