package redistest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of processes on this host. Its methods fail the
// test that it was started for.
type Cluster struct {
	// Primaries are the nodes that have slots at first, Replicas one for each
	// of them, in their order.
	Primaries, Replicas []*Server

	t testing.TB
}

// slots is how many slots a cluster has.
const slots = 1 << 14

// nodeTimeout is how long a node must be silent before the others take its
// place.
const nodeTimeout = 1500 * time.Millisecond

// StartCluster starts a cluster of primaries, each with a replica, which share
// the slots evenly. The settings in args are each node's. It stops with the
// test.
func StartCluster(tb testing.TB, primaries int, args ...string) *Cluster {
	tb.Helper()
	return startCluster(tb, primaries, plain, args...)
}

// startCluster prepares each node before it is started.
func startCluster(tb testing.TB, primaries int, prepare func(*Server), args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{t: tb}
	for i := range 2 * primaries {
		bus := freePort(tb)
		node := startOn(tb, freePort(tb), prepare, append([]string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", strconv.Itoa(bus),
			"--cluster-node-timeout", strconv.FormatInt(nodeTimeout.Milliseconds(), 10),
			// A replica takes over however long it has been without its primary.
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
		}, args...)...)
		if i < primaries {
			c.Primaries = append(c.Primaries, node)
		} else {
			c.Replicas = append(c.Replicas, node)
		}
		node.busPort = bus
	}
	c.shareSlots()
	c.meet()
	return c
}

// Nodes returns all nodes.
func (c *Cluster) Nodes() []*Server { return slices.Concat(c.Primaries, c.Replicas) }

// Addrs returns the addresses of all nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, node := range c.Nodes() {
		addrs = append(addrs, node.Addr)
	}
	return addrs
}

func (c *Cluster) shareSlots() {
	c.t.Helper()
	each := slots / len(c.Primaries)
	for i, node := range c.Primaries {
		first, last := i*each, (i+1)*each-1
		if i == len(c.Primaries)-1 {
			last = slots - 1
		}
		node.must("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		node.must("CLUSTER", "ADDSLOTSRANGE", first, last)
	}
}

// meet has the nodes know one another, and the replicas follow their primaries.
func (c *Cluster) meet() {
	c.t.Helper()
	nodes := c.Nodes()
	for _, node := range nodes[1:] {
		nodes[0].must("CLUSTER", "MEET", "127.0.0.1", node.Port, node.busPort)
	}
	for _, node := range nodes {
		node.await("know all nodes", func() bool {
			return strings.Contains(node.text("CLUSTER", "INFO"), fmt.Sprintf("cluster_known_nodes:%d\r", len(nodes)))
		})
	}
	for i, replica := range c.Replicas {
		id := c.Primaries[i].text("CLUSTER", "MYID")
		replica.await("follow its primary", func() bool { return replica.do("CLUSTER", "REPLICATE", id).Err() == nil })
	}
	for _, node := range nodes {
		node.await("find the cluster well", func() bool {
			return strings.Contains(node.text("CLUSTER", "INFO"), "cluster_state:ok") &&
				strings.Count(node.text("CLUSTER", "NODES"), "slave") == len(c.Replicas)
		})
	}
	for _, replica := range c.Replicas {
		replica.AwaitReplica()
	}
	c.writeDown()
}

// writeDown has each node write down what it knows, once they all agree which
// replica belongs to whom. Valkey 8.0 does not start again from what it wrote
// before (valkey-io/valkey#774).
func (c *Cluster) writeDown() {
	c.t.Helper()
	for _, node := range c.Nodes() {
		node.await("know its shards", func() bool {
			shards, err := node.do("CLUSTER", "SHARDS").Slice()
			return err == nil && len(shards) == len(c.Primaries)
		})
		node.must("CLUSTER", "SAVECONFIG")
	}
}

// Owner returns the primary that has the slot of the key, as most of the nodes
// that answer say. There must be one.
func (c *Cluster) Owner(key string) *Server {
	c.t.Helper()
	votes := map[string]int{}
	slot := c.Slot(key)
	for _, node := range c.Nodes() {
		question := redis.NewClusterSlotsCmd(context.Background(), "CLUSTER", "SLOTS")
		if node.own().Process(context.Background(), question) != nil {
			continue
		}
		ranges := question.Val()
		for _, r := range ranges {
			if r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 {
				_, port, _ := net.SplitHostPort(r.Nodes[0].Addr)
				votes[port]++
			}
		}
	}
	best := ""
	for port, count := range votes {
		if best == "" || count > votes[best] {
			best = port
		}
	}
	return c.node(best)
}

// node returns the node with the port: by it they are told apart, whatever
// hosts they name themselves.
func (c *Cluster) node(port string) *Server {
	c.t.Helper()
	nodes := c.Nodes()
	i := slices.IndexFunc(nodes, func(node *Server) bool { return strconv.Itoa(node.Port) == port })
	if i < 0 {
		c.t.Fatalf("no node of the cluster has the port %q", port)
	}
	return nodes[i]
}

// Slot returns the slot of the key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	for _, node := range c.Nodes() {
		if slot, err := node.own().ClusterKeySlot(context.Background(), key).Result(); err == nil {
			return int(slot)
		}
	}
	c.t.Fatal("no node of the cluster answers")
	return 0
}

