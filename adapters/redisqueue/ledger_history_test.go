package redisqueue_test

import (
	"fmt"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/ledgerhistory"
	"github.com/taktwork/takt/test/redistest"
)

func TestLedger_isLinearizable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	prefix := ownPrefix(t)
	ledgerhistory.Check(t, ledgerhistory.Count(25), func(t *testing.T, n int) []ports.Ledger {
		ledgers := make([]ports.Ledger, 3)
		for i := range ledgers {
			ledgers[i] = open(t, server, func(c *redisqueue.Config) {
				c.Prefix, c.Namespace = prefix, fmt.Sprint("history-", n)
			}).Ledger()
		}
		return ledgers
	})
}
