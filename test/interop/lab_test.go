package interop_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// patience bounds every wait of the checks.
const patience = 20 * time.Second

// lab is what one check works with: a Redis of its own, Node clients of one
// version, and Takt on the same database.
type lab struct {
	*node.Client

	t      *testing.T
	server *redistest.Server
	redis  *redis.Client

	enqueuer *redisqueue.Backend
}

func newLab(t *testing.T, version string) *lab {
	t.Helper()
	server := redistest.Start(t)
	agent := sharedAgent(t, version)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("stderr of node %s: %s", version, agent.Stderr())
		}
	})
	return &lab{Client: node.Connect(t, agent, server.Addr), t: t, server: server, redis: server.Client()}
}

// as returns a client of another version on the lab's Redis.
func (l *lab) as(version string) *node.Client {
	l.t.Helper()
	return node.Connect(l.t, sharedAgent(l.t, version), l.server.Addr)
}

// labWithoutNode is for checks of Takt alone.
func labWithoutNode(t *testing.T) *lab {
	t.Helper()
	t.Parallel()
	server := redistest.Start(t)
	return &lab{Client: &node.Client{Version: fastVersion}, t: t, server: server, redis: server.Client()}
}

// v6 tells whether the version is a 6.x.
func (l *lab) v6() bool { return l.Version[0] == '6' }

// key returns the name of a key of the queue mail.
func key(name string) string { return "bull:mail:" + name }

// dump returns what the database holds of the queue mail.
func (l *lab) dump() keydump.Dump {
	l.t.Helper()
	dump, err := keydump.Take(l.t.Context(), l.redis, key(""))
	if err != nil {
		l.t.Fatal(err)
	}
	return dump
}

// wantDump checks that the queue mail is as it was in the dump.
func (l *lab) wantDump(when string, want keydump.Dump) {
	l.t.Helper()
	if diff := keydump.Diff(want, l.dump()); diff != "" {
		l.t.Errorf("%s the keys differ (-before +after):\n%s", when, diff)
	}
}

// await waits until the condition holds; what says what is waited for.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
		redistest.Pass(2 * time.Millisecond)
	}
}

// must returns the value of a reply of Redis that is no error.
func must[T any](t *testing.T, reply interface{ Result() (T, error) }) T {
	t.Helper()
	value, err := reply.Result()
	if err != nil {
		t.Fatal(err)
	}
	return value
}
