package storage_test

import (
	"fmt"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/ledgerhistory"
)

func TestLedger_isLinearizable(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			ledgerhistory.Check(t, ledgerhistory.Count(25), func(_ *testing.T, n int) []ports.Ledger {
				namespace := fmt.Sprint("history-", n)
				return []ports.Ledger{db.Ledger(namespace), db.Ledger(namespace), db.Ledger(namespace)}
			})
		})
	}
}
