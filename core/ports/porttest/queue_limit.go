package porttest

import (
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Limiter checks a Limiter on the queues of its backend, with its Consumers.
func Limiter(t *testing.T, harness QueueHarness) { harness.run(t, queueLimitCases()) }

func queueLimitCases() []queueCase {
	return []queueCase{
		{name: "a queue has no limits at first", test: noLimitsAtFirst},
		{name: "a limit is there before the queue", test: limitBeforeQueue},
		{name: "a concurrency bounds all workers together", test: concurrencyBoundsAll},
		{name: "a job that ends makes room under a concurrency", test: endMakesRoom},
		{name: "a blocked worker gets the room that another one makes", test: roomWakesBlocked},
		{name: "a concurrency is raised and ended while jobs run", test: concurrencyChanges},
		{name: "a rate bounds the starts of a window", test: rateBoundsWindow},
		{name: "a window begins after the one before", test: windowsFollow},
		{name: "a rate is changed and ended while jobs run", test: rateChanges},
		{name: "a hold lets no job start for its time", test: holdLasts},
		{name: "a hold is ended, and replaced", test: holdEnds},
		{name: "work under way survives a hold", test: holdLeavesActive},
		{name: "limits of one queue are not those of another", test: limitsAreApart},
		{name: "limits that make no sense are refused", test: senselessLimits},
	}
}

// limits checks what the queue says of its limits. How long it is held is only
// checked to be up to what is wanted, and more than nothing if that is.
func (q *queueFixture) limits(want domain.QueueLimits) {
	q.Helper()
	got, err := q.backend.Limiter.Limits(q.Context(), testQueue)
	if err != nil {
		q.Fatalf("Limits(%s) = %v, want no error", testQueue, err)
	}
	if (want.HeldFor > 0) != (got.HeldFor > 0) || got.HeldFor > want.HeldFor {
		q.Errorf("queue is held for %s, want up to %s", got.HeldFor, want.HeldFor)
	}
	if got.HeldFor = want.HeldFor; got != want {
		q.Errorf("Limits(%s) = %+v, want %+v", testQueue, got, want)
	}
}

func (q *queueFixture) limitConcurrency(n int) {
	q.Helper()
	if err := q.backend.Limiter.LimitConcurrency(q.Context(), testQueue, n); err != nil {
		q.Fatalf("LimitConcurrency(%d) = %v, want no error", n, err)
	}
}

func (q *queueFixture) limitRate(most int, per time.Duration) {
	q.Helper()
	if err := q.backend.Limiter.LimitRate(q.Context(), testQueue, domain.Rate{Max: most, Per: per}); err != nil {
		q.Fatalf("LimitRate(%d in %s) = %v, want no error", most, per, err)
	}
}

func (q *queueFixture) hold(d time.Duration) {
	q.Helper()
	if err := q.backend.Limiter.Hold(q.Context(), testQueue, d); err != nil {
		q.Fatalf("Hold(%s) = %v, want no error", d, err)
	}
}

func noLimitsAtFirst(q *queueFixture) {
	q.limits(domain.QueueLimits{})
	q.accept(newJobs(3)...)
	q.lease(q.consumer(), 3)
	q.limits(domain.QueueLimits{Active: 3})
}

func limitBeforeQueue(q *queueFixture) {
	q.limitConcurrency(1)
	q.limitRate(5, time.Hour)
	q.limits(domain.QueueLimits{Concurrency: 1, Rate: domain.Rate{Max: 5, Per: time.Hour}})
	q.accept(newJobs(2)...)
	c := q.consumer()
	q.lease(c, 1)
	q.idle(c)
}

func concurrencyBoundsAll(q *queueFixture) {
	q.limitConcurrency(3)
	q.accept(newJobs(6)...)
	a, b := q.consumer(), q.consumer()
	first := q.lease(a, 2)
	q.lease(b, 1)
	q.idle(a)
	q.idle(b)
	q.limits(domain.QueueLimits{Concurrency: 3, Active: 3})
	reply := q.settleAll(a, 5, domain.Settlement{Lease: first[0].Ref(), Outcome: completed()})
	if len(reply.Leases) != 1 {
		q.Errorf("leased %d jobs with the end of one, want 1: there is no more room", len(reply.Leases))
	}
	q.idle(b)
}

func endMakesRoom(q *queueFixture) {
	q.limitConcurrency(1)
	q.accept(newJobs(6)...)
	c := q.consumer()
	for _, outcome := range []domain.Outcome{
		completed(), failed(), {Kind: domain.Retry, After: time.Hour}, {Kind: domain.Snoozed, After: time.Hour},
	} {
		lease := q.leaseOne(c)
		q.idle(c)
		q.settle(c, lease, outcome)
	}
	q.leaseOne(c)
	q.counts(map[domain.State]int{
		domain.StateCompleted: 1, domain.StateFailed: 1, domain.StateDelayed: 2, domain.StateActive: 1, domain.StateWait: 1,
	})
}

func roomWakesBlocked(q *queueFixture) {
	q.limitConcurrency(1)
	ids := q.accept(newJobs(2)...)
	a, b := q.consumer(), q.consumer()
	held := q.leaseOne(a)
	wait := q.blocked(b)
	q.settle(a, held, completed())
	q.same(wait(), ids[1])
}

func concurrencyChanges(q *queueFixture) {
	q.limitConcurrency(1)
	q.accept(newJobs(6)...)
	c := q.consumer()
	q.lease(c, 1)
	wait := q.blocked(c)
	q.limitConcurrency(2)
	wait()
	q.idle(c)
	q.limitConcurrency(1)
	q.limits(domain.QueueLimits{Concurrency: 1, Active: 2})
	q.idle(c)
	q.limitConcurrency(0)
	q.lease(c, 4)
	q.limits(domain.QueueLimits{Active: 6})
}

func rateBoundsWindow(q *queueFixture) {
	q.limitRate(3, time.Hour)
	q.accept(newJobs(6)...)
	a, b := q.consumer(), q.consumer()
	leases := q.lease(a, 2)
	q.limits(domain.QueueLimits{Rate: domain.Rate{Max: 3, Per: time.Hour}, Active: 2})
	reply := q.settleAll(a, 5, domain.Settlement{Lease: leases[0].Ref(), Outcome: completed()})
	if len(reply.Leases) != 1 {
		q.Errorf("leased %d jobs with the end of one, want the 1 that is left of the window", len(reply.Leases))
	}
	q.idle(a)
	q.idle(b)
	q.limits(domain.QueueLimits{Rate: domain.Rate{Max: 3, Per: time.Hour}, Active: 2, HeldFor: time.Hour})
}

func windowsFollow(q *queueFixture) {
	q.limitRate(2, q.unit())
	q.accept(newJobs(6)...)
	began := time.Now()
	q.lease(q.consumer(), 6)
	if took := time.Since(began); took < 2*q.unit()-q.features.Precision {
		q.Errorf("6 jobs started within %s, want 2 in each %s", took, q.unit())
	}
}

func rateChanges(q *queueFixture) {
	q.limitRate(1, time.Hour)
	q.accept(newJobs(6)...)
	c := q.consumer()
	q.lease(c, 1)
	q.idle(c)
	q.limitRate(3, time.Hour)
	q.lease(c, 2)
	q.idle(c)
	q.limitRate(0, 0)
	q.lease(c, 3)
	q.limits(domain.QueueLimits{Active: 6})
}

func holdLasts(q *queueFixture) {
	q.accept(newJobs(1)...)
	c := q.consumer()
	began := time.Now()
	q.hold(2 * q.unit())
	q.leaseOne(c)
	if took := time.Since(began); took < 2*q.unit()-q.features.Precision {
		q.Errorf("a job started after %s, want none for %s", took, 2*q.unit())
	}
	q.limits(domain.QueueLimits{Active: 1})
}

func holdEnds(q *queueFixture) {
	q.accept(newJobs(2)...)
	c := q.consumer()
	q.hold(time.Hour)
	q.limits(domain.QueueLimits{HeldFor: time.Hour})
	q.idle(c)
	q.hold(0)
	q.limits(domain.QueueLimits{})
	q.leaseOne(c)
	q.hold(time.Hour)
	q.hold(time.Minute)
	q.limits(domain.QueueLimits{Active: 1, HeldFor: time.Minute})
	q.hold(q.unit())
	q.leaseOne(c)
}

func holdLeavesActive(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	held := q.leaseOne(c)
	q.hold(time.Hour)
	if lost := q.extend(c, held.Ref()); len(lost) != 0 {
		q.Errorf("Extend while the queue is held lost %v", lost)
	}
	q.settle(c, held, completed())
	q.inState(id, domain.StateCompleted)
}

func limitsAreApart(q *queueFixture) {
	q.limitConcurrency(1)
	q.limitRate(1, time.Hour)
	q.hold(time.Hour)
	jobs := newJobs(3)
	for i := range jobs {
		jobs[i].Queue = otherQueue
	}
	q.accept(jobs...)
	q.lease(q.consumerOf(otherQueue), 3)
}

func senselessLimits(q *queueFixture) {
	limiter, ctx := q.backend.Limiter, q.Context()
	for what, err := range map[string]error{
		"a negative concurrency":    limiter.LimitConcurrency(ctx, testQueue, -1),
		"a rate without a window":   limiter.LimitRate(ctx, testQueue, domain.Rate{Max: 1}),
		"a rate of no jobs":         limiter.LimitRate(ctx, testQueue, domain.Rate{Per: time.Second}),
		"a negative hold":           limiter.Hold(ctx, testQueue, -time.Second),
		"a queue that has no name":  limiter.Hold(ctx, "", time.Second),
		"a queue with a bad name":   limiter.LimitConcurrency(ctx, "a:b", 1),
		"a rate of a bad name":      limiter.LimitRate(ctx, "a:b", domain.Rate{Max: 1, Per: time.Second}),
		"the limits of a bad name":  second(limiter.Limits(ctx, "a:b")),
		"a hold longer than a year": limiter.Hold(ctx, testQueue, 9000*time.Hour),
	} {
		if !errors.Is(err, domain.ErrInvalid) {
			q.Errorf("%s = %v, want %v", what, err, domain.ErrInvalid)
		}
	}
	q.limits(domain.QueueLimits{})
}

func second[T any](_ T, err error) error { return err }
