package storage_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/test/ledgertwin"
)

func TestLedger_behavesLikeTheOneInMemory(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(name, " seed ", seed), func(t *testing.T) {
				t.Parallel()
				db := open(t)
				ledgertwin.Play(t, twinOf(db), seed, 1000)
			})
		}
	}
}

func twinOf(db *storage.DB) ledgertwin.Subject {
	return ledgertwin.Subject{
		Ledger:        db.Ledger("twin").WithReplicaLease(ledgertwin.ReplicaLease),
		ForgetsOwners: true,
		Age: func(d time.Duration) error {
			for _, column := range []string{"ledger_claims SET deadline_us = deadline_us", "ledger_replicas SET seen_us = seen_us"} {
				if _, err := db.Bun().NewRaw("UPDATE "+column+" - ?", d.Microseconds()).Exec(context.Background()); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
