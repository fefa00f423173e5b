package redisqueue_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

// staleSentinel names one server until it has been asked a few times, and then
// another one: for a while it is cut off from the other sentinels.
type staleSentinel struct {
	net.Listener

	mu            sync.Mutex
	before, after *redistest.Server
	asked         int
}

func startStale(t *testing.T, before, after *redistest.Server) *staleSentinel {
	t.Helper()
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Listen = %v, want no error", err)
	}
	s := &staleSentinel{Listener: listener, before: before, after: after}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
	})
	return s
}

// serve answers the questions of one client, which come in one piece each.
func (s *staleSentinel) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // asked and done
	reader := bufio.NewReader(conn)
	for {
		var args int
		if _, err := fmt.Fscanf(reader, "*%d\r\n", &args); err != nil {
			return
		}
		var words []string
		for range args {
			_, _ = reader.ReadString('\n')
			word, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			words = append(words, strings.TrimSpace(word))
		}
		if _, err := fmt.Fprint(conn, s.answer(words)); err != nil {
			return
		}
	}
}

func (s *staleSentinel) answer(words []string) string {
	if words[0] != "sentinel" {
		return "-ERR unknown command\r\n"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	server := s.before
	if s.asked > 2 {
		server = s.after
	}
	port := fmt.Sprint(server.Port)
	return fmt.Sprintf("*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len(port), port)
}

// A server that says of itself that it is a replica is not the one: a start
// asks again who is.
func TestAwaitLeavesAReplicaForThePrimary(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", primary.Port))
	replica.AwaitReplica()
	stale := startStale(t, replica, primary)
	backend, log := awaiting(t, redisqueue.Connection{Sentinel: &redisqueue.Sentinel{
		Primary: "queues", Addrs: []string{stale.Addr().String()},
	}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := backend.Await(ctx); err != nil {
		t.Errorf("Await = %v, want the primary found: %s", err, log)
	}
}
