package porttest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func queueOrderCases() []queueCase {
	return []queueCase{
		{name: "jobs come in the order of their enqueue", test: firstInFirstOut, needs: fifo},
		{name: "jobs without priority come before all that have one", test: plainBeforePrioritized, needs: fifo},
		{name: "jobs of one priority come in the order of their enqueue", test: orderWithinPriority, needs: fifo},
		{name: "a LIFO job comes first", test: lifoComesFirst, needs: fifo},
		{name: "a delayed job comes when it is due", test: delayedJobComes},
		{name: "delayed jobs come in the order in which they are due", test: delayedInOrder, needs: fifo},
		{name: "a due job joins the end of the line", test: dueJobJoinsTheEnd, needs: fifo},
		{name: "a due job keeps its priority", test: dueJobKeepsPriority, needs: fifo},
	}
}

func queueConsumeCases() []queueCase {
	return []queueCase{
		{name: "a reserve on an empty queue blocks until its context ends", test: func(q *queueFixture) { q.idle(q.consumer()) }},
		{name: "a context that has ended reserves nothing", test: endedContextReservesNothing},
		{name: "a blocked reserve wakes for a new job", test: blockedReserveWakes},
		{name: "a blocked reserve wakes for a delayed job", test: blockedReserveWakesForDelayed},
		{name: "a blocked reserve wakes for a job that another worker returns", test: blockedReserveWakesForReturned},
		{name: "a blocked reserve wakes when a rate limit ends", test: blockedReserveWakesAfterLimit},
		{name: "a blocked reserve wakes when the queue is resumed", test: blockedReserveWakesAfterResume},
		{name: "a blocked reserve wakes for a parked job that gets a handler", test: blockedReserveWakesForParked},
		{name: "a reserve gives no more than its limit", test: reserveKeepsLimit},
		{name: "every blocked worker gets a job", test: everyBlockedWorkerGetsOne},
		{name: "jobs of one queue do not reach another", test: queuesAreApart},
		{name: "workers never get the same job", test: noJobTwice},
		{name: "a reserve that gives up takes no job along", test: cancelledReserveTakesNothing},
		{name: "a consumer needs a valid queue name", test: consumerNeedsValidQueue},
	}
}

// comes checks that exactly these jobs are leased, in this order.
func (q *queueFixture) comes(c ports.Consumer, want ...domain.JobID) {
	q.Helper()
	if diff := cmp.Diff(want, leaseIDs(q.lease(c, len(want)))); diff != "" {
		q.Fatalf("leased jobs (-want +got):\n%s", diff)
	}
}

func firstInFirstOut(q *queueFixture) {
	var want []domain.JobID
	for range 4 {
		want = append(want, q.accept(newJobs(5)...)...)
	}
	q.comes(q.consumer(), want...)
}

func (q *queueFixture) acceptOne(options domain.JobOptions) domain.JobID {
	q.Helper()
	return q.accept(newJob(options))[0]
}

func plainBeforePrioritized(q *queueFixture) {
	last := q.acceptOne(domain.JobOptions{Priority: domain.MaxPriority})
	third := q.acceptOne(domain.JobOptions{Priority: 2})
	second := q.acceptOne(domain.JobOptions{Priority: 1})
	first := q.acceptOne(domain.JobOptions{})
	q.comes(q.consumer(), first, second, third, last)
}

func orderWithinPriority(q *queueFixture) {
	want := make([]domain.JobID, 0, 12)
	for range 12 {
		want = append(want, q.acceptOne(domain.JobOptions{Priority: 5}))
	}
	q.comes(q.consumer(), want...)
}

func lifoComesFirst(q *queueFixture) {
	third := q.acceptOne(domain.JobOptions{})
	second := q.acceptOne(domain.JobOptions{LIFO: true})
	first := q.acceptOne(domain.JobOptions{LIFO: true})
	q.comes(q.consumer(), first, second, third)
}

