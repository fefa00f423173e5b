package porttest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
)

func queueInspectCases() []queueCase {
	return []queueCase{
		{name: "a queue that does not exist yet is empty", test: unknownQueueIsEmpty},
		{name: "jobs are counted by state", test: countsByState},
		{name: "the oldest waiting job is told", test: oldestWaiting},
		{name: "waiting jobs are listed in the order of their work", test: listInOrder, needs: fifo},
		{name: "finished jobs are listed newest first", test: finishedNewestFirst},
		{name: "a listing is paged", test: listIsPaged},
		{name: "one job is found by its id whatever its state", test: findByID},
		{name: "an id that is not there selects nothing", test: func(q *queueFixture) { q.gone("nobody") }},
		{name: "a listing needs an id or a state", test: listNeedsState},
	}
}

func queueOperateCases() []queueCase {
	return []queueCase{
		{name: "a paused queue gives no jobs until it is resumed", test: pauseHoldsJobs},
		{name: "a queue can be paused before it has jobs", test: pauseEmptyQueue},
		{name: "work under way survives a pause", test: pauseLeavesActive},
		{name: "jobs are removed by id, active ones excepted", test: removeByID},
		{name: "failed jobs are retried by id", test: retryByID},
		{name: "failed jobs are retried all", test: retryAll},
		{name: "delayed and parked jobs are promoted by id", test: promoteByID},
		{name: "delayed and parked jobs are promoted all", test: promoteAll},
		{name: "a drain removes what waits", test: drainWaiting},
		{name: "a drain removes delayed jobs if asked", test: drainDelayed},
		{name: "a clean removes finished jobs of an age", test: cleanByAge},
		{name: "a limit bounds an operation", test: limitBounds},
		{name: "a dry run changes nothing", test: dryRunChangesNothing},
		{name: "an unknown operation is refused", test: unknownOperation},
	}
}

