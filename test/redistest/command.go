package redistest

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// do sends a command that the tests need beside what they test.
func (s *Server) do(args ...any) *redis.Cmd {
	s.t.Helper()
	return s.own().Do(context.Background(), args...)
}

// own returns the client of the package's own commands.
func (s *Server) own() *redis.Client {
	s.t.Helper()
	if s.admin == nil {
		s.admin = s.Client()
	}
	return s.admin
}

// must is do for what cannot fail.
func (s *Server) must(args ...any) {
	s.t.Helper()
	if err := s.do(args...).Err(); err != nil {
		s.t.Fatalf("%v at %s = %v, want no error", args, s.Addr, err)
	}
}

// text returns an answer that is a text, empty if there is none.
func (s *Server) text(args ...any) string {
	s.t.Helper()
	text, _ := s.do(args...).Text()
	return text
}

// await waits until the server has come to do the thing.
func (s *Server) await(what string, done func() bool) {
	s.t.Helper()
	for until := time.Now().Add(startPatience); !done(); Pass(10 * time.Millisecond) {
		if time.Now().After(until) {
			s.t.Fatalf("the server at %s does not come to %s: %s", s.Addr, what, s.Log())
		}
	}
}

// AwaitReplica waits until the server has all that its primary has.
func (s *Server) AwaitReplica() {
	s.t.Helper()
	s.await("have what its primary has", func() bool {
		return strings.Contains(s.text("INFO", "replication"), "master_link_status:up")
	})
}

// follows tells whether the server has all that the one at the port has.
func (s *Server) follows(port string) bool {
	s.t.Helper()
	text := s.text("INFO", "replication")
	return strings.Contains(text, "master_port:"+port+"\r") && strings.Contains(text, "master_link_status:up")
}
