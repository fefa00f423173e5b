package redisqueue_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/test/redistest"
)

// guardedFile is deploy/redis-acl.conf for the prefix, whose user has the rights
// in more as well.
func guardedFile(t *testing.T, prefix, more string) string {
	t.Helper()
	text, err := os.ReadFile(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(canary))
	mine := strings.NewReplacer(
		passwordHash, "#"+hex.EncodeToString(hash[:]), "~bull:*", "~"+prefix+":*", "{bull}", "{"+strings.Trim(prefix, "{}")+"}", " -@all", " -@all"+more,
	).Replace(string(text))
	file := filepath.Join(t.TempDir(), "redis-acl.conf")
	if err := os.WriteFile(file, []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// startGuarded starts a server whose redis.conf includes deploy/redis-acl.conf,
// with the prefix in the place of bull. Its default user is the test's own.
func startGuarded(t *testing.T, prefix string) (*redistest.Server, redisqueue.Connection) {
	t.Helper()
	server := redistest.Start(t, "--include", guardedFile(t, prefix, ""))
	return server, redisqueue.Connection{Addr: server.Addr, Username: "takt", Password: domain.NewSecret(canary)}
}

// wantNoRefusals checks in the end that the server never refused the user a
// thing.
func wantNoRefusals(t *testing.T, server *redistest.Server) {
	t.Helper()
	client, ctx := server.Client(), context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if log, err := client.Do(ctx, "ACL", "LOG").Slice(); err != nil || len(log) != 0 {
			t.Errorf("ACL LOG = %v, %v, want nothing refused", log, err)
		}
	})
}

// guardedHarness has workers of deploy/redis-acl.conf, on a server that is to
// refuse them nothing: what conforms with the least rights does so with more.
func guardedHarness(t *testing.T) porttest.QueueHarness {
	t.Helper()
	server, connection := startGuarded(t, ownPrefix(t)+"*")
	wantNoRefusals(t, server)
	return harness(func(t testing.TB, change func(*redisqueue.Config)) *redisqueue.Backend {
		t.Helper()
		return open(t, server, func(c *redisqueue.Config) {
			c.Connection, c.Prefix = connection, ownPrefix(t)
			change(c)
		})
	})
}

// guardedClusterHarness is guardedHarness in a cluster, with queues on all of its
// nodes.
func guardedClusterHarness(t *testing.T) porttest.QueueHarness {
	t.Helper()
	cluster := redistest.StartCluster(t, 3, "--include", guardedFile(t, "{"+ownPrefix(t)+"*}", ""))
	for _, node := range cluster.Nodes() {
		wantNoRefusals(t, node)
	}
	return harness(func(t testing.TB, change func(*redisqueue.Config)) *redisqueue.Backend {
		t.Helper()
		return openCluster(t, cluster, func(c *redisqueue.Config) {
			c.Connection.Username, c.Connection.Password, c.Prefix = "takt", domain.NewSecret(canary), "{"+ownPrefix(t)+"}"
			change(c)
		})
	})
}

func TestAWorkerOfTheRightsFileReadsAndPublishesEvents(t *testing.T) {
	t.Parallel()
	server, connection := startGuarded(t, "bull")
	wantNoRefusals(t, server)
	backend := open(t, server, func(c *redisqueue.Config) { c.Connection = connection })
	queue, err := backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queue.PublishEvent(t.Context(), "mine", nil); err != nil {
		t.Fatalf("PublishEvent = %v, want no error", err)
	}
	for event, err := range queue.Events(t.Context(), redisqueue.EventsFromStart) {
		if err != nil || event.Name != "mine" {
			t.Errorf("event %+v, %v, want the one that was published", event, err)
		}
		break
	}
	if _, err := queue.WaitUntilFinished(t.Context(), "1"); !errors.Is(err, ports.ErrNotFound) {
		t.Errorf("WaitUntilFinished = %v, want %v", err, ports.ErrNotFound)
	}
}

func TestAWorkerOfTheRightsFileDoesNothingElse(t *testing.T) {
	server, connection := startGuarded(t, "bull")
	client := redisqueue.NewClient(connection, "bull")
	defer client.Close() //nolint:errcheck // the test is over
	for _, command := range []string{
		"KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE", "FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "CONFIG GET *", "CONFIG SET maxmemory 1", "DEBUG SLEEP 0",
		"SCRIPT FLUSH", "SCRIPT LOAD x", "FUNCTION FLUSH", "ACL WHOAMI", "ACL LIST", "MONITOR", "CLIENT LIST", "CLIENT KILL ID 1", "CLIENT PAUSE 1",
		"REPLICAOF NO ONE", "SHUTDOWN NOSAVE", "SAVE", "BGREWRITEAOF", "MIGRATE h 1 k 0 1", "MODULE LIST", "CLUSTER INFO", "SUBSCRIBE x", "PUBLISH x y",
		"RESTORE bull:x 0 y", "DUMP bull:x", "OBJECT ENCODING bull:x", "SLOWLOG GET", "LATENCY RESET",
		"GET other:x", "HGETALL bullet:q:1", "GET takt:{other}:default:x",
	} {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		if err := client.Do(t.Context(), args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%s = %v, want NOPERM", command, err)
		}
	}
	// Scripts have no more rights than their caller.
	for _, script := range []string{"return redis.call('KEYS', '*')", "return redis.call('GET', 'other:x')", "return redis.call('FLUSHALL')"} {
		err := client.Eval(t.Context(), script, nil).Err()
		if err == nil || (!strings.Contains(err.Error(), "user executing the script can't") && !strings.Contains(err.Error(), "ACL failure in script")) {
			t.Errorf("EVAL %q = %v, want it refused", script, err)
		}
	}
	if info, err := server.Client().Info(t.Context(), "commandstats").Result(); err != nil || !strings.Contains(info, "cmdstat_flushall:calls=0,") {
		t.Errorf("INFO commandstats = %s, %v, want FLUSHALL never run", info, err)
	}
}

func TestTheRightsFileAsItIsOpensNothing(t *testing.T) {
	text, err := os.ReadFile(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	var words []any
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, "user "); is {
			words = append(words, "ACL", "SETUSER")
			for word := range strings.FieldsSeq(rest) {
				words = append(words, word)
			}
		}
	}
	err = redistest.Start(t).Client().Do(t.Context(), words...).Err()
	if err == nil || !strings.Contains(err.Error(), "hash") {
		t.Errorf("ACL SETUSER with the placeholder = %v, want its hash refused", err)
	}
}
