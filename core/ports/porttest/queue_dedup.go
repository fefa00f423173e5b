package porttest

import (
	"time"

	"github.com/taktwork/takt/core/domain"
)

func queueDedupCases() []queueCase {
	return []queueCase{
		{name: "a dropped job extends the TTL if it is to", test: extendBeginsAnew},
		{name: "a job replaces a delayed owner of its key", test: replaceDelayed},
		{name: "an owner that is not delayed is not replaced", test: replaceNotWaiting},
		{name: "a replacement leaves the TTL or begins it anew", test: replaceKeepsTTL},
		{name: "the last job that came while the owner was worked follows it", test: lastFollows},
		{name: "the last job follows an owner that failed", test: lastFollowsFailed},
		{name: "a job is not kept while the owner waits", test: keepsOnlyWhileActive},
		{name: "a kept job goes with its removed owner", test: keptGoesWithOwner},
		{name: "a kept job is put where its options say", test: keptHasOptions},
		{name: "a kept job writes its receipt", test: keptWritesReceipt},
		{name: "a kept job follows an owner whose key has a TTL again", test: keptOutlivesTTL},
		{name: "a kept job follows its owner though another holds the key by then", test: keptFollowsLateOwner},
		{name: "a job replaces a delayed owner or is kept to follow it", test: replaceOrKeep},
		{name: "a dropped job reschedules a delayed owner", test: rescheduleDelayed},
		{name: "a deduplication that makes no sense is refused", test: senselessDeduplications},
		{name: "a replacement needs the room of the replaced job", test: replacementFits, needs: bounded, limits: QueueLimits{MaxJobs: 2}},
	}
}

// inMode returns a job with the key k, the number as its data, and a delay.
func inMode(mode domain.DeduplicationMode, ttl, delay time.Duration, number string) domain.NewJob {
	job := newJob(domain.JobOptions{Delay: delay, Deduplication: domain.Deduplication{Key: "k", Mode: mode, TTL: ttl}})
	job.Data = []byte(number)
	return job
}

// dataOf leases the next job, completes it, and checks which one it is.
func (q *queueFixture) dataOf(want string) {
	q.Helper()
	c := q.consumer()
	lease := q.leaseOne(c)
	if string(lease.Job.Data) != want {
		q.Fatalf("leased the job with data %s, want %s", lease.Job.Data, want)
	}
	q.settle(c, lease, completed())
}

func extendBeginsAnew(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupExtend, 2*q.unit(), 0, "1"))[0]
	q.pass(q.unit())
	q.refused(inMode(domain.DedupExtend, 20*q.unit(), 0, "2"), domain.Deduplicated, owner)
	q.pass(2 * q.unit())
	q.refused(inMode(domain.DedupDrop, q.unit(), 0, "3"), domain.Deduplicated, owner)
}

func replaceDelayed(q *queueFixture) {
	for _, mode := range []domain.DeduplicationMode{domain.DedupReplace, domain.DedupReplaceOrKeepLast} {
		first := q.accept(inMode(mode, 0, time.Hour, "1"))[0]
		second := q.accept(inMode(mode, 0, time.Hour, "2"))[0]
		q.gone(first)
		q.inState(second, domain.StateDelayed)
		third := q.accept(inMode(mode, 0, 0, "3"))[0]
		q.gone(second)
		q.refused(inMode(domain.DedupDrop, 0, 0, "4"), domain.Deduplicated, third)
		q.dataOf("3")
		q.idle(q.consumer())
	}
}

func replaceNotWaiting(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupReplace, 0, 0, "1"))[0]
	q.refused(inMode(domain.DedupReplace, 0, 0, "2"), domain.Deduplicated, owner)
	c := q.consumer()
	lease := q.leaseOne(c)
	q.refused(inMode(domain.DedupReplace, 0, time.Hour, "3"), domain.Deduplicated, owner)
	q.settle(c, lease, completed())
	q.idle(c)
}

