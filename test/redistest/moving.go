package redistest

import (
	"context"
	"slices"
)

// Moving is a slot on its way to another node, as redis-cli moves one: its keys
// are on both.
type Moving struct {
	cluster  *Cluster
	slot     int
	from, to *Server
}

// Move moves the slot with all of its keys, few at a time, to a node that has
// other slots.
func (c *Cluster) Move(slot int, from, to *Server) {
	c.t.Helper()
	c.BeginMove(slot, from, to).Finish()
}

// BeginMove begins to move the slot. No key has moved yet.
func (c *Cluster) BeginMove(slot int, from, to *Server) *Moving {
	c.t.Helper()
	to.must("CLUSTER", "SETSLOT", slot, "IMPORTING", from.text("CLUSTER", "MYID"))
	from.must("CLUSTER", "SETSLOT", slot, "MIGRATING", to.text("CLUSTER", "MYID"))
	return &Moving{cluster: c, slot: slot, from: from, to: to}
}

// few is how many keys move at a time.
const few = 10

// Take moves those of the keys that are chosen, and returns how many.
func (m *Moving) Take(chosen func(key string) bool) int {
	m.cluster.t.Helper()
	const all = 1 << 20
	keys, err := m.from.own().ClusterGetKeysInSlot(context.Background(), m.slot, all).Result()
	if err != nil {
		m.cluster.t.Fatalf("CLUSTER GETKEYSINSLOT = %v, want no error", err)
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return !chosen(key) })
	for some := range slices.Chunk(keys, few) {
		command := []any{"MIGRATE", "127.0.0.1", m.to.Port, "", 0, 5000, "REPLACE", "KEYS"}
		for _, key := range some {
			command = append(command, key)
		}
		m.from.must(command...)
	}
	return len(keys)
}

// Finish moves what is left, and gives the slot to the other node.
func (m *Moving) Finish() {
	m.cluster.t.Helper()
	for m.Take(func(string) bool { return true }) > 0 {
		continue
	}
	id := m.to.text("CLUSTER", "MYID")
	m.to.must("CLUSTER", "SETSLOT", m.slot, "NODE", id)
	m.from.must("CLUSTER", "SETSLOT", m.slot, "NODE", id)
}
