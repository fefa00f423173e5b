package inmemqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
)

// Of two replicas that want the tick of 03:00 one gets it.
func ExampleLedger_Claim() {
	ctx := context.Background()
	midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ledger := inmemqueue.NewLedger(inmemqueue.LedgerConfig{Now: func() time.Time { return midnight }})

	var intents []domain.Intent
	for _, replica := range []string{"ann", "bob"} {
		reply, err := ledger.Sync(ctx, domain.SyncRequest{
			Replica:     replica,
			Definitions: []domain.Definition{{Job: "report", Fingerprint: "0 3 * * * UTC"}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		tick := midnight.Add(3 * time.Hour)
		intents = append(intents, domain.Intent{
			Run: domain.TickKey("report", tick), Replica: replica, Fingerprint: "0 3 * * * UTC",
			Move:  &domain.CursorMove{From: reply.Jobs[0].Cursor, To: tick},
			Lease: 15 * time.Second,
		})
	}

	verdicts, err := ledger.Claim(ctx, intents)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, v := range verdicts {
		fmt.Printf("%s asks for %s: %s %s\n", intents[i].Replica, intents[i].Run, v.Kind, v.Cursor.Format(time.TimeOnly))
	}
	// Output:
	// ann asks for report@2026-01-01T03:00:00Z: granted 03:00:00
	// bob asks for report@2026-01-01T03:00:00Z: taken 03:00:00
}

// A paused job decides its ticks without running them.
func ExampleLedger_PauseJob() {
	ctx := context.Background()
	midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ledger := inmemqueue.NewLedger(inmemqueue.LedgerConfig{Now: func() time.Time { return midnight }})
	definitions := []domain.Definition{{Job: "report", Fingerprint: "hourly"}}
	if _, err := ledger.Sync(ctx, domain.SyncRequest{Replica: "ann", Definitions: definitions}); err != nil {
		fmt.Println(err)
		return
	}
	if err := ledger.PauseJob(ctx, "report"); err != nil {
		fmt.Println(err)
		return
	}

	one := midnight.Add(time.Hour)
	verdicts, err := ledger.Claim(ctx, []domain.Intent{{
		Run: domain.TickKey("report", one), Replica: "ann", Fingerprint: "hourly",
		Move: &domain.CursorMove{From: midnight, To: one}, Lease: 15 * time.Second,
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(verdicts[0].Kind, verdicts[0].Cursor)
	fmt.Println(ledger.PauseJob(ctx, "nobody"))
	// Output:
	// paused 2026-01-01 01:00:00 +0000 UTC
	// job "nobody" of namespace default: not found
}
