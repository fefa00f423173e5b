package redisqueue_test

import (
	"fmt"
	"testing"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/test/redistest"
)

func BenchmarkLedger(b *testing.B) {
	porttest.BenchLedger(b, func(b *testing.B) ports.Ledger { return openLedger(b, redistest.Start(b), "bench") })
}

func BenchmarkLedgerSync_unchanged(b *testing.B) {
	for _, jobs := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			ledger := openLedger(b, redistest.Start(b), "bench")
			request := domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(jobs, "v1")}
			b.ReportAllocs()
			for b.Loop() {
				reply, err := ledger.Sync(b.Context(), request)
				if err != nil {
					b.Fatalf("Sync = %v, want no error", err)
				}
				request.Since = reply.Version
			}
		})
	}
}

func BenchmarkLedgerSync_first(b *testing.B) {
	ledger := openLedger(b, redistest.Start(b), "bench")
	definitions := manyDefinitions(10_000, "v1")
	for n := 0; b.Loop(); n++ {
		request := domain.SyncRequest{Replica: fmt.Sprint("replica-", n), Definitions: definitions}
		if reply, err := ledger.Sync(b.Context(), request); err != nil || len(reply.Jobs) != len(definitions) {
			b.Fatalf("Sync = %d jobs, %v, want all and no error", len(reply.Jobs), err)
		}
	}
}

func manyDefinitions(n int, fingerprint string) []domain.Definition {
	definitions := make([]domain.Definition, n)
	for i := range definitions {
		definitions[i] = domain.Definition{Job: fmt.Sprintf("job-%05d", i), Fingerprint: fingerprint}
	}
	return definitions
}

// BenchmarkDispatcher measures what a tick with a queue target costs in
// batches of a hundred: its claim, and its job on the queue.
func BenchmarkDispatcher(b *testing.B) {
	const batch = 100
	backend := openIn(b, redistest.Start(b), "bench")
	ledger, dispatcher := backend.Ledger(), backend.Dispatcher()
	syncLedger(b, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})
	intents, dispatches := make([]domain.Intent, batch), make([]domain.Dispatch, batch)
	b.ReportAllocs()
	for done := 0; b.Loop(); done++ {
		if done%batch > 0 {
			continue
		}
		for i := range intents {
			intents[i] = byHand("job-00000", fmt.Sprint(done+i))
		}
		for i, v := range claimAll(b, ledger, intents...) {
			dispatches[i] = dispatchOf(v.Claim)
		}
		results, err := dispatcher.Dispatch(b.Context(), dispatches)
		if err != nil || results[0].Status != domain.Dispatched {
			b.Fatalf("Dispatch = %+v, %v, want it dispatched", results[0], err)
		}
	}
}
