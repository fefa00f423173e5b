package storage_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
)

// Leases in real time: long enough for a busy machine, short enough to wait for.
const (
	claimLease   = 400 * time.Millisecond
	replicaLease = 600 * time.Millisecond
)

func TestLedger_onSQLite(t *testing.T) { testLedger(t, domain.ScopeHost, openSQLite) }

func TestLedger_onPostgres(t *testing.T) { testLedger(t, domain.ScopeFleet, openPostgres) }

func testLedger(t *testing.T, scope domain.Scope, open func(testing.TB) *storage.DB) {
	t.Helper()
	features := porttest.LedgerFeatures{Scope: scope, Lease: claimLease, ReplicaLease: replicaLease, Steps: 200}
	db, tests := open(t), new(atomic.Int64)
	porttest.Ledger(t, features, func(t *testing.T, test func(*testing.T, porttest.LedgerHarness)) {
		t.Parallel()
		number := tests.Add(1)
		test(t, porttest.LedgerHarness{
			Advance: func(d time.Duration) { <-time.After(d) },
			Open: func(_ *testing.T, namespace string) (ports.Ledger, ports.ScheduleSwitch) {
				ledger := db.Ledger(fmt.Sprint(number, namespace)).WithReplicaLease(replicaLease)
				return ledger, ledger
			},
		})
	})
}