// counts checks how many jobs the queue has in each state.
func (q *queueFixture) counts(want map[domain.State]int) domain.QueueCounts {
	q.Helper()
	counts, err := q.backend.Inspector.Counts(q.Context(), testQueue)
	if err != nil || len(counts) != 1 || counts[0].Queue != testQueue {
		q.Fatalf("Counts(%s) = %v, %v, want its counts", testQueue, counts, err)
	}
	got := map[domain.State]int{}
	for state, n := range counts[0].Jobs {
		if n != 0 {
			got[state] = n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		q.Fatalf("counts (-want +got):\n%s", diff)
	}
	return counts[0]
}

func (q *queueFixture) list(filter domain.JobFilter) []domain.JobID {
	q.Helper()
	views, err := q.backend.Inspector.Jobs(q.Context(), testQueue, filter)
	if err != nil {
		q.Fatalf("Jobs(%+v) = %v, want no error", filter, err)
	}
	ids := make([]domain.JobID, 0, len(views))
	for i := range views {
		ids = append(ids, views[i].Job.ID)
	}
	return ids
}

func (q *queueFixture) listed(filter domain.JobFilter, want ...domain.JobID) {
	q.Helper()
	if diff := cmp.Diff(append([]domain.JobID{}, want...), q.list(filter)); diff != "" {
		q.Fatalf("Jobs(%+v) (-want +got):\n%s", filter, diff)
	}
}

func unknownQueueIsEmpty(q *queueFixture) {
	if counts := q.counts(map[domain.State]int{}); counts.Paused || !counts.OldestWaiting.IsZero() {
		q.Errorf("counts of an unknown queue = %+v, want nothing", counts)
	}
	q.listed(domain.JobFilter{State: domain.StateWait})
}

func countsByState(q *queueFixture) {
	c := q.consumer()
	q.accept(newJobs(4)...)
	leases := q.lease(c, 4)
	q.settle(c, leases[0], completed())
	q.settle(c, leases[1], failed())
	q.settle(c, leases[2], domain.Outcome{Kind: domain.Parked, After: time.Hour})
	q.accept(newJobs(2)...)
	q.acceptOne(domain.JobOptions{Priority: 4})
	q.acceptOne(domain.JobOptions{Delay: time.Hour, Priority: 4})
	q.counts(map[domain.State]int{
		domain.StateCompleted: 1, domain.StateFailed: 1, domain.StateParked: 1, domain.StateActive: 1,
		domain.StateWait: 2, domain.StatePrioritized: 1, domain.StateDelayed: 1,
	})
}

func oldestWaiting(q *queueFixture) {
	oldest := q.acceptOne(domain.JobOptions{Priority: 9})
	q.pass(q.unit())
	q.acceptOne(domain.JobOptions{})
	want := q.inState(oldest, domain.StatePrioritized).Job.CreatedAt
	got := q.counts(map[domain.State]int{domain.StateWait: 1, domain.StatePrioritized: 1}).OldestWaiting
	if off := got.Sub(want).Abs(); off > q.features.Precision {
		q.Errorf("oldest waiting since %v, want %v", got, want)
	}
}

func listInOrder(q *queueFixture) {
	a, b := q.acceptOne(domain.JobOptions{}), q.acceptOne(domain.JobOptions{})
	first := q.acceptOne(domain.JobOptions{LIFO: true})
	late, soon := q.acceptOne(domain.JobOptions{Delay: 2 * time.Hour}), q.acceptOne(domain.JobOptions{Delay: time.Hour})
	low, high := q.acceptOne(domain.JobOptions{Priority: 2}), q.acceptOne(domain.JobOptions{Priority: 1})
	q.listed(domain.JobFilter{State: domain.StateWait}, first, a, b)
	q.listed(domain.JobFilter{State: domain.StateDelayed}, soon, late)
	q.listed(domain.JobFilter{State: domain.StatePrioritized}, high, low)
}

func finishedNewestFirst(q *queueFixture) {
	c := q.consumer()
	q.accept(newJobs(3)...)
	var finished []domain.JobID
	for range 3 {
		finished = append(finished, q.finish(c))
		q.pass(q.features.Precision)
	}
	q.listed(domain.JobFilter{State: domain.StateCompleted}, finished[2], finished[1], finished[0])
}

func listIsPaged(q *queueFixture) {
	q.accept(newJobs(120)...)
	all := q.list(domain.JobFilter{State: domain.StateWait, Limit: 200})
	if len(all) != 120 {
		q.Fatalf("Jobs(limit 200) listed %d jobs, want 120", len(all))
	}
	q.listed(domain.JobFilter{State: domain.StateWait}, all[:100]...)
	q.listed(domain.JobFilter{State: domain.StateWait, Offset: 110, Limit: 7}, all[110:117]...)
	q.listed(domain.JobFilter{State: domain.StateWait, Offset: 117, Limit: 7}, all[117:]...)
	q.listed(domain.JobFilter{State: domain.StateWait, Offset: 500})
}

func findByID(q *queueFixture) {
	q.acceptOne(domain.JobOptions{ID: "late", Delay: time.Hour})
	q.inState("late", domain.StateDelayed)
	q.acceptOne(domain.JobOptions{ID: "soon"})
	q.inState("soon", domain.StateWait)
	c := q.consumer()
	q.leaseOne(c)
	q.inState("soon", domain.StateActive)
}

func listNeedsState(q *queueFixture) {
	for _, filter := range []domain.JobFilter{{}, {State: "bogus"}} {
		if _, err := q.backend.Inspector.Jobs(q.Context(), testQueue, filter); !errors.Is(err, domain.ErrInvalid) {
			q.Errorf("Jobs(%+v) = %v, want %v", filter, err, domain.ErrInvalid)
		}
	}
}

func (q *queueFixture) paused(want bool) {
	q.Helper()
	counts, err := q.backend.Inspector.Counts(q.Context(), testQueue)
	if err != nil || counts[0].Paused != want {
		q.Fatalf("Counts = %+v, %v, want paused %v", counts, err, want)
	}
}

func pauseHoldsJobs(q *queueFixture) {
	first := q.acceptOne(domain.JobOptions{})
	q.apply(domain.Operation{Kind: domain.OpPause})
	q.paused(true)
	second := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.idle(c)
	q.apply(domain.Operation{Kind: domain.OpResume})
	q.paused(false)
	if got := leaseIDs(q.lease(c, 2)); q.features.FIFO && (got[0] != first || got[1] != second) {
		q.Errorf("leased %v after the pause, want %s and %s", got, first, second)
	}
}

func pauseEmptyQueue(q *queueFixture) {
	q.apply(domain.Operation{Kind: domain.OpPause})
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.idle(c)
	q.apply(domain.Operation{Kind: domain.OpResume})
	q.comes(c, id)
}

func pauseLeavesActive(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	held := q.leaseOne(c)
	q.apply(domain.Operation{Kind: domain.OpPause})
	if lost := q.extend(c, held.Ref()); len(lost) != 0 {
		q.Errorf("Extend while paused lost %v", lost)
	}
	q.settle(c, held, completed())
	q.inState(id, domain.StateCompleted)
}

func removeByID(q *queueFixture) {
	c := q.consumer()
	active := q.acceptOne(domain.JobOptions{})
	q.leaseOne(c)
	waiting := q.acceptOne(domain.JobOptions{})
	delayed := q.acceptOne(domain.JobOptions{Delay: time.Hour})
	stays := q.acceptOne(domain.JobOptions{Priority: 1})
	q.apply(domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{active, waiting, "nobody", delayed}}, waiting, delayed)
	q.gone(waiting)
	q.gone(delayed)
	q.inState(active, domain.StateActive)
	q.comes(c, stays)
	q.idle(c)
}

// failSome enqueues n jobs and fails them.
func (q *queueFixture) failSome(n int) []domain.JobID {
	q.Helper()
	ids := q.accept(newJobs(n)...)
	c := q.consumer()
	for _, held := range q.lease(c, n) {
		q.settle(c, held, failed())
	}
	return ids
}

