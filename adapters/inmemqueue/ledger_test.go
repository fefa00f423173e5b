package inmemqueue_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
)

func TestLedger(t *testing.T) {
	porttest.Ledger(t, porttest.LedgerFeatures{Scope: domain.ScopeHost}, inBubble)
}

// inBubble runs a case on ledgers of its own in virtual time.
func inBubble(t *testing.T, test func(*testing.T, porttest.LedgerHarness)) {
	synctest.Test(t, func(t *testing.T) {
		ledgers := map[string]*inmemqueue.Ledger{}
		test(t, porttest.LedgerHarness{
			Advance: time.Sleep,
			Open: func(_ *testing.T, namespace string) (ports.Ledger, ports.ScheduleSwitch) {
				if ledgers[namespace] == nil {
					ledgers[namespace] = inmemqueue.NewLedger(inmemqueue.LedgerConfig{Namespace: namespace, Now: time.Now})
				}
				return ledgers[namespace], ledgers[namespace]
			},
		})
	})
}

func BenchmarkLedgerClaim(b *testing.B) {
	porttest.BenchLedger(b, func(*testing.B) ports.Ledger {
		return inmemqueue.NewLedger(inmemqueue.LedgerConfig{})
	})
}

func BenchmarkLedgerSync_unchanged(b *testing.B) {
	ledger := inmemqueue.NewLedger(inmemqueue.LedgerConfig{})
	request := domain.SyncRequest{Replica: "ann", Definitions: make([]domain.Definition, 100_000)}
	for i := range request.Definitions {
		request.Definitions[i] = domain.Definition{Job: fmt.Sprint("job-", i), Fingerprint: "v1"}
	}
	b.ReportAllocs()
	for b.Loop() {
		reply, err := ledger.Sync(b.Context(), request)
		if err != nil {
			b.Fatalf("Sync = %v, want no error", err)
		}
		request.Since = reply.Version
	}
}

// ledgerAt returns a ledger whose time is *now, with the job "report".
func ledgerAt(t *testing.T, now *time.Time) *inmemqueue.Ledger {
	t.Helper()
	ledger := inmemqueue.NewLedger(inmemqueue.LedgerConfig{Now: func() time.Time { return *now }})
	register(t, ledger, "ann", "v1")
	return ledger
}

func register(t *testing.T, ledger *inmemqueue.Ledger, replica, fingerprint string) domain.SyncReply {
	t.Helper()
	reply, err := ledger.Sync(t.Context(), domain.SyncRequest{
		Replica: replica, Definitions: []domain.Definition{{Job: "report", Fingerprint: fingerprint}},
	})
	if err != nil {
		t.Fatalf("Sync = %v, want no error", err)
	}
	return reply
}

func byHand(id string) domain.Intent {
	run := domain.RunKey{Job: "report", Origin: domain.OriginManual, OriginID: id}
	return domain.Intent{Run: run, Replica: "ann", Fingerprint: "v1", Slot: domain.SlotFree, Lease: time.Minute}
}

func claimOne(t *testing.T, ledger *inmemqueue.Ledger, intent domain.Intent) domain.Verdict {
	t.Helper()
	verdicts, err := ledger.Claim(t.Context(), []domain.Intent{intent})
	if err != nil {
		t.Fatalf("Claim(%s) = %v, want no error", intent.Run, err)
	}
	return verdicts[0]
}

func runOne(t *testing.T, ledger *inmemqueue.Ledger, intent domain.Intent) domain.VerdictKind {
	t.Helper()
	verdict := claimOne(t, ledger, intent)
	if verdict.Kind == domain.Granted {
		end := domain.RunResult{Claim: verdict.Claim.Ref(), End: domain.EndFinished}
		if held, err := ledger.Finish(t.Context(), []domain.RunResult{end}); err != nil || !held[0] {
			t.Fatalf("Finish(%s) = %v, %v, want it held", intent.Run, held, err)
		}
	}
	return verdict.Kind
}

