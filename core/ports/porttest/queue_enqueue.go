package porttest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func queueEnqueueCases() []queueCase {
	return []queueCase{
		{name: "a job reaches the worker as it was enqueued", test: jobArrivesWhole},
		{name: "each job of a call is answered in order", test: answersInOrder},
		{name: "a call without jobs does nothing", test: enqueueNothing},
		{name: "ids that the queue assigns differ", test: assignedIDsDiffer},
		{name: "an id that is there already is refused", test: duplicateIDRefused},
		{name: "a finished job still holds its id", test: finishedJobHoldsID},
		{name: "a removed job frees its id", test: removedJobFreesID},
		{name: "a receipt refuses a second enqueue", test: receiptRefuses},
		{name: "a receipt refuses after its job is gone", test: receiptOutlivesJob},
		{name: "a call repeated with receipts adds nothing twice", test: repeatedCallAddsNothing},
		{name: "a deduplication key refuses while its owner is there", test: keyRefuses},
		{name: "a deduplication key is free when its owner has finished", test: finishedOwnerFreesKey},
		{name: "a deduplication key is held while its owner waits for a retry", test: retryHoldsKey},
		{name: "a deduplication key is free when its owner was removed", test: removedOwnerFreesKey},
		{name: "a deduplication key with a TTL is free when that has passed", test: keyEndsWithTTL},
		{name: "a deduplication key with a TTL outlives its owner", test: keyOutlivesOwner},
		{name: "a job that lost its deduplication key does not free the new owner's", test: formerOwnerFreesNothing},
		{name: "one bad job refuses the whole call", test: badJobRefusesAll},
		{name: "a payload over the limit refuses the whole call", test: tooLargeRefusesAll, needs: bounded, limits: QueueLimits{MaxPayload: 100}},
		{name: "a full queue refuses the whole call", test: fullQueueRefuses, needs: bounded, limits: QueueLimits{MaxJobs: 3}},
		{name: "a queue full of bytes refuses the whole call", test: fullOfBytesRefuses, needs: bounded, limits: QueueLimits{MaxBytes: 100}},
		{name: "jobs that are refused take no room", test: refusedJobsNeedNoRoom, needs: bounded, limits: QueueLimits{MaxJobs: 2}},
		{name: "finished jobs never fill a queue", test: finishedJobsGiveWay, needs: bounded, limits: QueueLimits{MaxJobs: 3}},
		{name: "one call reaches several queues", test: severalQueues},
		{name: "a context that has ended enqueues nothing", test: endedContextEnqueuesNothing},
	}
}

func jobArrivesWhole(q *queueFixture) {
	want := domain.NewJob{
		Queue: testQueue, Name: "report.daily", Data: []byte(`{"text":"größer \u0000 than <life>","n":[1,2,3]}`),
		Options: domain.JobOptions{
			ID: "report-1", Attempts: 3, Priority: 7,
			Backoff:       domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second, Jitter: 0.5},
			KeepCompleted: domain.KeepLast(10), KeepFailed: domain.KeepFor(time.Hour),
			Deduplication: domain.Deduplication{Key: "report"},
		},
	}
	q.accept(want)
	job := q.leaseOne(q.consumer()).Job
	got := domain.NewJob{Queue: job.Queue, Name: job.Name, Data: job.Data, Options: job.Options}
	if diff := cmp.Diff(want, got); diff != "" {
		q.Errorf("leased job differs from the enqueued one (-want +got):\n%s", diff)
	}
	if job.ID != "report-1" || job.CreatedAt.IsZero() {
		q.Errorf("leased job has id %q, created at %v, want report-1 and a time", job.ID, job.CreatedAt)
	}
}

func answersInOrder(q *queueFixture) {
	results := q.enqueue(
		newJob(domain.JobOptions{ID: "a"}),
		newJob(domain.JobOptions{ID: "a"}),
		newJob(domain.JobOptions{ID: "b", Deduplication: domain.Deduplication{Key: "k"}}),
		newJob(domain.JobOptions{ID: "c", Deduplication: domain.Deduplication{Key: "k"}}),
	)
	want := []domain.EnqueueResult{
		{Status: domain.Accepted, ID: "a"},
		{Status: domain.DuplicateID, ID: "a"},
		{Status: domain.Accepted, ID: "b"},
		{Status: domain.Deduplicated, ID: "b"},
	}
	if diff := cmp.Diff(want, results); diff != "" {
		q.Errorf("results (-want +got):\n%s", diff)
	}
}

func enqueueNothing(q *queueFixture) {
	if results := q.enqueue(); len(results) != 0 {
		q.Errorf("Enqueue() = %v, want no results", results)
	}
}

func assignedIDsDiffer(q *queueFixture) {
	seen := map[domain.JobID]bool{}
	for range 3 {
		for _, id := range q.accept(newJobs(40)...) {
			if seen[id] {
				q.Fatalf("id %s was assigned twice", id)
			}
			seen[id] = true
		}
	}
	leases := q.lease(q.consumer(), len(seen))
	for _, id := range leaseIDs(leases) {
		delete(seen, id)
	}
	if len(seen) != 0 {
		q.Errorf("%d of the assigned ids were not leased", len(seen))
	}
}