func replaceKeepsTTL(q *queueFixture) {
	q.accept(inMode(domain.DedupReplace, 3*q.unit(), time.Hour, "1"))
	q.pass(q.unit())
	q.accept(inMode(domain.DedupReplace, 20*q.unit(), time.Hour, "2"))
	q.pass(2 * q.unit())
	// Its key is free again: this one replaces nothing.
	q.accept(inMode(domain.DedupReplace, 3*q.unit(), time.Hour, "3"))
	q.counts(map[domain.State]int{domain.StateDelayed: 2})

	q.accept(inMode(domain.DedupDebounce, 20*q.unit(), time.Hour, "4"))
	q.pass(3 * q.unit())
	q.accept(inMode(domain.DedupDebounce, q.unit(), time.Hour, "5"))
	q.counts(map[domain.State]int{domain.StateDelayed: 2})
}

func lastFollows(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, 0, "1"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	for _, number := range []string{"2", "3", "4"} {
		q.refused(inMode(domain.DedupKeepLast, 0, 0, number), domain.Deduplicated, owner)
	}
	q.counts(map[domain.State]int{domain.StateActive: 1})
	reply := q.settleAll(c, 1, domain.Settlement{Lease: lease.Ref(), Outcome: completed()})
	if len(reply.Leases) != 1 || string(reply.Leases[0].Job.Data) != "4" {
		q.Fatalf("leased with the end of the owner: %v, want the job that came last", reply.Leases)
	}
	next := reply.Leases[0]
	q.refused(inMode(domain.DedupDrop, 0, 0, "5"), domain.Deduplicated, next.Job.ID)
	q.settle(c, next, completed())
	q.idle(c)
	q.accept(inMode(domain.DedupDrop, 0, 0, "6"))
}

func lastFollowsFailed(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, 0, "1"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	q.refused(inMode(domain.DedupKeepLast, 0, 0, "2"), domain.Deduplicated, owner)
	q.settle(c, lease, domain.Outcome{Kind: domain.Retry, Reason: "again"})
	lease = q.leaseOne(c)
	q.same(lease, owner)
	q.settle(c, lease, failed())
	q.dataOf("2")
}

func keepsOnlyWhileActive(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, q.unit(), "1"))[0]
	q.refused(inMode(domain.DedupKeepLast, 0, 0, "2"), domain.Deduplicated, owner)
	q.pass(q.unit())
	q.refused(inMode(domain.DedupKeepLast, 0, 0, "3"), domain.Deduplicated, owner)
	q.dataOf("1")
	q.idle(q.consumer())
}

func keptGoesWithOwner(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, 0, "1"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	q.refused(inMode(domain.DedupKeepLast, 0, 0, "2"), domain.Deduplicated, owner)
	q.settle(c, lease, domain.Outcome{Kind: domain.Returned})
	q.apply(domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{owner}}, owner)
	q.accept(inMode(domain.DedupKeepLast, 0, 0, "3"))
	q.dataOf("3")
	q.idle(c)
}

func keptHasOptions(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, 0, "1"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	kept := inMode(domain.DedupKeepLast, 0, time.Hour, "2")
	kept.Options.ID, kept.Options.Priority, kept.Options.Attempts = "kept", 3, 5
	q.refused(kept, domain.Deduplicated, owner)
	q.gone("kept")
	q.settle(c, lease, completed())
	got := q.inState("kept", domain.StateDelayed).Job
	if got.Options != kept.Options || string(got.Data) != "2" || got.Name != jobName {
		q.Errorf("kept job = %+v, want %+v", got, kept)
	}
	q.apply(domain.Operation{Kind: domain.OpPromote}, "kept")
	q.inState("kept", domain.StatePrioritized)
}

func keptWritesReceipt(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, 0, "1"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	kept := inMode(domain.DedupKeepLast, 0, 0, "2")
	kept.Options.ID, kept.Receipt = "kept", "tick-1"
	q.refused(kept, domain.Deduplicated, owner)
	q.refused(kept, domain.ReceiptKnown, "kept")
	q.settle(c, lease, completed())
	q.dataOf("2")
	kept.Options.ID = "again"
	q.refused(kept, domain.ReceiptKnown, "kept")
	q.idle(c)
}

func keptOutlivesTTL(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, 0, "1"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	q.refused(inMode(domain.DedupKeepLast, 0, 0, "2"), domain.Deduplicated, owner)
	q.refused(inMode(domain.DedupExtend, 2*q.unit(), 0, "3"), domain.Deduplicated, owner)
	q.settle(c, lease, completed())
	q.pass(2 * q.unit())
	// The kept job holds the key without an end.
	lease = q.leaseOne(c)
	q.refused(inMode(domain.DedupDrop, 0, 0, "4"), domain.Deduplicated, lease.Job.ID)
	q.settle(c, lease, completed())
	if string(lease.Job.Data) != "2" {
		q.Errorf("the owner was followed by the job with data %s, want 2", lease.Job.Data)
	}
	q.idle(c)
	q.accept(inMode(domain.DedupDrop, 0, 0, "5"))
}