func TestLedger_forgetsEndedRunsAfterADay(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ledger := ledgerAt(t, &now)
	runOne(t, ledger, byHand("1"))
	now = now.Add(24*time.Hour - time.Second)
	register(t, ledger, "ann", "v1")
	if got := runOne(t, ledger, byHand("1")); got != domain.Taken {
		t.Errorf("the run within the day is %q, want taken", got)
	}
	now = now.Add(time.Second)
	register(t, ledger, "ann", "v1")
	if got := runOne(t, ledger, byHand("1")); got != domain.Granted {
		t.Errorf("the run after a day is %q, want granted", got)
	}
}

func TestLedger_boundsTheMemoryOfEndedRuns(t *testing.T) {
	const bound = 1 << 16
	now := time.Unix(1_000_000, 0)
	ledger := ledgerAt(t, &now)
	for i := range bound + 1 {
		runOne(t, ledger, byHand(fmt.Sprint(i)))
	}
	if got := runOne(t, ledger, byHand("1")); got != domain.Taken {
		t.Errorf("the second run is %q, want taken", got)
	}
	if got := runOne(t, ledger, byHand("0")); got != domain.Granted {
		t.Errorf("the first run is %q, want granted, for it is forgotten", got)
	}
}

func TestLedger_refusesPastTicksWhenTheirRunsAreForgotten(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ledger := ledgerAt(t, &now)
	cursor := now
	tick := func(from time.Time) domain.Intent {
		to := from.Add(time.Second)
		return domain.Intent{
			Run: domain.TickKey("report", to), Replica: "ann", Fingerprint: "v1",
			Move: &domain.CursorMove{From: from, To: to}, Lease: time.Minute,
		}
	}
	for range 1<<15 + 2 {
		if got := runOne(t, ledger, tick(cursor)); got != domain.Granted {
			t.Fatalf("the tick after %s is %q, want granted", cursor, got)
		}
		cursor = cursor.Add(time.Second)
	}
	if got := runOne(t, ledger, tick(now)); got != domain.Taken {
		t.Errorf("the first tick is %q, want taken", got)
	}
}

func TestLedger_remembersTheLatestDefinitionsOnly(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ledger := ledgerAt(t, &now)
	register(t, ledger, "bob", "v1")
	for i := range 40 {
		register(t, ledger, "ann", fmt.Sprint("w", i))
	}
	if state := register(t, ledger, "ann", "w20").Jobs[0]; state.Superseded || state.Revision != 22 {
		t.Errorf("a remembered definition is %+v, want its old revision 22, valid", state)
	}
	if state := register(t, ledger, "cyd", "v1").Jobs[0]; state.Superseded || state.Revision != 42 {
		t.Errorf("a forgotten definition is %+v, want a new revision 42, valid", state)
	}
}

func TestLedger_grantsOneOfManyConcurrentClaims(t *testing.T) {
	const replicas, ticks = 8, 200
	now := time.Unix(1_000_000, 0)
	ledger := ledgerAt(t, &now)
	var group sync.WaitGroup
	granted := make([]int, replicas)
	for r := range replicas {
		group.Go(func() {
			for n := range ticks {
				from, to := now.Add(time.Duration(n)*time.Second), now.Add(time.Duration(n+1)*time.Second)
				verdicts, err := ledger.Claim(t.Context(), []domain.Intent{{
					Run: domain.TickKey("report", to), Replica: fmt.Sprint(r), Fingerprint: "v1",
					Move: &domain.CursorMove{From: from, To: to}, Lease: time.Minute,
				}})
				if err != nil {
					t.Errorf("Claim = %v, want no error", err)
				} else if verdicts[0].Kind == domain.Granted {
					granted[r]++
				}
			}
		})
	}
	group.Wait()
	total := 0
	for _, n := range granted {
		total += n
	}
	if total != ticks {
		t.Errorf("%d claims are granted, want %d", total, ticks)
	}
}
