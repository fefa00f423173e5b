package runner_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/portmock"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// reservingIn returns a consumer whose calls of Reserve are answered in turn;
// those after the last block.
func reservingIn(t *testing.T, turns ...func() ([]domain.Lease, error)) *portmock.MockConsumer {
	t.Helper()
	consumer := portmock.NewMockConsumer(gomock.NewController(t))
	consumer.EXPECT().Recover(gomock.Any()).Return(nil, nil).AnyTimes()
	turn := 0
	consumer.EXPECT().Reserve(gomock.Any(), gomock.Any()).AnyTimes().DoAndReturn(
		func(ctx context.Context, _ int) ([]domain.Lease, error) {
			if turn++; turn <= len(turns) {
				return turns[turn-1]()
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
	return consumer
}

func leases(all ...domain.Lease) func() ([]domain.Lease, error) {
	return func() ([]domain.Lease, error) { return all, nil }
}

func TestALostLeaseFreesItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := leaseOf(domain.JobOptions{}), leaseOf(domain.JobOptions{})
		second.Job.ID = "2"
		consumer := reservingIn(t, leases(first), leases(second))
		consumer.EXPECT().Extend(gomock.Any(), []domain.LeaseRef{first.Ref()}).Return([]domain.LeaseRef{first.Ref()}, nil)
		consumer.EXPECT().Settle(gomock.Any(), []domain.Settlement{{Lease: second.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 1).Return(settled, nil)
		untilLost := route(func(ctx context.Context, job *domain.Job) ([]byte, error) {
			if job.ID == first.Job.ID {
				<-ctx.Done()
			}
			return nil, ctx.Err()
		})
		d := prepare(t, handlers{"send": untilLost}, func(d *desk) {
			d.concurrency = 1
			d.ports.OpenConsumer = func(ports.ConsumerOptions) (ports.Consumer, error) { return consumer, nil }
		})
		d.start()
		pass(leaseTime)
		d.wantCounts(map[domain.Event]int{domain.EventLost: 1, domain.EventCompleted: 1})
	})
}

func TestOutageOfReserveIsPacedAnewAfterAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls []time.Duration
		began := time.Now()
		down := func() ([]domain.Lease, error) {
			calls = append(calls, time.Since(began))
			return nil, errDown
		}
		consumer := reservingIn(t, down, down, down, leases(), down, down)
		d := prepare(t, nil, func(d *desk) {
			d.ports.OpenConsumer = func(ports.ConsumerOptions) (ports.Consumer, error) { return consumer, nil }
		})
		d.start()
		pass(10 * time.Second)
		// Pauses of 100, 200 and 400 ms come before the answer.
		want := []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 800 * time.Millisecond}
		if !slices.Equal(calls, want) {
			t.Errorf("calls without an answer at %s, want them at %s", calls, want)
		}
	})
}

func TestOutageOfClaimsIsPacedAnewAfterAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 10*time.Second, takes(0)))
		f.waitUntil(9 * time.Second)
		f.ledger.cut("claim")
		f.waitUntil(18 * time.Second)
		f.ledger.heal()
		f.waitUntil(39 * time.Second)
		f.ledger.cut("claim")
		f.waitUntil(40050 * time.Millisecond)
		f.ledger.heal()
		f.waitUntil(45 * time.Second)
		started := r.told("report", "started")
		if len(started) != 4 || started[3] != "40.1s +40s started #1 late 100ms" {
			t.Errorf("runs = %q, want four, the last 100ms late", started)
		}
	})
}

// hangingRenewals is a ledger whose first renewals get no answer.
type hangingRenewals struct {
	*reachableLedger

	left int
}

// Renew implements [ports.Ledger].
func (l *hangingRenewals) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	if l.left--; l.left >= 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return l.reachableLedger.Renew(ctx, claims, lease)
}

