package porttest

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func queueSettleCases() []queueCase {
	return []queueCase{
		{name: "a completed job keeps its result", test: completedKeepsResult},
		{name: "a failed job keeps its reason and stack", test: failedKeepsReason},
		{name: "a retried job comes back after its wait with the attempt charged", test: retryCharges},
		{name: "a job retried without a wait joins the end of the line", test: retryAtOnceJoinsEnd, needs: fifo},
		{name: "a snoozed job comes back after its wait uncharged", test: snoozeDoesNotCharge},
		{name: "a returned job comes first and uncharged", test: returnedComesFirst},
		{name: "a returned job comes first among its priority", test: returnedKeepsPriority, needs: fifo},
		{name: "a rate limit returns the job and holds the queue", test: rateLimitHolds},
		{name: "a parked job is listed and comes back after its wait", test: parkedComesBack},
		{name: "a parked job comes when a worker with its handler opens", test: parkedIsPromoted},
		{name: "an unknown outcome writes nothing and keeps the lease", test: unsupportedOutcome},
		{name: "settlements of a batch succeed or fail each by itself", test: settlementsAreApart},
		{name: "a settled lease cannot be settled again", test: settledIsSettled},
		{name: "a settle leases the next jobs in the same step", test: settleLeasesNext},
		{name: "a settle without settlements leases jobs", test: emptySettleLeases},
		{name: "a settle gives no job that it has just put off", test: settleHonoursDelay},
		{name: "a settle on a paused queue leases nothing", test: settleWhilePaused},
		{name: "a context that has ended settles nothing", test: endedContextSettlesNothing},
		{name: "a job kept not at all is gone when it finishes", test: keepNoneRemoves},
		{name: "retention by count keeps the newest", test: keepLastKeepsNewest},
		{name: "retention by age drops the old when a job finishes", test: keepForDropsOld},
		{name: "retention by age drops as many at once as it says", test: perFinishBoundsWhatGoes},
		{name: "completed and failed jobs are retained apart", test: retentionIsApart},
	}
}

func completedKeepsResult(q *queueFixture) {
	q.acceptOne(domain.JobOptions{ID: "a"})
	q.finish(q.consumer())
	view := q.inState("a", domain.StateCompleted)
	if string(view.Result) != `"done"` || view.FinishedAt.IsZero() || view.StartedAt.IsZero() {
		q.Errorf("completed job has result %s, started %v, finished %v", view.Result, view.StartedAt, view.FinishedAt)
	}
}

func failedKeepsReason(q *queueFixture) {
	q.acceptOne(domain.JobOptions{ID: "a"})
	c := q.consumer()
	q.settle(c, q.leaseOne(c), failed())
	view := q.inState("a", domain.StateFailed)
	if view.Reason != "no luck" || view.Stack != "at the test" || view.FinishedAt.IsZero() {
		q.Errorf("failed job has reason %q, stack %q, finished %v", view.Reason, view.Stack, view.FinishedAt)
	}
	q.idle(c)
}

// counters checks how often the job was tried and charged.
func (q *queueFixture) counters(job *domain.Job, started, made int) {
	q.Helper()
	if job.AttemptsStarted != started || job.AttemptsMade != made {
		q.Errorf("job %s: %d attempts started, %d made, want %d and %d", job.ID, job.AttemptsStarted, job.AttemptsMade, started, made)
	}
}

func retryCharges(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{Attempts: 3})
	c := q.consumer()
	lease := q.leaseOne(c)
	q.counters(&lease.Job, 1, 0)
	q.settle(c, lease, domain.Outcome{Kind: domain.Retry, After: q.unit(), Reason: "no luck"})
	if view := q.inState(id, domain.StateDelayed); view.DueAt.IsZero() {
		q.Errorf("delayed job has no due time")
	}
	q.idle(c)
	q.pass(q.unit())
	lease = q.leaseOne(c)
	q.counters(&lease.Job, 2, 1)
}

func retryAtOnceJoinsEnd(q *queueFixture) {
	ids := q.accept(newJobs(2)...)
	c := q.consumer()
	q.settle(c, q.leaseOne(c), domain.Outcome{Kind: domain.Retry})
	q.comes(c, ids[1], ids[0])
}

func snoozeDoesNotCharge(q *queueFixture) {
	q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.settle(c, q.leaseOne(c), domain.Outcome{Kind: domain.Snoozed, After: q.unit()})
	q.idle(c)
	q.pass(q.unit())
	lease := q.leaseOne(c)
	q.counters(&lease.Job, 2, 0)
}

func returnedComesFirst(q *queueFixture) {
	ids := q.accept(newJobs(3)...)
	c := q.consumer()
	first := q.lease(c, 2)
	q.settle(c, first[0], domain.Outcome{Kind: domain.Returned})
	again := q.leaseOne(c)
	if q.features.FIFO {
		q.same(again, ids[0])
	}
	q.counters(&again.Job, 2, 0)
	if again.Token == first[0].Token {
		q.Errorf("second lease of job %s has the token of the first", again.Job.ID)
	}
}

