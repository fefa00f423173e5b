package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Sentinels are servers of which one is the primary, and the sentinels that
// watch over them. Its methods fail the test that they were started for.
type Sentinels struct {
	// Name is what the sentinels call the primary.
	Name string
	// Servers are the primary, as which the first began, and its replicas.
	Servers []*Server
	// Sentinels are the sentinels. Two of them agree on a failover.
	Sentinels []*Server

	t testing.TB
}

// downAfter is how long a server must be silent before a sentinel takes it for
// down.
const downAfter = time.Second

// StartSentinels starts a primary with so many replicas and three sentinels.
// The settings in args are those of the servers. They stop with the test.
func StartSentinels(tb testing.TB, replicas int, args ...string) *Sentinels {
	tb.Helper()
	s := &Sentinels{Name: "queues", t: tb}
	args = append([]string{"--repl-diskless-sync-delay", "0"}, args...)
	primary := Start(tb, args...)
	s.Servers = []*Server{primary}
	for range replicas {
		replica := Start(tb, append([]string{"--replicaof", "127.0.0.1 " + strconv.Itoa(primary.Port)}, args...)...)
		s.Servers = append(s.Servers, replica)
	}
	for _, replica := range s.Servers[1:] {
		replica.AwaitReplica()
	}
	const quorum = 2
	for range 3 {
		s.Sentinels = append(s.Sentinels, startSentinel(tb, s.Name, primary.Port, quorum))
	}
	for _, sentinel := range s.Sentinels {
		sentinel.await("know the others", func() bool {
			return strings.Contains(sentinel.text("INFO", "sentinel"), fmt.Sprintf("slaves=%d,sentinels=3", replicas))
		})
	}
	return s
}

// Addrs returns the addresses of the sentinels.
func (s *Sentinels) Addrs() []string {
	var addrs []string
	for _, sentinel := range s.Sentinels {
		addrs = append(addrs, sentinel.Addr)
	}
	return addrs
}

// Primary returns the server that the sentinels have for the primary.
func (s *Sentinels) Primary() *Server {
	s.t.Helper()
	for _, sentinel := range s.Sentinels {
		place, err := sentinel.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Name).StringSlice()
		if err != nil || len(place) != 2 {
			continue
		}
		for _, server := range s.Servers {
			if strconv.Itoa(server.Port) == place[1] {
				return server
			}
		}
	}
	s.t.Fatal("no sentinel knows a primary")
	return nil
}

func startSentinel(tb testing.TB, name string, port, quorum int) *Server {
	tb.Helper()
	s := newServer(tb, freePort(tb))
	file := filepath.Join(s.Dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nlogfile %s\n", s.Port, s.Dir, filepath.Join(s.Dir, "redis.log")) +
		fmt.Sprintf("sentinel monitor %s %s %d %d\n", name, "127.0.0.1", port, quorum) +
		fmt.Sprintf("sentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 5000\n", name, downAfter.Milliseconds(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatalf("write sentinel.conf: %v", err)
	}
	s.args = []string{file, "--sentinel"}
	s.launch()
	tb.Cleanup(s.Kill)
	return s
}

// AwaitPrimary waits until another server than the old one takes writes, and
// returns it and when that was seen.
func (s *Sentinels) AwaitPrimary(old *Server) (*Server, time.Time) {
	s.t.Helper()
	return awaitOther(s.t, s.Servers, old, "served")
}