// An owner loses its key at the end of the TTL, worked or not, as it does in
// BullMQ. What is kept for the key follows the first owner that is done, and has
// the key then.
func keptFollowsLateOwner(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupKeepLast, 0, 0, "1"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	q.refused(inMode(domain.DedupKeepLast, 0, 0, "2"), domain.Deduplicated, owner)
	q.refused(inMode(domain.DedupExtend, q.unit(), 0, "3"), domain.Deduplicated, owner)
	q.pass(q.unit())
	other := q.accept(inMode(domain.DedupDrop, 0, 0, "4"))[0]
	q.refused(inMode(domain.DedupDrop, 0, 0, "5"), domain.Deduplicated, other)
	q.refused(inMode(domain.DedupKeepLast, 0, 0, "6"), domain.Deduplicated, other)
	q.settle(c, lease, completed())
	lease = q.leaseOne(c)
	q.same(lease, other)
	next := q.leaseOne(c)
	q.refused(inMode(domain.DedupDrop, 0, 0, "7"), domain.Deduplicated, next.Job.ID)
	q.settle(c, lease, completed())
	q.refused(inMode(domain.DedupDrop, 0, 0, "8"), domain.Deduplicated, next.Job.ID)
	q.settle(c, next, completed())
	if string(next.Job.Data) != "2" {
		q.Errorf("the first owner was followed by the job with data %s, want 2", next.Job.Data)
	}
	q.idle(c)
	q.accept(inMode(domain.DedupDrop, 0, 0, "9"))
}

func replaceOrKeep(q *queueFixture) {
	q.accept(inMode(domain.DedupReplaceOrKeepLast, 0, time.Hour, "1"))
	owner := q.accept(inMode(domain.DedupReplaceOrKeepLast, 0, 0, "2"))[0]
	c := q.consumer()
	lease := q.leaseOne(c)
	q.same(lease, owner)
	q.refused(inMode(domain.DedupReplaceOrKeepLast, 0, 0, "3"), domain.Deduplicated, owner)
	q.settle(c, lease, completed())
	q.dataOf("3")
	q.idle(c)
}

func rescheduleDelayed(q *queueFixture) {
	owner := q.accept(inMode(domain.DedupReschedule, 0, q.unit(), "1"))[0]
	q.refused(inMode(domain.DedupReschedule, 0, time.Hour, "2"), domain.Deduplicated, owner)
	q.pass(q.unit())
	c := q.consumer()
	q.idle(c)
	q.refused(inMode(domain.DedupReschedule, 0, q.unit(), "3"), domain.Deduplicated, owner)
	q.pass(q.unit())
	q.dataOf("1")
	owner = q.accept(inMode(domain.DedupReschedule, 0, 0, "4"))[0]
	q.refused(inMode(domain.DedupReschedule, 0, time.Hour, "5"), domain.Deduplicated, owner)
	q.dataOf("4")
	q.idle(c)
}

func senselessDeduplications(q *queueFixture) {
	for _, d := range []domain.Deduplication{
		{Key: "k", Mode: "sometimes"},
		{Mode: domain.DedupReplace},
		{Key: "k", TTL: -1},
		{Key: "k", Mode: domain.DedupExtend},
		{Key: "k", Mode: domain.DedupDebounce},
		{Key: "k", Mode: domain.DedupKeepLast, TTL: time.Minute},
	} {
		q.errs(domain.ErrInvalid, newJob(domain.JobOptions{Deduplication: d}))
	}
	q.counts(map[domain.State]int{})
}

func replacementFits(q *queueFixture) {
	q.accept(newJobs(1)...)
	replaced := q.accept(inMode(domain.DedupReplace, 0, time.Hour, "1"))[0]
	q.accept(inMode(domain.DedupReplace, 0, time.Hour, "2"))
	q.gone(replaced)
	q.counts(map[domain.State]int{domain.StateWait: 1, domain.StateDelayed: 1})
}
