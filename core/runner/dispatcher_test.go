package runner_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/portmock"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/core/runner"
)

const dispatchLease = 15 * time.Second

func TestDispatcher(t *testing.T) {
	porttest.Dispatcher(t, func(t *testing.T, test func(*testing.T, porttest.DispatcherHarness)) {
		synctest.Test(t, func(t *testing.T) {
			ledger, queue := dispatchStores(t)
			test(t, porttest.DispatcherHarness{
				Dispatcher: runner.NewDispatcher(ledger, queue, domain.DefaultNamespace, dispatchLease),
				Ledger:     ledger, Queue: queue, Inspector: queue,
				Lease: dispatchLease, Advance: time.Sleep,
			})
		})
	})
}

func dispatchStores(t *testing.T) (*inmemqueue.Ledger, *inmemqueue.Backend) {
	t.Helper()
	queue := inmemqueue.New(inmemqueue.Config{Now: time.Now})
	t.Cleanup(func() {
		if err := queue.Close(); err != nil {
			t.Errorf("Close = %v, want no error", err)
		}
	})
	return inmemqueue.NewLedger(inmemqueue.LedgerConfig{Now: time.Now}), queue
}

// errCrash is the end of a process between two steps of a dispatch.
var errCrash = errors.New("crashed")

// crash is a step of a dispatch at which its process dies.
type crash int

const (
	crashBeforeRenew crash = iota
	crashAfterRenew
	crashBeforeEnqueue
	crashAfterEnqueue
	crashBeforeFinish
	crashAfterFinish
	crashes
)

// dyingLedger loses what it did, or does nothing, at its step.
type dyingLedger struct {
	ports.Ledger

	at crash
}

func (l dyingLedger) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	if l.at == crashBeforeRenew {
		return nil, errCrash
	}
	renewals, err := l.Ledger.Renew(ctx, claims, lease)
	if l.at == crashAfterRenew {
		return nil, errCrash
	}
	return renewals, err
}

func (l dyingLedger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	if l.at == crashBeforeFinish {
		return nil, errCrash
	}
	held, err := l.Ledger.Finish(ctx, results)
	if l.at == crashAfterFinish {
		return nil, errCrash
	}
	return held, err
}

type dyingQueue struct {
	ports.Enqueuer

	at crash
}

func (q dyingQueue) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	if q.at == crashBeforeEnqueue {
		return nil, errCrash
	}
	results, err := q.Enqueuer.Enqueue(ctx, jobs...)
	if q.at == crashAfterEnqueue {
		return nil, errCrash
	}
	return results, err
}

func TestDispatcher_enqueuesOnceWhereverItsProcessDies(t *testing.T) {
	for at := range crashes {
		for _, worked := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { dieAndDispatchAgain(t, at, worked) })
		}
	}
}

// dieAndDispatchAgain lets a process die at a step of its dispatch and
// another one take over. If worked, the job is done and removed in between.
func dieAndDispatchAgain(t *testing.T, at crash, worked bool) {
	ledger, queue := dispatchStores(t)
	claim := startTick(t, ledger)
	dying := runner.NewDispatcher(dyingLedger{ledger, at}, dyingQueue{queue, at}, "stage", dispatchLease)
	job := domain.NewJob{Queue: "mail", Name: "send", Data: []byte(`{}`)}
	dispatches := []domain.Dispatch{{Claim: claim.Ref(), Job: job}}
	if results, err := dying.Dispatch(t.Context(), dispatches); !errors.Is(err, errCrash) || results != nil {
		t.Errorf("Dispatch(crash %d) = %v, %v, want the crash", at, results, err)
	}
	enqueued := 0
	if worked {
		enqueued = removeAll(t, queue)
	}

	time.Sleep(dispatchLease)
	taken, err := ledger.Abandoned(t.Context(), "ann", dispatchLease, 1)
	if err != nil {
		t.Fatalf("Abandoned = %v, want no error", err)
	}
	for i := range taken {
		dispatches[0].Claim = taken[i].Ref()
		results, err := runner.NewDispatcher(ledger, queue, "stage", dispatchLease).Dispatch(t.Context(), dispatches)
		want := claim.Run.JobID("stage")
		if err != nil || results[0].Status != domain.Dispatched || results[0].ID != want {
			t.Errorf("Dispatch(after crash %d) = %+v, %v, want job %q dispatched", at, results, err, want)
		}
	}
	if enqueued += removeAll(t, queue); enqueued != 1 {
		t.Errorf("after crash %d, worked %t, the job was enqueued %d times, want once", at, worked, enqueued)
	}
}

