package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// slots is how many slots a cluster has.
const slots = 1 << 14

// slotOf returns the slot of all keys with the hash tag: the CRC-16 of XMODEM
// over its bytes (Redis Cluster specification, "Key distribution model").
func slotOf(tag string) int {
	const polynomial = 0x1021
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= polynomial
			}
		}
	}
	return int(crc) % slots
}

// isBraced tells whether the prefix keeps all keys in one slot.
func isBraced(prefix string) bool { return strings.HasPrefix(prefix, "{") }

// unbraced says what is wrong with a prefix that would spread a queue over the
// slots of a cluster.
func unbraced(prefix string) string {
	return fmt.Sprintf("queue prefix %s: in a Redis Cluster all keys of the queues must be in one slot; "+
		"put the prefix in braces, here (WORKER_QUEUE_PREFIX={%[2]s}) and in all programs that share the queues (prefix: '{%[2]s}' of BullMQ)",
		domain.Quote(prefix), prefix)
}

// elsewhere is what is wrong with a node that was taken for a server of its own.
const elsewhere = "a node of a Redis Cluster, and the queues are on another one: name the nodes (REDIS_CLUSTER_NODES)"

// clusterFinder asks nodes for the primary that has a slot. All keys of a
// backend have the prefix's hash tag, and so one slot.
type clusterFinder struct {
	guides

	slot  int
	seeds []string
}

func newClusterFinder(c Connection, prefix string) *clusterFinder {
	return &clusterFinder{
		guides: guides{what: "node", as: c.withoutPlaces(), addrs: c.Nodes},
		slot:   slotOf(strings.Trim(prefix, "{}")), seeds: c.Nodes,
	}
}

var errNoOwner = errors.New("no node has the slot of the queues")

// find implements [finder].
func (f *clusterFinder) find(ctx context.Context) (string, error) {
	return f.ask(ctx, func(ctx context.Context, guide *redis.Client, addr string) (string, error) {
		// CLUSTER SHARDS is not in Redis 6.2.
		question := redis.NewClusterSlotsCmd(ctx, "cluster", "slots")
		_ = guide.Process(ctx, question)
		ranges, err := question.Result()
		if err != nil {
			return "", err
		}
		owner := ""
		var nodes []string
		for _, r := range ranges {
			for i, node := range r.Nodes {
				at := reachable(node.Addr, addr)
				nodes = append(nodes, at)
				if i == 0 && r.Start <= f.slot && f.slot <= r.End {
					owner = at
				}
			}
		}
		f.learn(nodes)
		if owner == "" {
			return "", errNoOwner
		}
		return owner, nil
	})
}

// learn remembers nodes, for the seeds may be gone one day.
func (f *clusterFinder) learn(nodes []string) {
	all := append(nodes, f.seeds...)
	slices.Sort(all)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addrs = slices.Compact(all)
}

// isMoved tells whether the error is what a node of a cluster says of keys that
// are not its own. A client that follows the keys makes it into another error.
func isMoved(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), "MOVED ")
}

// isSpread tells whether the error is what a node of a cluster says of keys in
// several slots.
func isSpread(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), "CROSSSLOT ")
}

// reachable returns the address of a node as another one has said it. A node
// that does not know its own host leaves it out: it is the one that was asked.
func reachable(said, asked string) string {
	host, port, err := net.SplitHostPort(said)
	if err != nil || (host != "" && host != "?") {
		return said
	}
	host, _, _ = net.SplitHostPort(asked)
	return net.JoinHostPort(host, port)
}
