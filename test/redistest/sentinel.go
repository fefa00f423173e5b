package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	return startSentinels(tb, replicas, plain, args...)
}

// startSentinels prepares each server and sentinel before it is started.
func startSentinels(tb testing.TB, replicas int, prepare func(*Server), args ...string) *Sentinels {
	tb.Helper()
	s := &Sentinels{Name: "queues", t: tb}
	args = append([]string{"--repl-diskless-sync-delay", "0"}, args...)
	primary := startOn(tb, freePort(tb), prepare, args...)
	s.Servers = []*Server{primary}
	for range replicas {
		settings := append([]string{"--replicaof", "127.0.0.1 " + strconv.Itoa(primary.Port)}, args...)
		replica := startOn(tb, freePort(tb), prepare, settings...)
		s.Servers = append(s.Servers, replica)
	}
	for _, replica := range s.Servers[1:] {
		replica.AwaitReplica()
	}
	for range 3 {
		s.Sentinels = append(s.Sentinels, s.startSentinel(prepare))
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

func (s *Sentinels) startSentinel(prepare func(*Server)) *Server {
	s.t.Helper()
	const quorum = 2
	sentinel := newServer(s.t, freePort(s.t))
	file := filepath.Join(sentinel.Dir, "sentinel.conf")
	// The sentinel keeps in the file what it learns.
	text := fmt.Sprintf("sentinel monitor %s %s %d %d\n", s.Name, "127.0.0.1", s.Servers[0].Port, quorum) +
		fmt.Sprintf("sentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 5000\n", s.Name, downAfter.Milliseconds(), s.Name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatalf("write sentinel.conf: %v", err)
	}
	sentinel.args = []string{
		file, "--sentinel", "--port", strconv.Itoa(sentinel.Port), "--bind", "127.0.0.1",
		"--dir", sentinel.Dir, "--logfile", filepath.Join(sentinel.Dir, "redis.log"),
	}
	prepare(sentinel)
	sentinel.launch()
	s.t.Cleanup(sentinel.Kill)
	return sentinel
}

// HandOver has a replica take the primary's place, and returns when that has
// come about.
func (s *Sentinels) HandOver() {
	s.t.Helper()
	old := s.Primary()
	s.Sentinels[0].await("begin a failover", func() bool { return s.Sentinels[0].do("SENTINEL", "FAILOVER", s.Name).Err() == nil })
	s.AwaitPrimary(old)
	s.AwaitCalm()
}

// AwaitPrimary waits until another server than the old one takes writes, and
// returns it and when that was seen.
func (s *Sentinels) AwaitPrimary(old *Server) (*Server, time.Time) {
	s.t.Helper()
	return awaitOther(s.t, s.Servers, old, "served")
}

// AwaitAgreement waits until all sentinels have one server for the primary, and
// not the old one: if it comes back before that, it may become the primary again.
func (s *Sentinels) AwaitAgreement(old *Server) {
	s.t.Helper()
	s.Sentinels[0].await("agree with the others on a new primary", func() bool {
		primary := s.agreed()
		return primary != "" && primary != strconv.Itoa(old.Port)
	})
}

// AwaitCalm waits until all sentinels have one server for the primary, and all
// other servers have what that has. On a slow machine there may be failovers
// that nobody meant.
func (s *Sentinels) AwaitCalm() {
	s.t.Helper()
	s.Sentinels[0].await("find all servers well", func() bool {
		primary := s.agreed()
		return primary != "" && !slices.ContainsFunc(s.Servers, func(server *Server) bool {
			return strconv.Itoa(server.Port) != primary && !server.follows(primary)
		})
	})
}

// agreed returns the port of the server that all sentinels have for the primary,
// empty if they do not agree.
func (s *Sentinels) agreed() string {
	s.t.Helper()
	var ports []string
	for _, sentinel := range s.Sentinels {
		place, err := sentinel.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Name).StringSlice()
		if err != nil || len(place) != 2 {
			return ""
		}
		ports = append(ports, place[1])
	}
	if ports = slices.Compact(ports); len(ports) > 1 {
		return ""
	}
	return ports[0]
}
