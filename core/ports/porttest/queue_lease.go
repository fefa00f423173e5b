package porttest

import (
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func queueLeaseCases() []queueCase {
	return []queueCase{
		{name: "a lease that ran out is recovered as a crash", test: crashIsRecovered},
		{name: "a lease that is extended is not recovered", test: extendedIsNotRecovered},
		{name: "extend reports the leases that are lost", test: extendReportsLost},
		{name: "recover leaves leases alone that last", test: recoverLeavesLive},
		{name: "a worker whose job was recovered writes nothing", test: recoveredLeaseIsFenced},
		{name: "any worker recovers the jobs of all", test: anyWorkerRecovers},
		{name: "a job that crashes too often is quarantined", test: crashesQuarantine},
		{name: "crashes and attempts are counted apart", test: crashesAreNoAttempts},
		{name: "a recovered job comes before those that wait", test: recoveredComesFirst, needs: fifo},
		{name: "a recovered job keeps its priority", test: recoveredKeepsPriority, needs: func(f QueueFeatures) bool { return f.CrashOrder }},
		{name: "a blocked reserve wakes for a recovered job", test: blockedReserveWakesForRecovered},
	}
}

func queueNoteCases() []queueCase {
	return []queueCase{
		{name: "progress, log and data are written under the lease", test: notesAreWritten},
		{name: "notes under a lost lease are refused", test: lostNotesAreRefused},
		{name: "data that a handler replaced reach the next attempt", test: dataReachNextAttempt},
	}
}

// crash lets the leases run out and recovers until something comes back.
func (q *queueFixture) crash(c ports.Consumer) []domain.Recovered {
	q.Helper()
	for range max(1, q.features.RecoverRounds) {
		q.pass(q.features.Lease)
		recovered, err := c.Recover(q.Context())
		if err != nil {
			q.Fatalf("Recover = %v, want no error", err)
		}
		if len(recovered) > 0 {
			return recovered
		}
	}
	q.Fatalf("Recover gave nothing back, want the jobs whose leases ran out")
	return nil
}

func (q *queueFixture) extend(c ports.Consumer, leases ...domain.LeaseRef) []domain.LeaseRef {
	q.Helper()
	lost, err := c.Extend(q.Context(), leases)
	if err != nil {
		q.Fatalf("Extend = %v, want no error", err)
	}
	return lost
}

func crashIsRecovered(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.leaseOne(c)
	want := []domain.Recovered{{ID: id, Name: jobName, Action: domain.Requeued, Crashes: 1}}
	if diff := cmp.Diff(want, q.crash(c)); diff != "" {
		q.Errorf("recovered (-want +got):\n%s", diff)
	}
	again := q.leaseOne(c)
	if again.Job.ID != id || again.Job.Crashes != 1 {
		q.Errorf("leased job %s with %d crashes, want %s with 1", again.Job.ID, again.Job.Crashes, id)
	}
}

func extendedIsNotRecovered(q *queueFixture) {
	q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	held := q.leaseOne(c)
	for range 4 {
		q.harness.Advance(q.features.Lease / 2)
		if lost := q.extend(c, held.Ref()); len(lost) != 0 {
			q.Fatalf("Extend lost %v, want the lease held", lost)
		}
		if recovered, err := c.Recover(q.Context()); err != nil || len(recovered) != 0 {
			q.Fatalf("Recover = %v, %v, want nothing", recovered, err)
		}
	}
	q.settle(c, held, completed())
}

func extendReportsLost(q *queueFixture) {
	q.accept(newJobs(3)...)
	c := q.consumer()
	leases := q.lease(c, 3)
	q.settle(c, leases[1], completed())
	forged := leases[2].Ref()
	forged.Token += "x"
	want := []domain.LeaseRef{leases[1].Ref(), forged}
	if diff := cmp.Diff(want, q.extend(c, leases[0].Ref(), leases[1].Ref(), forged)); diff != "" {
		q.Errorf("lost leases (-want +got):\n%s", diff)
	}
}

func recoverLeavesLive(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.leaseOne(c)
	if recovered, err := c.Recover(q.Context()); err != nil || len(recovered) != 0 {
		q.Errorf("Recover = %v, %v, want nothing", recovered, err)
	}
	q.inState(id, domain.StateActive)
}

func recoveredLeaseIsFenced(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	slow, quick := q.consumer(), q.consumer()
	old := q.leaseOne(slow)
	q.crash(quick)
	current := q.leaseOne(quick)
	if status := q.trySettle(slow, old, completed()); status != domain.LeaseLost {
		q.Errorf("Settle with the lost lease = %d, want lease lost", status)
	}
	if lost := q.extend(slow, old.Ref()); len(lost) != 1 {
		q.Errorf("Extend with the lost lease = %v, want it lost", lost)
	}
	q.inState(id, domain.StateActive)
	q.settle(quick, current, failed())
	q.inState(id, domain.StateFailed)
}

func anyWorkerRecovers(q *queueFixture) {
	want := q.accept(newJobs(3)...)
	dead, alive := q.consumer(), q.consumer()
	q.lease(dead, 3)
	var got []domain.JobID
	for _, r := range q.crash(alive) {
		got = append(got, r.ID)
	}
	if diff := cmp.Diff(sortedIDs(want), sortedIDs(got)); diff != "" {
		q.Errorf("recovered (-want +got):\n%s", diff)
	}
}

func crashesQuarantine(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{Attempts: 100})
	c := q.consumer()
	for range domain.MaxCrashes {
		q.leaseOne(c)
		q.crash(c)
	}
	if last := q.leaseOne(c); last.Refused != "" {
		q.Errorf("refused = %q after %d crashes, want the job handed out", last.Refused, domain.MaxCrashes)
	}
	want := []domain.Recovered{{ID: id, Name: jobName, Action: domain.Quarantined, Crashes: domain.MaxCrashes + 1}}
	if q.features.QuarantineOnReserve {
		want[0].Action = domain.Requeued
	}
	if diff := cmp.Diff(want, q.crash(c)); diff != "" {
		q.Errorf("recovered (-want +got):\n%s", diff)
	}
	reason := "quarantined"
	if q.features.QuarantineOnReserve {
		reason = q.failRefused(c, id)
	}
	if view := q.inState(id, domain.StateFailed); !strings.HasPrefix(view.Reason, reason) {
		q.Errorf("reason = %q, want it to begin with %q", view.Reason, reason)
	}
	q.idle(c)
}

