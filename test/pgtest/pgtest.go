package pgtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/core/domain"
)

// shared is the server of this process, started by the first test that asks.
//
//nolint:gochecknoglobals // one server for a process
var shared struct {
	once    sync.Once
	server  *server
	err     error
	counter atomic.Int64
}

// Main runs the tests of a package, as TestMain does, and stops the server
// after them. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.stop(); err != nil {
			fmt.Println("stop postgres:", err)
			return max(code, 1)
		}
	}
	return code
}

// Database makes an empty database of the test's own and returns its address.
// The package's TestMain must call [Main].
func Database(tb testing.TB) domain.Secret {
	tb.Helper()
	// Its databases live for a test each: a look for dead rows in one of them every half
	// second is for nothing.
	shared.once.Do(func() { shared.server, shared.err = startServer("autovacuum_naptime = 1h") })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	name := fmt.Sprintf("test_%d", shared.counter.Add(1))
	Exec(tb, domain.NewSecret(shared.server.uri("postgres")), "CREATE DATABASE "+name)
	return domain.NewSecret(shared.server.uri(name))
}

// Copy makes a database of the test's own that has what the other has, and returns its
// address. Nobody may be connected to the other.
func Copy(tb testing.TB, of domain.Secret) domain.Secret {
	tb.Helper()
	config, err := pgx.ParseConfig(of.Reveal())
	if err != nil {
		tb.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", shared.counter.Add(1))
	Exec(tb, domain.NewSecret(shared.server.uri("postgres")), "CREATE DATABASE "+name+" TEMPLATE "+config.Database)
	return domain.NewSecret(shared.server.uri(name))
}

// Server is a Postgres of one test, which may crash it.
type Server struct {
	// URI is the address of an empty database.
	URI domain.Secret

	server *server
}

// Start starts a server of the test's own. It ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := StartServer()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("stop postgres: %v", err)
		}
	})
	return s
}

// StartServer starts a server for a program that measures. Settings are lines
// of its configuration.
func StartServer(settings ...string) (*Server, error) {
	started, err := startServer(settings...)
	if err != nil {
		return nil, err
	}
	return &Server{URI: domain.NewSecret(started.uri("postgres")), server: started}, nil
}

// PID is the process that all others of the server are children of.
func (s *Server) PID() int { return s.server.cmd.Process.Pid }

// Stop ends the server and removes its data.
func (s *Server) Stop() error { return s.server.stop() }

// Crash stops the server as pg_ctl stop -m immediate does, without a
// checkpoint, starts it again and returns when it answers.
func (s *Server) Crash(tb testing.TB) {
	tb.Helper()
	if err := s.server.restart(); err != nil {
		tb.Fatalf("restart postgres: %v", err)
	}
}

// Log returns what the server has logged so far.
func (s *Server) Log() string { return s.server.log() }

// Exec carries out SQL as the superuser, over a connection of its own.
func Exec(tb testing.TB, uri domain.Secret, sql string) {
	tb.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, uri.Reveal())
	if err != nil {
		tb.Fatalf("connect to postgres: %v", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // asked and done
	if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		tb.Fatalf("postgres: %s: %v", sql, err)
	}
}