func delayedJobComes(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{Delay: q.unit()})
	q.inState(id, domain.StateDelayed)
	c := q.consumer()
	q.idle(c)
	q.pass(q.unit())
	q.comes(c, id)
}

func delayedInOrder(q *queueFixture) {
	third := q.acceptOne(domain.JobOptions{Delay: 3 * q.unit()})
	first := q.acceptOne(domain.JobOptions{Delay: q.unit()})
	second := q.acceptOne(domain.JobOptions{Delay: 2 * q.unit()})
	q.pass(3 * q.unit())
	q.comes(q.consumer(), first, second, third)
}

func dueJobJoinsTheEnd(q *queueFixture) {
	second := q.acceptOne(domain.JobOptions{Delay: q.unit()})
	first := q.acceptOne(domain.JobOptions{})
	q.pass(q.unit())
	q.comes(q.consumer(), first, second)
}

func dueJobKeepsPriority(q *queueFixture) {
	second := q.acceptOne(domain.JobOptions{Priority: 2})
	first := q.acceptOne(domain.JobOptions{Delay: q.unit(), Priority: 1})
	q.pass(q.unit())
	q.comes(q.consumer(), first, second)
}

func endedContextReservesNothing(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	ctx, cancel := context.WithCancel(q.Context())
	cancel()
	c := q.consumer()
	if leases, err := c.Reserve(ctx, 1); !errors.Is(err, context.Canceled) || len(leases) != 0 {
		q.Fatalf("Reserve(ended ctx) = %v, %v, want none and %v", leaseIDs(leases), err, context.Canceled)
	}
	q.comes(c, id)
}

// blocked starts a Reserve on a queue that has nothing to give and returns a
// function that waits for the job it gets.
func (q *queueFixture) blocked(c ports.Consumer) func() domain.Lease {
	q.Helper()
	ctx, cancel := context.WithTimeout(q.Context(), patience)
	q.Cleanup(cancel)
	var (
		leases []domain.Lease
		err    error
		group  sync.WaitGroup
	)
	group.Go(func() { leases, err = c.Reserve(ctx, 1) })
	q.pass(q.unit() / 10)
	return func() domain.Lease {
		q.Helper()
		group.Wait()
		if err != nil || len(leases) != 1 {
			q.Fatalf("blocked Reserve(1) = %v, %v, want one job", leaseIDs(leases), err)
		}
		return leases[0]
	}
}

func (q *queueFixture) same(got domain.Lease, want domain.JobID) {
	q.Helper()
	if got.Job.ID != want {
		q.Errorf("leased job %s, want %s", got.Job.ID, want)
	}
}

func blockedReserveWakes(q *queueFixture) {
	wait := q.blocked(q.consumer())
	id := q.acceptOne(domain.JobOptions{})
	q.same(wait(), id)
}

func blockedReserveWakesForDelayed(q *queueFixture) {
	late := q.acceptOne(domain.JobOptions{Delay: 50 * q.unit()})
	wait := q.blocked(q.consumer())
	id := q.acceptOne(domain.JobOptions{Delay: q.unit()})
	q.same(wait(), id)
	q.inState(late, domain.StateDelayed)
}

func blockedReserveWakesForReturned(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	lease := q.leaseOne(c)
	wait := q.blocked(q.consumer())
	q.settle(c, lease, domain.Outcome{Kind: domain.Returned})
	q.same(wait(), id)
}

func blockedReserveWakesAfterLimit(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.settle(c, q.leaseOne(c), domain.Outcome{Kind: domain.RateLimited, After: q.unit()})
	q.same(q.blocked(c)(), id)
}

func blockedReserveWakesAfterResume(q *queueFixture) {
	q.apply(domain.Operation{Kind: domain.OpPause})
	wait := q.blocked(q.consumer())
	id := q.acceptOne(domain.JobOptions{})
	q.apply(domain.Operation{Kind: domain.OpResume})
	q.same(wait(), id)
}