// failRefused leases the job, which must be refused, settles it as a worker does
// and returns why it was refused.
func (q *queueFixture) failRefused(c ports.Consumer, id domain.JobID) (reason string) {
	q.Helper()
	lease := q.leaseOne(c)
	if lease.Job.ID != id || lease.Refused == "" {
		q.Fatalf("leased job %s, refused: %q, want %s refused", lease.Job.ID, lease.Refused, id)
	}
	q.settle(c, lease, domain.Outcome{Kind: domain.Failed, Reason: lease.Refused})
	return lease.Refused
}

func crashesAreNoAttempts(q *queueFixture) {
	q.acceptOne(domain.JobOptions{Attempts: 2})
	c := q.consumer()
	q.leaseOne(c)
	q.crash(c)
	again := q.leaseOne(c)
	q.counters(&again.Job, 2, 0)
	if left := again.Job.AttemptsLeft(); left != 1 {
		q.Errorf("attempts left = %d, want 1", left)
	}
}

func recoveredComesFirst(q *queueFixture) {
	first := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	q.leaseOne(c)
	second := q.acceptOne(domain.JobOptions{})
	q.crash(c)
	q.comes(c, first, second)
}

func recoveredKeepsPriority(q *queueFixture) {
	second := q.acceptOne(domain.JobOptions{Priority: 5})
	c := q.consumer()
	q.leaseOne(c)
	third := q.acceptOne(domain.JobOptions{Priority: 5})
	first := q.acceptOne(domain.JobOptions{Priority: 1})
	q.crash(c)
	q.comes(c, first, second, third)
}

func blockedReserveWakesForRecovered(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	q.leaseOne(q.consumer())
	wait := q.blocked(q.consumer())
	q.crash(q.consumer())
	q.same(wait(), id)
}

func (q *queueFixture) annotate(c ports.Consumer, notes ...domain.Note) []domain.LeaseRef {
	q.Helper()
	lost, err := c.Annotate(q.Context(), notes)
	if err != nil {
		q.Fatalf("Annotate = %v, want no error", err)
	}
	return lost
}

func notesAreWritten(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	ref := lease(q, c)
	q.annotate(c, domain.Note{Lease: ref, Progress: []byte(`10`), Log: []string{"one", "two"}}, domain.Note{Lease: ref, Log: []string{"three"}})
	q.annotate(c, domain.Note{Lease: ref, Progress: []byte(`{"of":20}`), Data: []byte(`"new"`)})
	view := q.inState(id, domain.StateActive)
	if string(view.Progress) != `{"of":20}` || string(view.Job.Data) != `"new"` {
		q.Errorf("progress = %s, data = %s, want the last that were written", view.Progress, view.Job.Data)
	}
	if want := []string{"one", "two", "three"}; !slices.Equal(view.Log, want) {
		q.Errorf("log = %q, want %q", view.Log, want)
	}
}

func lostNotesAreRefused(q *queueFixture) {
	id := q.acceptOne(domain.JobOptions{})
	c := q.consumer()
	old := q.leaseOne(c)
	q.settle(c, old, domain.Outcome{Kind: domain.Returned})
	q.leaseOne(c)
	lost := q.annotate(c, domain.Note{Lease: old.Ref(), Progress: []byte(`1`), Log: []string{"late"}, Data: []byte(`2`)})
	if len(lost) != 1 || lost[0] != old.Ref() {
		q.Errorf("Annotate lost %v, want %v", lost, old.Ref())
	}
	if view := q.inState(id, domain.StateActive); len(view.Log) != 0 || string(view.Job.Data) != `{"n":1}` {
		q.Errorf("log = %q, data = %s, want them untouched", view.Log, view.Job.Data)
	}
}

func dataReachNextAttempt(q *queueFixture) {
	q.acceptOne(domain.JobOptions{Attempts: 2})
	c := q.consumer()
	held := q.leaseOne(c)
	q.annotate(c, domain.Note{Lease: held.Ref(), Data: []byte(`{"page":2}`)})
	q.settle(c, held, domain.Outcome{Kind: domain.Retry, After: time.Millisecond})
	if again := q.leaseOne(c); string(again.Job.Data) != `{"page":2}` {
		q.Errorf("data of the next attempt = %s, want what the handler wrote", again.Job.Data)
	}
}
