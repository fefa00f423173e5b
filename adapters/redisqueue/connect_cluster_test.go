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
	clustered := guardedClusterHarness(t)
	porttest.Queue(t, clustered)
	porttest.Inspector(t, clustered)
	porttest.Limiter(t, clustered)
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

func TestWhatOnlyBullMQHasWorksInACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	backend := openCluster(t, cluster, nil)
	queue, err := backend.Queue("parts")
	if err != nil {
		t.Fatal(err)
	}
	flow, err := backend.AddFlow(t.Context(), redisqueue.FlowNode{
		Queue: "wholes", Name: "whole", Children: []redisqueue.FlowNode{{Queue: "parts", Name: "part"}, {Queue: "parts", Name: "part"}},
	})
	if err != nil || len(flow.Children) != 2 {
		t.Fatalf("AddFlow = %+v, %v, want both children", flow, err)
	}
	if counts, err := queue.Counts(t.Context()); err != nil || counts.Ahead() != 2 {
		t.Errorf("Counts = %+v, %v, want two jobs ahead", counts, err)
	}
	if _, err := queue.UpsertScheduler(t.Context(), redisqueue.Scheduler{ID: "hourly", Every: time.Hour}); err != nil {
		t.Errorf("UpsertScheduler = %v, want no error", err)
	}
	if n, err := queue.CountSchedulers(t.Context()); err != nil || n != 1 {
		t.Errorf("CountSchedulers = %d, %v, want one", n, err)
	}
	if id, err := queue.LastEvent(t.Context()); err != nil || id == "" {
		t.Errorf("LastEvent = %q, %v, want that of the jobs", id, err)
	}
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "parts", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consumer.Reserve(t.Context(), 2); err != nil {
		t.Errorf("Reserve = %v, want the parts", err)
	}
	for until := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		workers, err := queue.Workers(t.Context())
		if err == nil && len(workers) == 1 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("Workers = %v, %v, want the one that took the parts", workers, err)
		}
	}
}

func TestAClusterNeedsAPrefixInBraces(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
