package runner_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// tally counts the started records of the replicas by run.
func tally(t *testing.T, replicas ...*replica) map[domain.RunKey]int {
	t.Helper()
	time.Sleep(200 * time.Millisecond)
	runs := map[domain.RunKey]int{}
	for _, r := range replicas {
		for _, record := range r.book.all() {
			if record.Event == domain.EventStarted && record.Attempt == 1 {
				runs[record.Run]++
			}
		}
	}
	return runs
}

// wantEachOnce checks that the job ran once for each tick up to the last.
func wantEachOnce(t *testing.T, f *fleet, runs map[domain.RunKey]int, job string, interval, last time.Duration) {
	t.Helper()
	for at := interval; at <= last; at += interval {
		key := domain.TickKey(job, f.origin.Add(at))
		if runs[key] != 1 {
			t.Errorf("%s has run %d times, want once", key, runs[key])
		}
		delete(runs, key)
	}
	for key, n := range runs {
		if key.Job == job {
			t.Errorf("%s has run %d times, want never", key, n)
		}
	}
}

func TestFleet_runsEachTickOnOneReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		jobs := func() (jobs []runner.ScheduledJob) {
			for i := range 20 {
				jobs = append(jobs, tickJob(t, fmt.Sprint("job-", i), time.Second, takes(0)))
			}
			return jobs
		}
		ann, bob := f.start(t, "ann", jobs()...), f.start(t, "bob", jobs()...)
		f.waitUntil(60500 * time.Millisecond)
		runs := tally(t, ann, bob)
		for i := range 20 {
			wantEachOnce(t, f, runs, fmt.Sprint("job-", i), time.Second, time.Minute)
		}
		if len(ann.book.all()) == 0 || len(bob.book.all()) == 0 {
			t.Error("one replica did nothing, want the jobs spread")
		}
	})
}

func TestFleet_waitsForThePreferredReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		names := make([]string, 30)
		jobs := func() (jobs []runner.ScheduledJob) {
			for i := range names {
				names[i] = fmt.Sprint("job-", i)
				jobs = append(jobs, tickJob(t, names[i], 10*time.Second, takes(0)))
			}
			return jobs
		}
		ann, bob := f.start(t, "ann", jobs()...), f.start(t, "bob", jobs()...)
		f.waitUntil(15 * time.Second)
		for _, name := range names {
			owner := ann
			if domain.Hash(name, "bob") > domain.Hash(name, "ann") {
				owner = bob
			}
			if got := owner.written(name, "claimed"); len(got) != 1 || strings.Contains(got[0], "late") {
				t.Errorf("the preferred replica of %s claimed %q, want the tick in time", name, got)
			}
		}
		// The others step in 50 ms later when the preferred one is gone.
		bob.stop()
		f.waitUntil(25 * time.Second)
		for _, name := range names {
			if domain.Hash(name, "bob") < domain.Hash(name, "ann") {
				continue
			}
			if got := ann.written(name, "claimed"); len(got) == 0 || got[len(got)-1] != "20.05s +20s claimed late 50ms" {
				t.Errorf("ann claimed %q of %s, want the second tick after a wait of 50 ms", got, name)
			}
		}
		// Once the ledger has forgotten the dead one, nobody waits any more.
		f.waitUntil(45 * time.Second)
		for _, name := range names {
			if got := ann.written(name, "40s"); len(got) == 0 || got[0] != "40s +40s claimed" {
				t.Errorf("ann decided %q of %s, want the tick in time", got, name)
			}
		}
	})
}

func TestFleet_keepsAllTicksThroughStepsOfTheStoresClock(t *testing.T) {
	for _, step := range []time.Duration{
		time.Second, -time.Second, 7 * time.Second, -7 * time.Second,
		5 * time.Minute, -5 * time.Minute, time.Hour, -time.Hour,
	} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				job := func() runner.ScheduledJob {
					job := tickJob(t, "report", 10*time.Second, takes(0))
					job.Misfire.Cap, job.Misfire.Policy = 1000, 2 // all of them
					job.Policy.Overlap = domain.OverlapAllow
					return job
				}
				ann, bob := f.start(t, "ann", job()), f.start(t, "bob", job())
				f.waitUntil(33 * time.Second)
				f.step(step)
				// The store's time has to get beyond where it was.
				f.waitUntil(33*time.Second + max(-step, 0) + 40*time.Second)
				last := f.now().Sub(f.origin).Truncate(10 * time.Second)
				wantEachOnce(t, f, tally(t, ann, bob), "report", 10*time.Second, last)
				want := 0
				if step.Abs() >= 2*time.Second {
					want = 2
				}
				if n := f.log.count("clock was stepped"); n != want {
					t.Errorf("the step was logged %d times, want %d: once by each replica if it is 2 s or more", n, want)
				}
			})
		})
	}
}

func TestFleet_catchesUpOncePerJobAfterAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ann := f.start(t, "ann", tickJob(t, "report", time.Minute, takes(0)))
		f.waitUntil(30 * time.Second)
		f.step(time.Hour)
		f.waitUntil(40 * time.Second)
		if got := ann.told("report", "started"); len(got) != 1 {
			t.Errorf("runs = %q, want one catch-up", got)
		}
		if got := ann.told("report", "coalesced"); len(got) != 59 {
			t.Errorf("%d ticks coalesced, want 59", len(got))
		}
		if n := f.log.count("missed ticks coalesced"); n != 1 || f.log.count("coalesced count=59") != 1 {
			t.Errorf("they are told in %d lines, want one that counts them", n)
		}
	})
}