func duplicateIDRefused(q *queueFixture) {
	q.accept(newJob(domain.JobOptions{ID: "mine"}))
	again := newJob(domain.JobOptions{ID: "mine"})
	again.Data = []byte(`"another"`)
	q.refused(again, domain.DuplicateID, "mine")
	c := q.consumer()
	if got := q.leaseOne(c).Job.Data; string(got) != `{"n":1}` {
		q.Errorf("data of the job = %s, want those of the first enqueue", got)
	}
	q.refused(again, domain.DuplicateID, "mine")
	q.idle(c)
}

// refused checks that the job is not added.
func (q *queueFixture) refused(job domain.NewJob, status domain.EnqueueStatus, id domain.JobID) {
	q.Helper()
	want := domain.EnqueueResult{Status: status, ID: id}
	if got := q.enqueue(job)[0]; got != want {
		q.Fatalf("Enqueue = %v %q, want %v %q", got.Status, got.ID, want.Status, want.ID)
	}
}

func finishedJobHoldsID(q *queueFixture) {
	q.accept(newJob(domain.JobOptions{ID: "mine"}))
	q.finish(q.consumer())
	q.refused(newJob(domain.JobOptions{ID: "mine"}), domain.DuplicateID, "mine")
}

func removedJobFreesID(q *queueFixture) {
	job := newJob(domain.JobOptions{ID: "mine", KeepCompleted: domain.KeepNone()})
	c := q.consumer()
	for range 2 {
		q.accept(job)
		q.finish(c)
	}
}

func receiptRefuses(q *queueFixture) {
	job := newJob(domain.JobOptions{})
	job.Receipt = "tick-1"
	id := q.accept(job)[0]
	q.refused(job, domain.ReceiptKnown, id)
	job.Receipt = "tick-2"
	q.accept(job)
}

func receiptOutlivesJob(q *queueFixture) {
	job := newJob(domain.JobOptions{ID: "mine", KeepCompleted: domain.KeepNone()})
	job.Receipt = "tick-1"
	q.accept(job)
	q.finish(q.consumer())
	q.gone("mine")
	q.refused(job, domain.ReceiptKnown, "mine")
}

func repeatedCallAddsNothing(q *queueFixture) {
	jobs := newJobs(3)
	for i := range jobs {
		jobs[i].Receipt = "outbox-" + string(rune('a'+i))
	}
	ids := q.accept(jobs...)
	for i, result := range q.enqueue(jobs...) {
		if result.Status != domain.ReceiptKnown || result.ID != ids[i] {
			q.Errorf("repeated job %d = %v %q, want receipt known, %q", i, result.Status, result.ID, ids[i])
		}
	}
	c := q.consumer()
	q.lease(c, 3)
	q.idle(c)
}

func keyed(key string, ttl time.Duration) domain.NewJob {
	return newJob(domain.JobOptions{Deduplication: domain.Deduplication{Key: key, TTL: ttl}})
}

func keyRefuses(q *queueFixture) {
	owner := q.accept(keyed("k", 0))[0]
	q.refused(keyed("k", 0), domain.Deduplicated, owner)
	q.accept(keyed("another", 0))
	q.leaseOne(q.consumer())
	q.refused(keyed("k", 0), domain.Deduplicated, owner)
}

func finishedOwnerFreesKey(q *queueFixture) {
	c := q.consumer()
	for _, outcome := range []domain.Outcome{completed(), failed()} {
		q.accept(keyed("k", 0))
		q.settle(c, q.leaseOne(c), outcome)
	}
	q.accept(keyed("k", 0))
}

func retryHoldsKey(q *queueFixture) {
	owner := q.accept(keyed("k", 0))[0]
	c := q.consumer()
	q.settle(c, q.leaseOne(c), domain.Outcome{Kind: domain.Retry, After: q.unit()})
	q.refused(keyed("k", 0), domain.Deduplicated, owner)
}

func removedOwnerFreesKey(q *queueFixture) {
	owner := q.accept(keyed("k", 0))[0]
	q.apply(domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{owner}}, owner)
	q.accept(keyed("k", 0))
}

func keyEndsWithTTL(q *queueFixture) {
	owner := q.accept(keyed("k", q.unit()))[0]
	q.refused(keyed("k", q.unit()), domain.Deduplicated, owner)
	q.pass(q.unit())
	q.accept(keyed("k", q.unit()))
}

func keyOutlivesOwner(q *queueFixture) {
	owner := q.accept(keyed("k", q.unit()))[0]
	q.finish(q.consumer())
	q.refused(keyed("k", q.unit()), domain.Deduplicated, owner)
	q.pass(q.unit())
	q.accept(keyed("k", q.unit()))
}

