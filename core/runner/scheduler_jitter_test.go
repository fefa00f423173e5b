package runner_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// jitterOf is the jitter of the job's tick at the given time of the test.
func (f *fleet) jitterOf(job string, at, most time.Duration) time.Duration {
	return domain.Jitter(domain.DefaultNamespace, job, f.origin.Add(at), most)
}

func TestRun_waitsForItsJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		const most = 8 * time.Second
		job := tickJob(t, "report", 10*time.Second, takes(0))
		job.Policy.MaxJitter = most
		r := f.start(t, "ann", job)
		f.waitUntil(49 * time.Second)
		var want []string
		for at := 10 * time.Second; at < 41*time.Second; at += 10 * time.Second {
			want = append(want, fmt.Sprintf("%s +%s started #1", at+f.jitterOf("report", at, most), at))
		}
		wantLines(t, "starts", r.told("report", "started"), want...)
	})
}

func TestRun_isSkippedWhileAnotherWaitsForItsJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		const most = time.Minute
		job := tickJob(t, "report", time.Second, takes(0))
		job.Policy.MaxJitter = most
		r := f.start(t, "ann", job)
		f.waitUntil(5 * time.Minute)
		pending, free := 0, time.Duration(0)
		for _, record := range r.book.all() {
			at := record.Run.Planned().Sub(f.origin)
			switch record.Event { //nolint:exhaustive // the other events have no part in it
			case domain.EventJittered:
				if pending++; at < free {
					t.Errorf("%s waits while another waits until %s", record.Run, free)
				}
				free = at + f.jitterOf("report", at, most)
			case domain.EventSkipped:
				if record.Reason == domain.ReasonJitter && at > free {
					t.Errorf("%s was skipped although none waits since %s", record.Run, free)
				}
			}
		}
		if pending < 5 {
			t.Errorf("%d runs waited, want several", pending)
		}
		total := r.Counts()[domain.EventSkipped] + r.Counts()[domain.EventClaimed]
		if total != 299 && total != 300 {
			t.Errorf("%d ticks were decided, want 300", total)
		}
	})
}

func TestRun_hasOneJitterPendingAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", time.Second, takes(0))
		job.Policy.MaxJitter = time.Minute
		job.Misfire.Policy = 2
		r := f.start(t, "ann", job)
		f.ledger.cut("claim")
		f.waitUntil(20500 * time.Millisecond)
		f.ledger.heal()
		f.waitUntil(23 * time.Second)
		if got := r.told("report", "jittered"); len(got) > 2 {
			t.Errorf("waiting = %q, want one at a time", got)
		}
	})
}

func TestRun_waitsUntilTheSameMomentOnAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		const most = 9 * time.Second
		job := func() runner.ScheduledJob {
			job := tickJob(t, "report", 10*time.Second, takes(0))
			job.Policy.MaxJitter = most
			return job
		}
		due := 10*time.Second + f.jitterOf("report", 10*time.Second, most)
		ann := f.start(t, "ann", job())
		f.waitUntil(10010 * time.Millisecond)
		if due < 11*time.Second {
			t.Fatalf("the jitter ends at %s, too early for this test", due)
		}
		bob := f.start(t, "bob", job())
		ann.stop()
		f.waitUntil(19500 * time.Millisecond)
		wantLines(t, "the first replica's run", ann.told("report", "+10s"), "10s +10s claimed",
			fmt.Sprintf("10s +10s jittered wait %s", due-10*time.Second), "10.01s +10s released (worker is shutting down)")
		got := bob.told("report", "started")
		if len(got) != 1 || !strings.HasPrefix(got[0], due.String()+" +10s started") {
			t.Errorf("the second replica's run = %q, want a start at %s", got, due)
		}
	})
}

func TestJitter_thatHasPassedSkipsNoLateTick(t *testing.T) {
	for name, c := range map[string]struct {
		policy  domain.OverlapPolicy
		misfire schedule.MisfirePolicy
		away    time.Duration
	}{
		"late ticks just run":  {domain.OverlapAllow, schedule.MisfireOnce, 5 * time.Second},
		"missed ticks all run": {domain.OverlapAllow, schedule.MisfireAll, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				job := tickJob(t, "report", time.Second, takes(0))
				job.Policy.MaxJitter, job.Policy.Overlap, job.Misfire.Policy = 10*time.Millisecond, c.policy, c.misfire
				ann := f.start(t, "ann", job)
				f.ledger.cut("claim")
				f.waitUntil(c.away + 500*time.Millisecond)
				f.ledger.heal()
				f.waitUntil(c.away + 5500*time.Millisecond)
				if skipped := ann.told("report", "skipped"); len(skipped) > 0 {
					t.Errorf("skipped: %q, want none", skipped)
				}
			})
		})
	}
}