// Client returns a client of the whole cluster that is closed with the test.
func (c *Cluster) Client() *redis.ClusterClient {
	c.t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), DisableIdentity: true})
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// FlushAll empties the primaries.
func (c *Cluster) FlushAll() {
	c.t.Helper()
	for _, node := range c.Primaries {
		node.must("FLUSHALL")
	}
}

// AwaitOwner waits until another node than the old one has the slot of the key
// and serves it, and returns that node and when that was seen.
func (c *Cluster) AwaitOwner(key string, old *Server) (*Server, time.Time) {
	c.t.Helper()
	return awaitOther(c.t, c.Nodes(), old, key)
}

// AwaitCalm waits until all nodes find the cluster well, and each replica has
// what its primary has. On a slow machine there may be failovers that nobody
// meant.
func (c *Cluster) AwaitCalm() {
	c.t.Helper()
	for _, node := range c.Nodes() {
		node.await("find the cluster well", func() bool {
			role := node.text("INFO", "replication")
			return strings.Contains(node.text("CLUSTER", "INFO"), "cluster_state:ok") &&
				(strings.Contains(role, "role:master") || strings.Contains(role, "master_link_status:up"))
		})
	}
}

// HandOver has a replica of the owner of the key take its place, with all that
// it has, and returns when that has come about.
func (c *Cluster) HandOver(key string) {
	c.t.Helper()
	old := c.Owner(key)
	for _, node := range c.Nodes() {
		if node.follows(strconv.Itoa(old.Port)) {
			node.takeOver(key)
			c.AwaitCalm()
			return
		}
	}
	c.t.Fatalf("%s has no replica", old.Addr)
}

// takeOver has a replica ask for its primary's place until it has it: a primary
// that is slow to answer keeps it.
func (s *Server) takeOver(key string) {
	s.t.Helper()
	const patience = 6 * time.Second
	for until := time.Now().Add(startPatience); time.Now().Before(until); {
		_ = s.do("CLUSTER", "FAILOVER")
		for asked := time.Now(); time.Since(asked) < patience; Pass(10 * time.Millisecond) {
			if s.do("SET", key, "served", "PX", 1).Err() == nil {
				return
			}
		}
	}
	s.t.Fatalf("%s does not take the place of its primary: %s", s.Addr, s.Log())
}

// awaitOther waits until one of the servers takes writes that is not the old
// one.
func awaitOther(tb testing.TB, servers []*Server, old *Server, key string) (*Server, time.Time) {
	tb.Helper()
	for until := time.Now().Add(startPatience); ; Pass(10 * time.Millisecond) {
		for _, server := range servers {
			if server != old && server.do("SET", key, "served", "PX", 1).Err() == nil {
				return server, time.Now()
			}
		}
		if time.Now().After(until) {
			tb.Fatalf("nobody takes the place of %s: %s", old.Addr, servers[len(servers)-1].Log())
		}
	}
}