func blockedReserveWakesForParked(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.settle(c, q.leaseOne(c), domain.Outcome{Kind: domain.Parked, After: time.Hour})
	wait := q.blocked(c)
	q.consumer(jobName)
	q.same(wait(), id)
}

func reserveKeepsLimit(q *queueFixture) {
	q.accept(newJobs(10)...)
	c := q.consumer()
	leases, err := c.Reserve(q.Context(), 4)
	if err != nil || len(leases) < 1 || len(leases) > 4 {
		q.Fatalf("Reserve(4) = %d leases, %v, want one to four", len(leases), err)
	}
	if leases[0].For <= 0 || leases[0].Token == "" {
		q.Errorf("lease lasts %s with token %q, want a time and a token", leases[0].For, leases[0].Token)
	}
	q.lease(c, 10-len(leases))
	q.idle(c)
}

func everyBlockedWorkerGetsOne(q *queueFixture) {
	var waits []func() domain.Lease
	for range 4 {
		waits = append(waits, q.blocked(q.consumer()))
	}
	want := q.accept(newJobs(4)...)
	var got []domain.JobID
	for _, wait := range waits {
		got = append(got, wait().Job.ID)
	}
	if diff := cmp.Diff(sortedIDs(want), sortedIDs(got)); diff != "" {
		q.Errorf("jobs of the workers (-want +got):\n%s", diff)
	}
}

func queuesAreApart(q *queueFixture) {
	q.acceptOne(domain.JobOptions{})
	q.idle(q.consumerOf(otherQueue))
}

func noJobTwice(q *queueFixture) {
	const jobs, workers = 200, 4
	var (
		mu    sync.Mutex
		seen  = map[domain.JobID]int{}
		group sync.WaitGroup
	)
	ctx, cancel := context.WithTimeout(q.Context(), patience)
	defer cancel()
	for range workers {
		c := q.consumer()
		group.Go(func() {
			for {
				leases, err := c.Reserve(ctx, 7)
				if err != nil {
					return
				}
				settlements := make([]domain.Settlement, 0, len(leases))
				for i := range leases {
					settlements = append(settlements, domain.Settlement{Lease: leases[i].Ref(), Outcome: completed()})
				}
				if _, err := c.Settle(ctx, settlements, 0); err != nil {
					q.Errorf("Settle = %v, want no error", err)
				}
				mu.Lock()
				for _, id := range leaseIDs(leases) {
					seen[id]++
				}
				if len(seen) == jobs {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	q.accept(newJobs(jobs)...)
	group.Wait()
	for id, times := range seen {
		if times != 1 {
			q.Errorf("job %s was leased %d times, want once", id, times)
		}
	}
	if len(seen) != jobs {
		q.Errorf("%d jobs were leased, want %d", len(seen), jobs)
	}
}

func cancelledReserveTakesNothing(q *queueFixture) {
	c := q.consumer()
	ctx, cancel := context.WithCancel(q.Context())
	var group sync.WaitGroup
	var leases []domain.Lease
	group.Go(func() { leases, _ = c.Reserve(ctx, 5) })
	q.pass(q.unit() / 10)
	cancel()
	group.Wait()
	if len(leases) != 0 {
		q.Fatalf("cancelled Reserve gave %v, want none", leaseIDs(leases))
	}
	q.comes(c, q.acceptOne(domain.JobOptions{}))
}

func consumerNeedsValidQueue(q *queueFixture) {
	if _, err := q.backend.OpenConsumer(ports.ConsumerOptions{Queue: "a:b", Worker: "w", Lease: time.Second}); !errors.Is(err, domain.ErrInvalid) {
		q.Errorf("OpenConsumer(a:b) = %v, want %v", err, domain.ErrInvalid)
	}
}

func sortedIDs(ids []domain.JobID) []domain.JobID {
	sorted := append(make([]domain.JobID, 0, len(ids)), ids...)
	slices.Sort(sorted)
	return sorted
}
