package porttest

import (
	"fmt"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// BenchLedger measures what ticks cost a ledger: one operation is the claim
// of a tick that starts at once, and its end, of one among many jobs, in
// batches as they come when many jobs are due at one instant.
func BenchLedger(b *testing.B, open func(*testing.B) ports.Ledger) {
	b.Helper()
	for _, batch := range []int{1, 100, 100_000} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { benchLedger(b, open(b), batch) })
	}
}

func benchLedger(b *testing.B, ledger ports.Ledger, batch int) {
	b.Helper()
	definitions := make([]domain.Definition, batch)
	for i := range definitions {
		definitions[i] = domain.Definition{Job: fmt.Sprintf("job-%d", i), Fingerprint: stagePrint}
	}
	reply, err := ledger.Sync(b.Context(), domain.SyncRequest{Replica: "ann", Definitions: definitions})
	if err != nil {
		b.Fatalf("Sync = %v, want no error", err)
	}
	cursors := make(map[string]time.Time, batch)
	for i := range reply.Jobs {
		cursors[reply.Jobs[i].Job] = reply.Jobs[i].Cursor
	}
	moves := make([]domain.CursorMove, batch)
	for i := range moves {
		moves[i].To = cursors[definitions[i].Job]
	}
	intents := make([]domain.Intent, batch)
	results := make([]domain.RunResult, batch)
	b.ReportAllocs()
	for done := 0; b.Loop(); done++ {
		if done%batch > 0 {
			continue
		}
		for i := range intents {
			moves[i] = domain.CursorMove{From: moves[i].To, To: moves[i].To.Add(time.Second)}
			intents[i] = domain.Intent{
				Run: domain.TickKey(definitions[i].Job, moves[i].To), Replica: "ann", Fingerprint: stagePrint,
				Move: &moves[i], Slot: domain.SlotSkip, Lease: 15 * time.Second,
			}
		}
		benchTicks(b, ledger, intents, results)
	}
}

func benchTicks(b *testing.B, ledger ports.Ledger, intents []domain.Intent, results []domain.RunResult) {
	b.Helper()
	verdicts, err := ledger.Claim(b.Context(), intents)
	if err != nil {
		b.Fatalf("Claim = %v, want no error", err)
	}
	for i := range verdicts {
		if verdicts[i].Kind != domain.Granted {
			b.Fatalf("tick %s is %q, want granted", intents[i].Run, verdicts[i].Kind)
		}
		results[i] = domain.RunResult{Claim: verdicts[i].Claim.Ref(), End: domain.EndFired}
	}
	if _, err := ledger.Finish(b.Context(), results); err != nil {
		b.Fatalf("Finish = %v, want no error", err)
	}
}
