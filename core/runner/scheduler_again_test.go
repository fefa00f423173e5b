package runner_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/schedule"
)

func TestScheduler_namesTheLastOfTheTicksThatItPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 10*time.Second, takes(0))
		job.Misfire = schedule.Misfire{Policy: schedule.MisfireSkip, After: time.Second}
		r := f.start(t, "ann", job)
		f.waitUntil(4 * time.Second)
		// So many ticks are passed by a step of the clock that they are decided
		// as one range.
		f.step(3000 * 10 * time.Second)
		f.waitUntil(6 * time.Second)
		if got := r.told("report", "started", "skipped"); len(got) != 1 {
			t.Fatalf("%d decisions, want the missed ticks skipped together", len(got))
		}
		if got, want := r.Jobs()["report"].LastTick, f.origin.Add(30_000*time.Second); !got.Equal(want) {
			t.Errorf("LastTick = %s, want the last of the range, %s", got.Sub(f.origin), want.Sub(f.origin))
		}
	})
}

// slowClaims is a ledger whose first claims fail after a while.
type slowClaims struct {
	*reachableLedger

	left int
	wait time.Duration
}

// Claim implements [ports.Ledger].
func (l *slowClaims) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	if l.left--; l.left >= 0 {
		time.Sleep(l.wait)
		return nil, ports.ErrUnavailable
	}
	return l.reachableLedger.Claim(ctx, intents)
}

// While a claim gets no answer the job is due again, from the cursor that the
// claim was to move.
func TestScheduler_claimsFromTheOldestCursorOfAJobThatIsDueTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ledger := &slowClaims{reachableLedger: f.ledger, left: 1, wait: 2500 * time.Millisecond}
		job := tickJob(t, "report", time.Second, takes(0))
		job.Policy.Overlap = domain.OverlapAllow
		job.Misfire = schedule.Misfire{Policy: schedule.MisfireAll}
		r := f.replicaOn(t, "ann", ledger, job)
		r.mustStart(t)
		f.waitUntil(4500 * time.Millisecond)
		wantLines(t, "runs", r.told("report", "claimed"),
			"3.6s +1s claimed late 2.6s", "3.6s +2s claimed late 1.6s", "3.6s +3s claimed late 600ms", "4s +4s claimed")
		if n := f.log.count("cursor went back"); n > 0 {
			t.Errorf("%d times a cursor is said to have gone back, want none", n)
		}
	})
}