func formerOwnerFreesNothing(q *queueFixture) {
	q.accept(keyed("k", q.unit()))
	q.pass(q.unit())
	owner := q.accept(keyed("k", 0))[0]
	c := q.consumer()
	for _, held := range q.lease(c, 2) {
		if held.Job.ID != owner {
			q.settle(c, held, completed())
		}
	}
	q.refused(keyed("k", 0), domain.Deduplicated, owner)
}

// errs checks that the call fails as it should.
func (q *queueFixture) errs(want error, jobs ...domain.NewJob) {
	q.Helper()
	results, err := q.backend.Enqueuer.Enqueue(q.Context(), jobs...)
	if !errors.Is(err, want) || len(results) != 0 {
		q.Fatalf("Enqueue(%d jobs) = %v, %v, want none and %v", len(jobs), results, err, want)
	}
}

func badJobRefusesAll(q *queueFixture) {
	good := newJob(domain.JobOptions{})
	bad := map[string]domain.NewJob{
		"a queue name with a colon": {Queue: "a:b", Name: jobName},
		"an empty queue name":       {Name: jobName},
		"an empty job name":         {Queue: testQueue},
		"an id that is a number":    newJob(domain.JobOptions{ID: "42"}),
		"a priority too large":      newJob(domain.JobOptions{Priority: domain.MaxPriority + 1}),
		"a negative delay":          newJob(domain.JobOptions{Delay: -1}),
		"an unknown backoff":        newJob(domain.JobOptions{Backoff: domain.Backoff{Kind: "wild"}}),
	}
	for what, job := range bad {
		q.Logf("with %s", what)
		q.errs(domain.ErrInvalid, good, job, good)
	}
	q.idle(q.consumer())
}

func tooLargeRefusesAll(q *queueFixture) {
	large := newJob(domain.JobOptions{})
	large.Data = []byte(`"` + strings.Repeat("x", 99) + `"`)
	q.errs(domain.ErrTooLarge, newJob(domain.JobOptions{}), large)
	c := q.consumer()
	q.idle(c)
	large.Data = large.Data[:100]
	q.accept(large)
}

func fullQueueRefuses(q *queueFixture) {
	q.accept(newJobs(2)...)
	q.errs(ports.ErrQueueFull, newJobs(2)...)
	q.accept(newJobs(1)...)
	q.errs(ports.ErrQueueFull, newJobs(1)...)
	c := q.consumer()
	q.lease(c, 3)
	q.idle(c)
}

func fullOfBytesRefuses(q *queueFixture) {
	job := newJob(domain.JobOptions{KeepCompleted: domain.KeepNone()})
	job.Data = []byte(`"` + strings.Repeat("x", 58) + `"`)
	q.accept(job)
	q.errs(ports.ErrQueueFull, job)
	q.finish(q.consumer())
	q.accept(job)
}

func refusedJobsNeedNoRoom(q *queueFixture) {
	a := newJob(domain.JobOptions{ID: "a"})
	b := newJob(domain.JobOptions{ID: "b"})
	q.accept(a)
	results := q.enqueue(a, b, b, a)
	if results[1].Status != domain.Accepted {
		q.Errorf("job b = %v, want accepted", results[1].Status)
	}
	q.refused(b, domain.DuplicateID, "b")
}

func finishedJobsGiveWay(q *queueFixture) {
	c := q.consumer()
	var ids []domain.JobID
	for range 10 {
		ids = append(ids, q.acceptOne(domain.JobOptions{}))
		q.finish(c)
	}
	q.inState(ids[8], domain.StateCompleted)
	q.inState(ids[9], domain.StateCompleted)
	q.accept(newJobs(3)...)
}

func severalQueues(q *queueFixture) {
	here, there := newJob(domain.JobOptions{ID: "same"}), newJob(domain.JobOptions{ID: "same"})
	there.Queue = otherQueue
	q.accept(there, here)
	for _, queue := range []domain.QueueName{testQueue, otherQueue} {
		if got := q.leaseOne(q.consumerOf(queue)).Job.Queue; got != queue {
			q.Errorf("leased a job of %s from %s", got, queue)
		}
	}
}

func endedContextEnqueuesNothing(q *queueFixture) {
	ctx, cancel := context.WithCancel(q.Context())
	cancel()
	if _, err := q.backend.Enqueuer.Enqueue(ctx, newJob(domain.JobOptions{})); !errors.Is(err, context.Canceled) {
		q.Errorf("Enqueue(ended ctx) = %v, want %v", err, context.Canceled)
	}
	q.idle(q.consumer())
}

// apply carries out an operation that must change exactly the jobs named.
func (q *queueFixture) apply(op domain.Operation, want ...domain.JobID) {
	q.Helper()
	got, err := q.backend.Inspector.Apply(q.Context(), testQueue, op)
	if err != nil {
		q.Fatalf("Apply(%s) = %v, want no error", op.Kind, err)
	}
	if diff := cmp.Diff(sortedIDs(want), sortedIDs(got)); diff != "" {
		q.Fatalf("Apply(%s) changed (-want +got):\n%s", op.Kind, diff)
	}
}

var _ testing.TB = (*queueFixture)(nil)
