package redisqueue

import (
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// keys names what a backend keeps in Redis.
type keys struct {
	// prefix is BullMQ's, own is that of Takt's keys of the namespace.
	prefix, own string
}

// newKeys returns the names for BullMQ's prefix and the namespace. Takt's own
// keys share the hash tag of the queues, so that one script may reach both on
// a cluster: the prefix {bull} and the key takt:{bull}:… are in one slot.
func newKeys(prefix, namespace string) keys {
	return keys{prefix: prefix, own: "takt:{" + strings.Trim(prefix, "{}") + "}:" + namespace + ":"}
}

// queue returns what the names of all keys of the queue begin with.
func (k keys) queue(name domain.QueueName) string { return k.prefix + ":" + string(name) + ":" }

// session returns the key that holds the reply to the session's latest call.
func (k keys) session(id string) string { return k.own + "session:" + id }

// probe returns a key to write to for the sake of it.
func (k keys) probe() string { return k.own + "probe" }

// void returns a key that never exists.
func (k keys) void() string { return k.own + "void" }

// receipts returns what the names of receipts begin with.
func (k keys) receipts() string { return k.own + "receipt:" }

// parked returns the key of the names of the queue's parked jobs by id.
func (k keys) parked(name domain.QueueName) string { return k.own + "parked:" + string(name) }

// ledger returns the ledger's key, which is also what the names of all others
// of its keys begin with.
func (k keys) ledger() string { return k.own + "ledger" }
