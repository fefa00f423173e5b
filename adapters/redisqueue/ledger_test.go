package redisqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/test/redistest"
)

// Leases in real time: long enough for a busy machine, short enough to wait for.
const (
	claimLease   = 400 * time.Millisecond
	replicaLease = 600 * time.Millisecond
)

// TestLedger has replicas with the rights of deploy/redis-acl.conf alone.
func TestLedger(t *testing.T) {
	t.Parallel()
	server, connection := startGuarded(t, ownPrefix(t)+"*")
	wantNoRefusals(t, server)
	features := porttest.LedgerFeatures{Scope: domain.ScopeFleet, Lease: claimLease, ReplicaLease: replicaLease, Steps: 200}
	porttest.Ledger(t, features, func(t *testing.T, test func(*testing.T, porttest.LedgerHarness)) {
		t.Parallel()
		test(t, porttest.LedgerHarness{
			Advance: func(d time.Duration) { <-time.After(d) },
			Open: func(t *testing.T, namespace string) (ports.Ledger, ports.ScheduleSwitch) {
				backend := open(t, server, func(c *redisqueue.Config) {
					c.Connection, c.Prefix, c.Namespace = connection, ownPrefix(t), namespace
				})
				ledger := backend.Ledger().WithReplicaLease(replicaLease)
				return ledger, ledger
			},
		})
	})
}

// openLedger returns the ledger of a namespace that is the test's own.
func openLedger(t testing.TB, server *redistest.Server, namespace string) *redisqueue.Ledger {
	t.Helper()
	backend := open(t, server, func(c *redisqueue.Config) {
		c.Prefix, c.Namespace = ownPrefix(t), namespace
	})
	return backend.Ledger().WithReplicaLease(replicaLease)
}

// ownPrefix returns a prefix of keys that no other test has.
func ownPrefix(t testing.TB) string {
	t.Helper()
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
}