// startTick returns the claim of a started tick.
func startTick(t *testing.T, ledger ports.Ledger) domain.Claim {
	t.Helper()
	reply, err := ledger.Sync(t.Context(), domain.SyncRequest{
		Replica: "ann", Definitions: []domain.Definition{{Job: "report", Fingerprint: "v1"}},
	})
	if err != nil {
		t.Fatalf("Sync = %v, want no error", err)
	}
	from := reply.Jobs[0].Cursor
	to := from.Add(time.Second)
	verdicts, err := ledger.Claim(t.Context(), []domain.Intent{{
		Run: domain.TickKey("report", to), Replica: "ann", Fingerprint: "v1",
		Move: &domain.CursorMove{From: from, To: to}, Slot: domain.SlotSkip, Lease: dispatchLease,
	}})
	if err != nil || verdicts[0].Kind != domain.Granted {
		t.Fatalf("Claim = %v, %v, want it granted", verdicts, err)
	}
	return verdicts[0].Claim
}

// removeAll removes the waiting jobs and returns how many there were.
func removeAll(t *testing.T, queue ports.Inspector) int {
	t.Helper()
	removed, err := queue.Apply(t.Context(), "mail", domain.Operation{Kind: domain.OpDrain})
	if err != nil && !errors.Is(err, ports.ErrNotFound) {
		t.Fatalf("Apply(drain) = %v, want no error", err)
	}
	return len(removed)
}

// mockedDispatcher returns a dispatcher over mocks, and two dispatches.
func mockedDispatcher(t *testing.T) (*portmock.MockLedger, *portmock.MockEnqueuer, ports.Dispatcher, []domain.Dispatch) {
	t.Helper()
	control := gomock.NewController(t)
	ledger, queue := portmock.NewMockLedger(control), portmock.NewMockEnqueuer(control)
	dispatches := make([]domain.Dispatch, 2)
	for i := range dispatches {
		run := domain.TickKey("report", time.UnixMilli(int64(1000*(i+1))))
		dispatches[i].Claim = domain.ClaimRef{Run: run, Token: domain.ClaimToken(i + 1)}
		dispatches[i].Job = domain.NewJob{Queue: "mail", Name: "send"}
	}
	return ledger, queue, runner.NewDispatcher(ledger, queue, "stage", dispatchLease), dispatches
}

func held(n int) []domain.Renewal {
	renewals := make([]domain.Renewal, n)
	for i := range renewals {
		renewals[i] = domain.RenewalHeld
	}
	return renewals
}

func TestDispatcher_renewsThenEnqueuesWithReceiptsThenFinishes(t *testing.T) {
	ledger, queue, dispatcher, dispatches := mockedDispatcher(t)
	refs := []domain.ClaimRef{dispatches[0].Claim, dispatches[1].Claim}
	first, second := dispatches[0].Job, dispatches[1].Job
	first.Receipt, first.Options.ID = "stage/report@1970-01-01T00:00:01Z", "tick.stage@report.1000"
	second.Receipt, second.Options.ID = "stage/report@1970-01-01T00:00:02Z", "tick.stage@report.2000"
	gomock.InOrder(
		ledger.EXPECT().Renew(gomock.Any(), refs, dispatchLease).Return(held(2), nil),
		queue.EXPECT().Enqueue(gomock.Any(), first, second).Return([]domain.EnqueueResult{
			{Status: domain.Accepted, ID: "tick.stage@report.1000"}, {Status: domain.ReceiptKnown, ID: "earlier"},
		}, nil),
		ledger.EXPECT().Finish(gomock.Any(), []domain.RunResult{
			{Claim: refs[0], End: domain.EndFired, JobID: "tick.stage@report.1000"},
			{Claim: refs[1], End: domain.EndFired, JobID: "earlier"},
		}).Return([]bool{true, true}, nil),
	)
	results, err := dispatcher.Dispatch(t.Context(), dispatches)
	if err != nil || results[0].Status != domain.Dispatched || results[1].ID != "earlier" {
		t.Errorf("Dispatch = %+v, %v, want both dispatched", results, err)
	}
}

