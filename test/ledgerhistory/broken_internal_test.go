package ledgerhistory

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func inMemory() ports.Ledger { return inmemqueue.NewLedger(inmemqueue.LedgerConfig{}) }

// generous grants ticks that others have.
type generous struct{ ports.Ledger }

func (g generous) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	verdicts, err := g.Ledger.Claim(ctx, intents)
	for i := range verdicts {
		if verdicts[i].Kind == domain.Taken {
			verdicts[i].Kind, verdicts[i].Claim.Token = domain.Granted, 1<<60
		}
	}
	return verdicts, err
}

// unfenced renews claims that are lost.
type unfenced struct{ ports.Ledger }

func (u unfenced) Renew(_ context.Context, claims []domain.ClaimRef, _ time.Duration) ([]domain.Renewal, error) {
	return slices.Repeat([]domain.Renewal{domain.RenewalHeld}, len(claims)), nil
}

// deaf says that it ended claims, and does not.
type deaf struct{ ports.Ledger }

func (d deaf) Finish(_ context.Context, results []domain.RunResult) ([]bool, error) {
	return slices.Repeat([]bool{true}, len(results)), nil
}

// stale names a cursor that was.
type stale struct{ ports.Ledger }

func (s stale) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	verdicts, err := s.Ledger.Claim(ctx, intents)
	for i := range verdicts {
		if intents[i].MoveOnly && verdicts[i].Kind == domain.Moved {
			verdicts[i].Cursor = intents[i].Move.From
		}
	}
	return verdicts, err
}

// shaky hands out tokens that do not grow.
type shaky struct{ ports.Ledger }

func (s shaky) Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	claims, err := s.Ledger.Abandoned(ctx, replica, lease, limit)
	for i := range claims {
		claims[i].Token = 1
	}
	return claims, err
}

func TestBrokenLedgersAreFound(t *testing.T) {
	for name, open := range map[string]func() []ports.Ledger{
		"two that share nothing": func() []ports.Ledger { return []ports.Ledger{inMemory(), inMemory()} },
		"grants a tick twice":    func() []ports.Ledger { return []ports.Ledger{generous{inMemory()}} },
		"renews what is lost":    func() []ports.Ledger { return []ports.Ledger{unfenced{inMemory()}} },
		"does not end runs":      func() []ports.Ledger { return []ports.Ledger{deaf{inMemory()}} },
		"names an old cursor":    func() []ports.Ledger { return []ports.Ledger{stale{inMemory()}} },
		"gives out an old token": func() []ports.Ledger { return []ports.Ledger{shaky{inMemory()}} },
	} {
		t.Run(name, func(t *testing.T) {
			const histories = 20
			for seed := range histories {
				ledgers := open()
				for _, other := range ledgers[1:] {
					register(t, other)
				}
				history, base := record(t, seed, ledgers)
				if porcupine.CheckOperationsTimeout(modelFrom(base), history, patience) == porcupine.Illegal {
					return
				}
			}
			t.Errorf("%d histories of a broken ledger are all linearizable, want one that is not", histories)
		})
	}
}

func TestTheLedgerInMemoryIsLinearizable(t *testing.T) {
	Check(t, Count(200), func(*testing.T, int) []ports.Ledger { return []ports.Ledger{inMemory()} })
}
