package redisqueue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/test/redistest"
)

// openCluster returns a backend of the cluster, closed with the test.
func openCluster(t testing.TB, cluster *redistest.Cluster, change func(*redisqueue.Config)) *redisqueue.Backend {
	t.Helper()
	return open(t, cluster.Primaries[0], func(c *redisqueue.Config) {
		c.Connection, c.Prefix = redisqueue.Connection{Nodes: cluster.Addrs()}, "{bull}"
		if change != nil {
			change(c)
		}
	})
}

func TestQueueConformsInACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	clustered := harness(cluster.Primaries[0])
	clustered.Open = func(t testing.TB, limits porttest.QueueLimits) porttest.QueueBackend {
		t.Helper()
		cluster.FlushAll()
		backend := openCluster(t, cluster, func(c *redisqueue.Config) { c.MaxPayload = limits.MaxPayload })
		return porttest.QueueBackend{Enqueuer: backend, OpenConsumer: backend.OpenConsumer, Inspector: backend}
	}
	porttest.Queue(t, clustered)
	porttest.Inspector(t, clustered)
}

func TestLedgerConformsInACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	features := porttest.LedgerFeatures{Scope: domain.ScopeFleet, Lease: claimLease, ReplicaLease: replicaLease, Steps: 50}
	porttest.Ledger(t, features, func(t *testing.T, test func(*testing.T, porttest.LedgerHarness)) {
		t.Parallel()
		test(t, porttest.LedgerHarness{
			Advance: func(d time.Duration) { <-time.After(d) },
			Open: func(t *testing.T, namespace string) (ports.Ledger, ports.ScheduleSwitch) {
				backend := openCluster(t, cluster, func(c *redisqueue.Config) {
					c.Prefix, c.Namespace = "{"+ownPrefix(t)+"}", namespace
				})
				ledger := backend.Ledger().WithReplicaLease(replicaLease)
				return ledger, ledger
			},
		})
	})
}

func TestAClusterNeedsAPrefixInBraces(t *testing.T) {
	cluster := redistest.StartCluster(t, 2)
	const advice = "WORKER_QUEUE_PREFIX={shop}"
	_, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Nodes: cluster.Addrs()}, Prefix: "shop"})
	if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), advice) {
		t.Errorf("New = %v, want %v with %s", err, domain.ErrInvalid, advice)
	}
	for _, node := range cluster.Primaries {
		// Taken for a server of its own.
		backend := open(t, node, func(c *redisqueue.Config) { c.Prefix = "shop" })
		if err := backend.Await(t.Context()); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), advice) {
			t.Errorf("Await = %v, want %v with %s", err, domain.ErrInvalid, advice)
		}
		_, err := backend.Enqueue(t.Context(), domain.NewJob{Queue: "mail", Name: "send"})
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), advice) {
			t.Errorf("Enqueue = %v, want %v with %s", err, domain.ErrInvalid, advice)
		}
	}
	for _, node := range cluster.Nodes() {
		if size, err := node.Client().DBSize(t.Context()).Result(); err != nil || size != 0 {
			t.Errorf("%s has %d keys, %v, want nothing written", node.Addr, size, err)
		}
	}
}

func TestAConnectionIsForWhatTheServerIs(t *testing.T) {
	cluster, single := redistest.StartCluster(t, 2), redistest.Start(t)
	owner := cluster.Owner("{bull}")
	for _, node := range cluster.Primaries {
		backend := open(t, node, func(c *redisqueue.Config) { c.Prefix = "{bull}" })
		err := backend.Await(t.Context())
		if node == owner {
			if err != nil {
				t.Errorf("Await with the node of the queues = %v, want no error", err)
			}
			continue
		}
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "REDIS_CLUSTER_NODES") {
			t.Errorf("Await with another node = %v, want %v with REDIS_CLUSTER_NODES", err, domain.ErrInvalid)
		}
	}
	backend := open(t, single, func(c *redisqueue.Config) {
		c.Connection, c.Prefix = redisqueue.Connection{Nodes: []string{single.Addr}}, "{bull}"
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := backend.Await(ctx); err == nil || !strings.Contains(err.Error(), "cluster support disabled") {
		t.Errorf("Await of a cluster that is none = %v, want that it has no cluster support", err)
	}
}
