package inmemqueue_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// endings is a backend that notes which receipts are told to be over.
type endings struct {
	*inmemqueue.Backend

	told []string
}

func newEndings() *endings {
	e := &endings{}
	e.Backend = inmemqueue.New(inmemqueue.Config{Ended: func(receipts []string) { e.told = append(e.told, receipts...) }})
	return e
}

func (e *endings) want(t *testing.T, what string, receipts ...string) {
	t.Helper()
	if !slices.Equal(e.told, receipts) {
		t.Errorf("after %s the receipts %q are over, want %q", what, e.told, receipts)
	}
	e.told = nil
}

// add enqueues a job with the receipt; each of them is removed as it ends.
func (e *endings) add(t *testing.T, receipt string) {
	t.Helper()
	job := workJob(domain.JobOptions{KeepCompleted: domain.KeepNone(), KeepFailed: domain.KeepLast(10)})
	job.Receipt = receipt
	enqueue(t, e.Backend, job)
}

func settleOne(t *testing.T, c ports.Consumer, outcome domain.Outcome) {
	t.Helper()
	lease := leaseOne(t, c)
	reply, err := c.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: outcome}}, 0)
	if err != nil || reply.Statuses[0] != domain.Settled {
		t.Fatalf("Settle(%s) = %v, %v, want it settled", outcome.Kind, reply.Statuses, err)
	}
}

func TestEnded_isToldOfJobsThatAreOver(t *testing.T) {
	backend := newEndings()
	c := openConsumer(t, backend.Backend, time.Minute)
	backend.add(t, "completed")
	settleOne(t, c, domain.Outcome{Kind: domain.Retry})
	settleOne(t, c, domain.Outcome{Kind: domain.Returned})
	settleOne(t, c, domain.Outcome{Kind: domain.Snoozed})
	settleOne(t, c, domain.Outcome{Kind: domain.Parked})
	backend.want(t, "a retry, a return, a snooze and a parking")
	settleOne(t, c, domain.Outcome{Kind: domain.Completed})
	backend.want(t, "the completion", "completed")
	backend.add(t, "failed")
	settleOne(t, c, domain.Outcome{Kind: domain.Failed})
	backend.want(t, "the failure", "failed")
	enqueue(t, backend.Backend, workJob(domain.JobOptions{}))
	settleOne(t, c, domain.Outcome{Kind: domain.Completed})
	backend.want(t, "the end of a job without a receipt")
}

func TestEnded_isToldOfJobsThatAreRemoved(t *testing.T) {
	backend := newEndings()
	backend.add(t, "drained")
	apply := func(op domain.Operation) {
		t.Helper()
		if _, err := backend.Apply(t.Context(), "work", op); err != nil {
			t.Fatalf("Apply(%s) = %v, want no error", op.Kind, err)
		}
	}
	apply(domain.Operation{Kind: domain.OpDrain, DryRun: true})
	backend.want(t, "a dry run")
	apply(domain.Operation{Kind: domain.OpDrain})
	backend.want(t, "the drain", "drained")
	backend.add(t, "failed")
	settleOne(t, openConsumer(t, backend.Backend, time.Minute), domain.Outcome{Kind: domain.Failed})
	backend.want(t, "the failure", "failed")
	apply(domain.Operation{Kind: domain.OpClean, State: domain.StateFailed})
	backend.want(t, "the removal of a job that is over")
}

func TestEnded_isToldOfQuarantinedJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := newEndings()
		backend.add(t, "crashed")
		c := openConsumer(t, backend.Backend, time.Second)
		for range domain.MaxCrashes + 1 {
			backend.want(t, "a crash")
			leaseOne(t, c)
			time.Sleep(time.Second)
			if _, err := c.Recover(t.Context()); err != nil {
				t.Fatalf("Recover = %v, want no error", err)
			}
		}
		backend.want(t, "the last crash", "crashed")
	})
}

// keep enqueues a job of the key k that is to follow its owner.
func (e *endings) keep(t *testing.T, receipt string, again bool) domain.EnqueueResult {
	t.Helper()
	job := workJob(domain.JobOptions{
		KeepCompleted: domain.KeepNone(), Deduplication: domain.Deduplication{Key: "k", Mode: domain.DedupKeepLast},
	})
	job.Receipt, job.Again = receipt, again
	results, err := e.Enqueue(t.Context(), job)
	if err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	return results[0]
}

func TestEnded_isToldOfKeptJobs(t *testing.T) {
	backend := newEndings()
	c := openConsumer(t, backend.Backend, time.Minute)
	backend.keep(t, "owner", false)
	backend.keep(t, "dropped", false)
	backend.want(t, "a job that came while the owner waited", "dropped")
	lease := leaseOne(t, c)
	backend.keep(t, "replaced", false)
	backend.want(t, "a job that is kept")
	backend.keep(t, "kept", false)
	backend.want(t, "one that is kept in its place", "replaced")
	reply, err := c.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 1)
	if err != nil || len(reply.Leases) != 1 {
		t.Fatalf("Settle = %v, %v, want the job that was kept", reply, err)
	}
	backend.want(t, "the completion of the owner", "owner")
	backend.keep(t, "last", false)
	lease = reply.Leases[0]
	settled := []domain.Settlement{{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Returned}}}
	if _, err := c.Settle(t.Context(), settled, 0); err != nil {
		t.Fatalf("Settle = %v, want no error", err)
	}
	backend.want(t, "the return of the job that was kept")
	if _, err := backend.Apply(t.Context(), "work", domain.Operation{Kind: domain.OpDrain}); err != nil {
		t.Fatalf("Apply = %v, want no error", err)
	}
	backend.want(t, "the drain of an owner with a kept job", "last", "kept")
}

func TestEnded_isToldOfAKeptJobWhoseIDIsTaken(t *testing.T) {
	backend := newEndings()
	c := openConsumer(t, backend.Backend, time.Minute)
	backend.keep(t, "owner", false)
	lease := leaseOne(t, c)
	kept := workJob(domain.JobOptions{ID: "taken", Deduplication: domain.Deduplication{Key: "k", Mode: domain.DedupKeepLast}})
	kept.Receipt = "kept"
	enqueue(t, backend.Backend, kept)
	enqueue(t, backend.Backend, workJob(domain.JobOptions{ID: "taken"}))
	settled := []domain.Settlement{{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}
	if _, err := c.Settle(t.Context(), settled, 0); err != nil {
		t.Fatalf("Settle = %v, want no error", err)
	}
	backend.want(t, "the completion of the owner", "kept", "owner")
}

// Jobs of a process that ended come again, and their owner waits by then.
func TestBackend_keepsAgainWhatWasKept(t *testing.T) {
	backend := newEndings()
	backend.keep(t, "owner", true)
	if result := backend.keep(t, "kept", true); result.Status != domain.Deduplicated {
		t.Errorf("Enqueue = %v, want the job deduplicated", result.Status)
	}
	backend.want(t, "two jobs that came again")
	c := openConsumer(t, backend.Backend, time.Minute)
	settleOne(t, c, domain.Outcome{Kind: domain.Completed})
	backend.want(t, "the completion of the owner", "owner")
	settleOne(t, c, domain.Outcome{Kind: domain.Completed})
	backend.want(t, "the completion of the job that was kept", "kept")
}