func TestRenewalOfClaimsThatHangsDoesNotHoldUpLaterOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.replicaOn(t, "ann", &hangingRenewals{reachableLedger: f.ledger, left: 1}, manualJob("report", takes(time.Minute)))
		r.mustStart(t)
		report, err := r.Trigger(t.Context(), "report", "one")
		if err != nil || report.Event != domain.EventCompleted {
			t.Errorf("Trigger = %+v, %v, want a run that completed: its claim was renewed in time", report, err)
		}
		if n := f.log.count("claims not renewed"); n != 1 {
			t.Errorf("%d renewals without an answer are logged, want 1", n)
		}
	})
}

// After a step of the store's clock the claims have lapsed in the eyes of the
// ledger: they are renewed with the next sync, before anyone can take them over.
func TestClaimsAreRenewedAtOnceAfterAStepOfTheStoresClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", manualJob("report", takes(time.Minute)))
		go func() { _, _ = r.Trigger(t.Context(), "report", "one") }()
		f.waitUntil(7300 * time.Millisecond)
		var calls []string
		f.ledger.watch(func(call string) { calls = append(calls, call) })
		f.step(30 * time.Second)
		f.waitUntil(7900 * time.Millisecond)
		synctest.Wait()
		wantLines(t, "calls of the first beat after the step", calls, "sync", "renew", "abandoned")
		f.ledger.watch(nil)
		f.waitUntil(2 * time.Minute)
		// By the store's clock the minute took half a minute more.
		wantLines(t, "ends", r.told("report", "completed", "lost"), "1m30s manual:one completed #1")
	})
}

// The step may show first when a replica looks which ticks others have decided.
func TestClaimsAreRenewedAtOnceAfterAStepThatALookAtOthersShowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		// Their ticks lie between two beats.
		schedule, err := schedule.NewEvery(10*time.Second, 250*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		var jobs []runner.ScheduledJob
		for i := range 100 {
			jobs = append(jobs, runner.ScheduledJob{Name: fmt.Sprint("job-", i), Schedule: schedule, Handler: takes(0)})
		}
		ledger := &reachableLedger{Ledger: f.ledger.Ledger}
		ann := f.replicaOn(t, "ann", ledger, append(slices.Clone(jobs), manualJob("report", takes(time.Minute)))...)
		ann.mustStart(t)
		f.start(t, "bob", jobs...)
		go func() { _, _ = ann.Trigger(t.Context(), "report", "one") }()
		f.waitUntil(10270 * time.Millisecond)
		var mu sync.Mutex
		var made []string
		ledger.watch(func(call string) {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, call)
		})
		takeCalls := func() (calls []string) {
			mu.Lock()
			defer mu.Unlock()
			calls, made = made, nil
			return calls
		}
		f.step(30 * time.Second)
		f.waitUntil(10400 * time.Millisecond)
		synctest.Wait()
		calls := takeCalls()
		if len(calls) == 0 || calls[0] != "sync" || f.log.count("clock was stepped") == 0 {
			t.Fatalf("calls before the beat = %q, want a look at others' ticks to show the step", calls)
		}
		f.waitUntil(10600 * time.Millisecond)
		synctest.Wait()
		calls = slices.DeleteFunc(takeCalls(), func(call string) bool { return call == "claim" || call == "finish" })
		wantLines(t, "calls of the first beat after the step", calls, "sync", "renew", "abandoned")
		ledger.watch(nil)
	})
}

func TestOnlyTheFirstAttemptOfARunIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := tickJob(t, "report", 10*time.Second, fails("boom"))
		job.Policy.Retries = domain.Retries{Count: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Second}}
		r := f.start(t, "ann", job)
		f.waitUntil(9 * time.Second)
		f.ledger.cut("claim")
		f.waitUntil(12 * time.Second)
		f.ledger.heal()
		f.waitUntil(19 * time.Second)
		var late []bool
		for _, record := range r.book.all() {
			if record.Event == domain.EventStarted || record.Event == domain.EventFailed {
				late = append(late, record.Late > 0)
			}
		}
		if want := []bool{true, false, false, false}; !slices.Equal(late, want) {
			t.Errorf("late are %t of three attempts and the end, want the first alone", late)
		}
	})
}

var _ ports.Ledger = (*hangingRenewals)(nil)