func TestDispatcher_enqueuesNothingForLostClaims(t *testing.T) {
	ledger, _, dispatcher, dispatches := mockedDispatcher(t)
	ledger.EXPECT().Renew(gomock.Any(), gomock.Any(), gomock.Any()).
		Return([]domain.Renewal{domain.RenewalLost, domain.RenewalLost}, nil)
	results, err := dispatcher.Dispatch(t.Context(), dispatches)
	if err != nil || results[0].Status != domain.DispatchLost || results[1].Status != domain.DispatchLost {
		t.Errorf("Dispatch = %+v, %v, want both lost", results, err)
	}
}

func TestDispatcher_isNotBlockedByItsOwnJob(t *testing.T) {
	ledger, queue, dispatcher, dispatches := mockedDispatcher(t)
	ledger.EXPECT().Renew(gomock.Any(), gomock.Any(), gomock.Any()).Return(held(1), nil)
	queue.EXPECT().Enqueue(gomock.Any(), gomock.Any()).
		Return([]domain.EnqueueResult{{Status: domain.Deduplicated, ID: "tick.stage@report.1000"}}, nil)
	ledger.EXPECT().Finish(gomock.Any(), gomock.Any()).Return([]bool{true}, nil)
	if results, err := dispatcher.Dispatch(t.Context(), dispatches[:1]); err != nil || results[0].Status != domain.Dispatched {
		t.Errorf("Dispatch = %+v, %v, want it dispatched", results, err)
	}
}

func TestDispatcher_saysLostWhenTheClaimGoesWhileItEnqueues(t *testing.T) {
	ledger, queue, dispatcher, dispatches := mockedDispatcher(t)
	ledger.EXPECT().Renew(gomock.Any(), gomock.Any(), gomock.Any()).Return(held(1), nil)
	queue.EXPECT().Enqueue(gomock.Any(), gomock.Any()).Return([]domain.EnqueueResult{{Status: domain.Accepted, ID: "1"}}, nil)
	ledger.EXPECT().Finish(gomock.Any(), gomock.Any()).Return([]bool{false}, nil)
	results, err := dispatcher.Dispatch(t.Context(), dispatches[:1])
	if err != nil || results[0] != (domain.DispatchResult{Status: domain.DispatchLost}) {
		t.Errorf("Dispatch = %+v, %v, want it lost", results, err)
	}
}

func TestDispatcher_triesEachJobWhenTheQueueIsFull(t *testing.T) {
	ledger, queue, dispatcher, dispatches := mockedDispatcher(t)
	ledger.EXPECT().Renew(gomock.Any(), gomock.Any(), gomock.Any()).Return(held(2), nil)
	gomock.InOrder(
		queue.EXPECT().Enqueue(gomock.Any(), gomock.Any(), gomock.Any()).Return(nil, ports.ErrQueueFull),
		queue.EXPECT().Enqueue(gomock.Any(), gomock.Any()).Return([]domain.EnqueueResult{{Status: domain.Accepted, ID: "1"}}, nil),
		queue.EXPECT().Enqueue(gomock.Any(), gomock.Any()).Return(nil, ports.ErrQueueFull),
	)
	ledger.EXPECT().Finish(gomock.Any(), gomock.Len(1)).Return([]bool{true}, nil)
	results, err := dispatcher.Dispatch(t.Context(), dispatches)
	if err != nil || results[0].Status != domain.Dispatched || !errors.Is(results[1].Err, ports.ErrQueueFull) || results[1].Status != 0 {
		t.Errorf("Dispatch = %+v, %v, want one dispatched and one refused by a full queue", results, err)
	}
}
