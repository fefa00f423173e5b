package porttest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// DispatcherHarness is a dispatcher of the default namespace with the empty
// ledger and queues that it works on.
type DispatcherHarness struct {
	Dispatcher ports.Dispatcher
	Ledger     ports.Ledger
	Queue      ports.Enqueuer
	Inspector  ports.Inspector
	// Lease is the lease of the claims in the cases and of the dispatcher.
	Lease time.Duration
	// Advance lets time pass in the store.
	Advance func(time.Duration)
}

// RunDispatcherCase runs test with a harness of its own, in a bubble of
// virtual time if that is how the store's time moves.
type RunDispatcherCase func(t *testing.T, test func(*testing.T, DispatcherHarness))

// Dispatcher checks that dispatchers behave as [ports.Dispatcher] says.
func Dispatcher(t *testing.T, run RunDispatcherCase) {
	t.Helper()
	cases := []struct {
		name string
		test func(*dispatchStage)
	}{
		{"a dispatched job is on its queue and its run fired", (*dispatchStage).enqueuesAndFires},
		{"a job without an id gets that of its run", (*dispatchStage).namesTheJob},
		{"a batch serves several queues in order", (*dispatchStage).dispatchesABatch},
		{"an empty batch does nothing", (*dispatchStage).dispatchesNothing},
		{"a run is enqueued once however often it is dispatched", (*dispatchStage).enqueuesOnce},
		{"a job that is on its queue already counts as dispatched", (*dispatchStage).acceptsADuplicate},
		{"a run taken over is dispatched by its new owner alone", (*dispatchStage).fencesTheOldOwner},
		{"a claim that ended enqueues nothing", (*dispatchStage).refusesAnEndedClaim},
		{"a blocked job ends its run and names the owner of the key", (*dispatchStage).endsABlockedRun},
		{"a refused job leaves its claim held and the others alone", (*dispatchStage).isolatesARefusedJob},
		{"a dispatched run frees its slot", (*dispatchStage).freesTheSlot},
		{"a run that is asked to cancel is dispatched all the same", (*dispatchStage).dispatchesACancelledRun},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t *testing.T, h DispatcherHarness) {
				s := &dispatchStage{
					ledgerStage: newLedgerStage(t, LedgerFeatures{Lease: h.Lease}, LedgerHarness{
						Open:    func(*testing.T, string) (ports.Ledger, ports.ScheduleSwitch) { return h.Ledger, nil },
						Advance: h.Advance,
					}),
					harness: h,
				}
				c.test(s)
			})
		})
	}
}

// stageQueue is the queue of the cases.
const stageQueue domain.QueueName = "mail"

// dispatchStage is a dispatcher over a ledger where three replicas registered
// one job.
type dispatchStage struct {
	*ledgerStage

	harness DispatcherHarness
}

// started returns the nth tick, claimed and started by ann.
func (s *dispatchStage) started(n int) domain.Claim {
	s.Helper()
	return s.want(domain.Granted, inSlot(domain.SlotFree, s.tick("ann", n))).Claim
}

// dispatchOf returns the dispatch of a job with an id to the stage's queue.
func dispatchOf(claim domain.Claim, id domain.JobID) domain.Dispatch {
	return domain.Dispatch{
		Claim: claim.Ref(),
		Job:   domain.NewJob{Queue: stageQueue, Name: "send", Data: []byte(`{}`), Options: domain.JobOptions{ID: id}},
	}
}

func (s *dispatchStage) dispatch(dispatches ...domain.Dispatch) []domain.DispatchResult {
	s.Helper()
	results, err := s.harness.Dispatcher.Dispatch(s.Context(), dispatches)
	if err != nil || len(results) != len(dispatches) {
		s.Fatalf("Dispatch(%d) = %d results, %v, want as many and no error", len(dispatches), len(results), err)
	}
	return results
}

func (s *dispatchStage) wantStatus(status domain.DispatchStatus, id domain.JobID, d domain.Dispatch) {
	s.Helper()
	result := s.dispatch(d)[0]
	if result.Status != status || result.ID != id || result.Err != nil {
		s.Errorf("Dispatch(%s) = %+v, want status %d of job %q", d.Claim.Run, result, status, id)
	}
}

// wantQueued checks which jobs wait on the queue.
func (s *dispatchStage) wantQueued(queue domain.QueueName, ids ...domain.JobID) {
	s.Helper()
	views, err := s.harness.Inspector.Jobs(s.Context(), queue, domain.JobFilter{State: domain.StateWait})
	if err != nil && !errors.Is(err, ports.ErrNotFound) {
		s.Fatalf("Jobs = %v, want no error", err)
	}
	got := make([]domain.JobID, len(views))
	for i := range views {
		got[i] = views[i].Job.ID
	}
	if !slices.Equal(got, ids) {
		s.Errorf("queue %s holds %q, want %q", queue, got, ids)
	}
}

func (s *dispatchStage) enqueue(job domain.NewJob) {
	s.Helper()
	results, err := s.harness.Queue.Enqueue(s.Context(), job)
	if err != nil || results[0].Status != domain.Accepted {
		s.Fatalf("Enqueue = %v, %v, want it accepted", results, err)
	}
}

