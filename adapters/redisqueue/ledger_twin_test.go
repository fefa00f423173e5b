package redisqueue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/test/ledgertwin"
	"github.com/taktwork/takt/test/redistest"
)

func TestLedger_behavesLikeTheOneInMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	steps := 3000
	if testing.Short() {
		steps = 1000
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			client, keys := server.Client(), "takt:{"+ownPrefix(t)+"}:twin:ledger"
			ledgertwin.Play(t, ledgertwin.Subject{
				Ledger: openLedger(t, server, "twin").WithReplicaLease(ledgertwin.ReplicaLease),
				Age:    func(d time.Duration) error { return ageLedger(t.Context(), client, keys, d) },
			}, seed, steps)
		})
	}
}

// ageLedger takes the time off the leases in the ledger with the keys.
func ageLedger(ctx context.Context, client *redis.Client, keys string, d time.Duration) error {
	for _, key := range []string{":leases", ":seen"} {
		members, err := client.ZRange(ctx, keys+key, 0, -1).Result()
		if err != nil {
			return err
		}
		for _, member := range members {
			if err := client.ZIncrBy(ctx, keys+key, -float64(d.Microseconds()), member).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