func retryByID(q *queueFixture) {
	ids := q.failSome(2)
	q.apply(domain.Operation{Kind: domain.OpRetry, IDs: []domain.JobID{ids[1], "nobody"}}, ids[1])
	q.inState(ids[0], domain.StateFailed)
	c := q.consumer()
	q.comes(c, ids[1])
	q.idle(c)
}

func retryAll(q *queueFixture) {
	ids := q.failSome(3)
	q.apply(domain.Operation{Kind: domain.OpRetry}, ids...)
	q.counts(map[domain.State]int{domain.StateWait: 3})
	c := q.consumer()
	for _, held := range q.lease(c, 3) {
		q.settle(c, held, completed())
	}
	q.counts(map[domain.State]int{domain.StateCompleted: 3})
}

// putOff makes one delayed and one parked job.
func (q *queueFixture) putOff() (delayed, parked domain.JobID) {
	q.Helper()
	parked = q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.settle(c, q.leaseOne(c), domain.Outcome{Kind: domain.Parked, After: time.Hour})
	return q.acceptOne(domain.JobOptions{Delay: time.Hour}), parked
}

func promoteByID(q *queueFixture) {
	delayed, parked := q.putOff()
	c := q.consumer()
	for _, id := range []domain.JobID{delayed, parked} {
		q.apply(domain.Operation{Kind: domain.OpPromote, IDs: []domain.JobID{id}}, id)
		q.comes(c, id)
	}
	q.apply(domain.Operation{Kind: domain.OpPromote, IDs: []domain.JobID{delayed}})
}

func promoteAll(q *queueFixture) {
	delayed, parked := q.putOff()
	q.apply(domain.Operation{Kind: domain.OpPromote}, delayed, parked)
	q.lease(q.consumer(), 2)
}

func drainWaiting(q *queueFixture) {
	delayed, parked := q.putOff()
	waiting, prioritized := q.acceptOne(domain.JobOptions{}), q.acceptOne(domain.JobOptions{Priority: 3})
	q.apply(domain.Operation{Kind: domain.OpDrain}, waiting, prioritized)
	q.gone(waiting)
	q.inState(delayed, domain.StateDelayed)
	q.inState(parked, domain.StateParked)
	q.idle(q.consumer())
}

func drainDelayed(q *queueFixture) {
	delayed, parked := q.putOff()
	waiting := q.acceptOne(domain.JobOptions{})
	q.apply(domain.Operation{Kind: domain.OpDrain, State: domain.StateDelayed}, waiting, delayed, parked)
	q.counts(map[domain.State]int{})
}

func cleanByAge(q *queueFixture) {
	c := q.consumer()
	q.accept(newJobs(2)...)
	old := q.finish(c)
	q.pass(2 * q.unit())
	young := q.finish(c)
	kept := q.failSome(1)[0]
	q.apply(domain.Operation{Kind: domain.OpClean, State: domain.StateCompleted, OlderThan: q.unit()}, old)
	q.inState(young, domain.StateCompleted)
	q.apply(domain.Operation{Kind: domain.OpClean, State: domain.StateCompleted}, young)
	q.inState(kept, domain.StateFailed)
}

func limitBounds(q *queueFixture) {
	q.failSome(3)
	changed, err := q.backend.Inspector.Apply(q.Context(), testQueue, domain.Operation{Kind: domain.OpRetry, Limit: 2})
	if err != nil || len(changed) != 2 {
		q.Fatalf("Apply(retry, limit 2) = %v, %v, want two jobs", changed, err)
	}
	q.counts(map[domain.State]int{domain.StateFailed: 1, domain.StateWait: 2})
}

func dryRunChangesNothing(q *queueFixture) {
	broken := q.failSome(1)[0]
	delayed, parked := q.putOff()
	waiting := q.acceptOne(domain.JobOptions{})
	before := map[domain.State]int{domain.StateFailed: 1, domain.StateParked: 1, domain.StateDelayed: 1, domain.StateWait: 1}
	q.apply(domain.Operation{Kind: domain.OpRetry, DryRun: true}, broken)
	q.apply(domain.Operation{Kind: domain.OpPromote, DryRun: true}, delayed, parked)
	q.apply(domain.Operation{Kind: domain.OpDrain, DryRun: true}, waiting)
	q.apply(domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{waiting}, DryRun: true}, waiting)
	q.apply(domain.Operation{Kind: domain.OpClean, State: domain.StateFailed, DryRun: true}, broken)
	q.apply(domain.Operation{Kind: domain.OpPause, DryRun: true})
	q.counts(before)
	q.paused(false)
}

func unknownOperation(q *queueFixture) {
	for _, op := range []domain.Operation{{Kind: "explode"}, {Kind: domain.OpClean}, {Kind: domain.OpClean, State: "bogus"}} {
		if _, err := q.backend.Inspector.Apply(q.Context(), testQueue, op); !errors.Is(err, domain.ErrInvalid) {
			q.Errorf("Apply(%+v) = %v, want %v", op, err, domain.ErrInvalid)
		}
	}
}