func returnedKeepsPriority(q *queueFixture) {
	first := q.acceptOne(domain.JobOptions{Priority: 3})
	second := q.acceptOne(domain.JobOptions{Priority: 3})
	third := q.acceptOne(domain.JobOptions{Priority: 3})
	c := q.consumer()
	leases := q.lease(c, 2)
	q.settle(c, leases[1], domain.Outcome{Kind: domain.Returned})
	q.settle(c, leases[0], domain.Outcome{Kind: domain.Returned})
	urgent := q.acceptOne(domain.JobOptions{Priority: 2})
	q.comes(c, urgent, first, second, third)
}

func rateLimitHolds(q *queueFixture) {
	q.accept(newJobs(2)...)
	c := q.consumer()
	lease := q.leaseOne(c)
	q.settle(c, lease, domain.Outcome{Kind: domain.RateLimited, After: q.unit()})
	q.idle(c)
	q.pass(q.unit())
	for _, again := range q.lease(c, 2) {
		if again.Job.ID == lease.Job.ID {
			q.counters(&again.Job, 2, 0)
		}
	}
}

func park(q *queueFixture) (domain.JobID, domain.Outcome) {
	return q.acceptOne(domain.JobOptions{}), domain.Outcome{Kind: domain.Parked, After: q.unit(), Reason: "no handler for porttest.job"}
}

func parkedComesBack(q *queueFixture) {
	id, outcome := park(q)
	c := q.consumer()
	q.settle(c, q.leaseOne(c), outcome)
	q.inState(id, domain.StateParked)
	q.idle(c)
	q.pass(q.unit())
	lease := q.leaseOne(c)
	q.counters(&lease.Job, 2, 0)
	if lease.Job.Parked != 1 {
		q.Errorf("job was parked %d times, want 1", lease.Job.Parked)
	}
}

func parkedIsPromoted(q *queueFixture) {
	id, outcome := park(q)
	outcome.After = time.Hour
	c := q.consumer()
	q.settle(c, q.leaseOne(c), outcome)
	q.idle(q.consumer("porttest.other"))
	q.comes(q.consumer("porttest.other", jobName), id)
}

func unsupportedOutcome(q *queueFixture) {
	q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	lease := q.leaseOne(c)
	if status := q.trySettle(c, lease, domain.Outcome{Kind: 99}); status != domain.Unsupported {
		q.Fatalf("Settle(unknown kind) = %d, want unsupported", status)
	}
	q.settle(c, lease, completed())
}

func settlementsAreApart(q *queueFixture) {
	q.accept(newJobs(3)...)
	c := q.consumer()
	leases := q.lease(c, 3)
	forged := leases[1].Ref()
	forged.Token += "x"
	reply := q.settleAll(c, 0,
		domain.Settlement{Lease: leases[0].Ref(), Outcome: completed()},
		domain.Settlement{Lease: forged, Outcome: completed()},
		domain.Settlement{Lease: domain.LeaseRef{ID: "nobody", Token: "x"}, Outcome: failed()},
		domain.Settlement{Lease: leases[2].Ref(), Outcome: failed()},
		domain.Settlement{Lease: leases[2].Ref(), Outcome: completed()},
	)
	want := []domain.SettleStatus{domain.Settled, domain.LeaseLost, domain.LeaseLost, domain.Settled, domain.LeaseLost}
	if diff := cmp.Diff(want, reply.Statuses); diff != "" {
		q.Errorf("statuses (-want +got):\n%s", diff)
	}
	q.inState(leases[1].Job.ID, domain.StateActive)
	q.inState(leases[2].Job.ID, domain.StateFailed)
}

func settledIsSettled(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	old := q.leaseOne(c)
	q.settle(c, old, domain.Outcome{Kind: domain.Returned})
	if status := q.trySettle(c, old, completed()); status != domain.LeaseLost {
		q.Errorf("second Settle = %d, want lease lost", status)
	}
	current := q.leaseOne(c)
	if status := q.trySettle(c, old, failed()); status != domain.LeaseLost {
		q.Errorf("Settle with the old token = %d, want lease lost", status)
	}
	q.inState(id, domain.StateActive)
	q.settle(c, current, completed())
}

func settleLeasesNext(q *queueFixture) {
	ids := q.accept(newJobs(4)...)
	c := q.consumer()
	lease := q.leaseOne(c)
	reply := q.settleAll(c, 2, domain.Settlement{Lease: lease.Ref(), Outcome: completed()})
	if len(reply.Leases) != 2 {
		q.Fatalf("Settle(limit 2) leased %d jobs, want 2", len(reply.Leases))
	}
	if diff := cmp.Diff(ids[1:3], leaseIDs(reply.Leases)); diff != "" && q.features.FIFO {
		q.Errorf("leased jobs (-want +got):\n%s", diff)
	}
	for _, next := range reply.Leases {
		q.settle(c, next, completed())
	}
}