func (s *dispatchStage) enqueuesAndFires() {
	claim := s.started(1)
	s.wantStatus(domain.Dispatched, "one", dispatchOf(claim, "one"))
	s.wantQueued(stageQueue, "one")
	s.wantRenewal(domain.RenewalLost, claim)
	s.wantFinish(true, claim, domain.EndFired)
	s.expire()
	if claims := s.abandoned("bob", 10); len(claims) != 0 {
		s.Errorf("Abandoned = %v, want none", claims)
	}
}

func (s *dispatchStage) namesTheJob() {
	claim := s.started(1)
	id := claim.Run.JobID(domain.DefaultNamespace)
	s.wantStatus(domain.Dispatched, id, dispatchOf(claim, ""))
	s.wantQueued(stageQueue, id)
}

func (s *dispatchStage) dispatchesABatch() {
	first, second, third := dispatchOf(s.started(1), "one"), dispatchOf(s.started(2), "two"), dispatchOf(s.started(3), "three")
	second.Job.Queue = "post"
	for i, result := range s.dispatch(first, second, third) {
		want := []domain.JobID{"one", "two", "three"}[i]
		if result.Status != domain.Dispatched || result.ID != want {
			s.Errorf("result %d is %+v, want job %q dispatched", i, result, want)
		}
	}
	s.wantQueued(stageQueue, "one", "three")
	s.wantQueued("post", "two")
}

func (s *dispatchStage) dispatchesNothing() {
	s.dispatch()
	s.wantQueued(stageQueue)
}

func (s *dispatchStage) enqueuesOnce() {
	d := dispatchOf(s.started(1), "one")
	s.wantStatus(domain.Dispatched, "one", d)
	for range 2 {
		if result := s.dispatch(d)[0]; result.Status == domain.DispatchBlocked || result.Err != nil {
			s.Errorf("Dispatch again = %+v, want it dispatched or lost", result)
		}
	}
	s.wantQueued(stageQueue, "one")
}

func (s *dispatchStage) acceptsADuplicate() {
	claim := s.started(1)
	d := dispatchOf(claim, "one")
	s.enqueue(d.Job)
	s.wantStatus(domain.Dispatched, "one", d)
	s.wantQueued(stageQueue, "one")
	s.wantFinish(true, claim, domain.EndFired)
}

func (s *dispatchStage) fencesTheOldOwner() {
	old := s.started(1)
	s.expire()
	taken := s.wantAbandoned("bob")
	s.wantStatus(domain.DispatchLost, "", dispatchOf(old, "one"))
	s.wantQueued(stageQueue)
	s.wantStatus(domain.Dispatched, "one", dispatchOf(taken, "one"))
	s.wantStatus(domain.DispatchLost, "", dispatchOf(old, "one"))
	s.wantQueued(stageQueue, "one")
}

func (s *dispatchStage) refusesAnEndedClaim() {
	finished, released := s.started(1), s.started(2)
	s.wantFinish(true, finished, domain.EndFinished)
	s.wantFinish(true, released, domain.EndReleased)
	s.wantStatus(domain.DispatchLost, "", dispatchOf(finished, "one"))
	s.wantStatus(domain.DispatchLost, "", dispatchOf(released, "two"))
	s.wantQueued(stageQueue)
}

func (s *dispatchStage) endsABlockedRun() {
	first, second := s.started(1), s.started(2)
	d := dispatchOf(first, "one")
	d.Job.Options.Deduplication = domain.Deduplication{Key: "report"}
	s.wantStatus(domain.Dispatched, "one", d)
	d = dispatchOf(second, "two")
	d.Job.Options.Deduplication = domain.Deduplication{Key: "report"}
	s.wantStatus(domain.DispatchBlocked, "one", d)
	s.wantQueued(stageQueue, "one")
	s.wantRenewal(domain.RenewalLost, second)
	s.wantFinish(true, second, domain.EndFinished)
}

func (s *dispatchStage) isolatesARefusedJob() {
	good, bad := s.started(1), s.started(2)
	refused := dispatchOf(bad, "two")
	refused.Job.Options.Priority = -1
	results := s.dispatch(refused, dispatchOf(good, "one"))
	if r := results[0]; r.Status != 0 || !errors.Is(r.Err, domain.ErrInvalid) {
		s.Errorf("the refused job is %+v, want ErrInvalid", r)
	}
	if r := results[1]; r.Status != domain.Dispatched || r.Err != nil {
		s.Errorf("the good job is %+v, want it dispatched", r)
	}
	s.wantQueued(stageQueue, "one")
	s.wantRenewal(domain.RenewalHeld, bad)
	if r := s.dispatch(refused)[0]; r.Status != 0 || !errors.Is(r.Err, domain.ErrInvalid) {
		s.Errorf("the refused job alone is %+v, want ErrInvalid", r)
	}
}

func (s *dispatchStage) freesTheSlot() {
	holder := s.hold()
	s.wantStatus(domain.Dispatched, "one", dispatchOf(holder, "one"))
	s.want(domain.Granted, inSlot(domain.SlotSkip, s.tick("bob", 1)))
}

func (s *dispatchStage) dispatchesACancelledRun() {
	holder := s.hold()
	s.want(domain.Queued, inSlot(domain.SlotPreempt, s.tick("bob", 1)))
	s.wantStatus(domain.Dispatched, "one", dispatchOf(holder, "one"))
}