func emptySettleLeases(q *queueFixture) {
	c := q.consumer()
	if reply := q.settleAll(c, 5); len(reply.Leases) != 0 {
		q.Fatalf("Settle on an empty queue leased %d jobs", len(reply.Leases))
	}
	q.accept(newJobs(3)...)
	if reply := q.settleAll(c, 5); len(reply.Leases) != 3 {
		q.Errorf("Settle(nothing, limit 5) leased %d jobs, want 3", len(reply.Leases))
	}
}

func settleHonoursDelay(q *queueFixture) {
	q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	settlement := domain.Settlement{Lease: lease(q, c), Outcome: domain.Outcome{Kind: domain.Retry, After: q.unit()}}
	if reply := q.settleAll(c, 1, settlement); len(reply.Leases) != 0 {
		q.Errorf("Settle leased %v, want nothing before the wait is over", leaseIDs(reply.Leases))
	}
}

func lease(q *queueFixture, c ports.Consumer) domain.LeaseRef {
	q.Helper()
	next := q.leaseOne(c)
	return next.Ref()
}

func settleWhilePaused(q *queueFixture) {
	q.accept(newJobs(2)...)
	c := q.consumer()
	ref := lease(q, c)
	q.apply(domain.Operation{Kind: domain.OpPause})
	reply := q.settleAll(c, 1, domain.Settlement{Lease: ref, Outcome: completed()})
	if reply.Statuses[0] != domain.Settled || len(reply.Leases) != 0 {
		q.Errorf("Settle while paused = status %d, %d leases, want settled and none", reply.Statuses[0], len(reply.Leases))
	}
}

func endedContextSettlesNothing(q *queueFixture) {
	q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	next := q.leaseOne(c)
	ctx, cancel := context.WithCancel(q.Context())
	cancel()
	if _, err := c.Settle(ctx, []domain.Settlement{{Lease: next.Ref(), Outcome: completed()}}, 1); !errors.Is(err, context.Canceled) {
		q.Fatalf("Settle(ended ctx) = %v, want %v", err, context.Canceled)
	}
	q.settle(c, next, completed())
}

func keepNoneRemoves(q *queueFixture) {
	c := q.consumer()
	for _, outcome := range []domain.Outcome{completed(), failed()} {
		id := q.acceptOne(domain.JobOptions{KeepCompleted: domain.KeepNone(), KeepFailed: domain.KeepNone()})
		q.settle(c, q.leaseOne(c), outcome)
		q.gone(id)
	}
}

func keepLastKeepsNewest(q *queueFixture) {
	c := q.consumer()
	var ids []domain.JobID
	for range 4 {
		ids = append(ids, q.acceptOne(domain.JobOptions{KeepCompleted: domain.KeepLast(2)}))
		q.finish(c)
		q.pass(q.features.Precision)
	}
	q.gone(ids[0])
	q.gone(ids[1])
	q.inState(ids[2], domain.StateCompleted)
	q.inState(ids[3], domain.StateCompleted)
}

func keepForDropsOld(q *queueFixture) {
	c := q.consumer()
	options := domain.JobOptions{KeepFailed: domain.KeepFor(2 * time.Second)}
	old := q.acceptOne(options)
	q.settle(c, q.leaseOne(c), failed())
	q.inState(old, domain.StateFailed)
	q.pass(2 * time.Second)
	young := q.acceptOne(options)
	q.settle(c, q.leaseOne(c), failed())
	q.gone(old)
	q.inState(young, domain.StateFailed)
}

func perFinishBoundsWhatGoes(q *queueFixture) {
	c := q.consumer()
	options := domain.JobOptions{KeepCompleted: domain.Retention{Limited: true, Age: 2 * time.Second, PerFinish: 2}}
	for range 3 {
		q.acceptOne(options)
		q.finish(c)
	}
	q.pass(2 * time.Second)
	for range 2 { // two of the old ones go, and then the last
		q.acceptOne(options)
		q.finish(c)
		q.counts(map[domain.State]int{domain.StateCompleted: 2})
	}
}

func retentionIsApart(q *queueFixture) {
	c := q.consumer()
	options := domain.JobOptions{KeepCompleted: domain.KeepLast(1), KeepFailed: domain.KeepLast(1)}
	first, second := q.acceptOne(options), q.acceptOne(options)
	q.settle(c, q.leaseOne(c), failed())
	q.settle(c, q.leaseOne(c), completed())
	for _, id := range []domain.JobID{first, second} {
		if _, found := q.job(id); !found {
			q.Errorf("job %s is gone, want it kept", id)
		}
	}
}
