package redistest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is one redis-server process. Its methods fail the test they were
// started for; they are not safe for concurrent use.
type Server struct {
	// Addr is host:port, Port the port alone.
	Addr string
	Port int
	// Dir holds the server's log, append-only file and snapshot.
	Dir string

	t      testing.TB
	binary string
	args   []string
	cmd    *exec.Cmd
	done   chan struct{}
	// busPort is where the nodes of a cluster talk to one another.
	busPort int
	// security is how a server is reached that speaks TLS alone, nil for others.
	security *tls.Config
	// admin is for the package's own commands.
	admin *redis.Client
}

// startPatience bounds the wait for a server, however slow the machine is.
const startPatience = time.Minute

// Start starts a server with the settings in args, written as on the command
// line of redis-server: "--appendonly", "yes". Without any it keeps nothing
// on disk. It stops with the test.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return startOn(tb, freePort(tb), plain, args...)
}

// plain leaves a server as it is.
func plain(*Server) {}

// startOn starts a server after its arguments were prepared.
func startOn(tb testing.TB, port int, prepare func(*Server), args ...string) *Server {
	tb.Helper()
	s := newServer(tb, port)
	version, err := versionOf(s.binary)
	if err != nil {
		tb.Fatalf("%s is not installed: run make redis, or apt-get install redis-server (%v)", s.binary, err)
	}
	s.args = []string{
		"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.Dir, "--logfile", filepath.Join(s.Dir, "redis.log"),
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
	}
	prepare(s)
	s.args = append(s.args, args...)
	if !bytes.Contains(version, []byte(" v=6.")) {
		// Before Redis 7 it needed no leave.
		s.args = append(s.args, "--enable-debug-command", "local")
	}
	s.launch()
	tb.Cleanup(s.Kill)
	return s
}

// versions are what programs say of theirs, by name: to ask each time would cost
// a process for each server.
var versions sync.Map //nolint:gochecknoglobals // a cache of what does not change

func versionOf(binary string) ([]byte, error) {
	if known, has := versions.Load(binary); has {
		return known.([]byte), nil //nolint:forcetypeassert // stored below
	}
	version, err := exec.Command(binary, "--version").Output() //nolint:noctx // it ends at once
	if err == nil {
		versions.Store(binary, version)
	}
	return version, err
}

// binaryVariable names the program to start in the place of redis-server: one
// that is a server of the same protocol, as valkey-server.
const binaryVariable = "TAKT_REDIS_SERVER"

// newServer returns a server that is not started yet.
func newServer(tb testing.TB, port int) *Server {
	tb.Helper()
	return &Server{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Port: port, Dir: tb.TempDir(),
		t: tb, binary: cmp.Or(os.Getenv(binaryVariable), "redis-server"),
	}
}

// URL returns the address of a database as a URL.
func (s *Server) URL(db int) string { return fmt.Sprintf("redis://%s/%d", s.Addr, db) }

// Client returns a client of database 0 that is closed with the test.
func (s *Server) Client() *redis.Client { return s.ClientOf(0) }

// ClientOf returns a client of the database that is closed with the test.
func (s *Server) ClientOf(db int) *redis.Client {
	s.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, DB: db, TLSConfig: s.security, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// PID returns the id of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill ends the server at once, as kill -9 does, and waits for its end.
// Killing it twice does no harm.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Restart starts the server again on the same port and directory, after
// [Server.Kill] or in its place, and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.launch()
}

// Pause stops the server's process until [Server.Continue].
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue lets a paused server go on.
func (s *Server) Continue() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Log returns what the server has logged.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
	return string(text)
}

// launches bounds how often a server is started whose port somebody else has
// for a moment.
const launches = 20

func (s *Server) launch() {
	s.t.Helper()
	for range launches {
		s.start()
		if s.awaitListening() {
			return
		}
		if !strings.Contains(s.Log(), "Address already in use") {
			break
		}
		Pass(100 * time.Millisecond)
	}
	s.t.Fatalf("%s ended at once: %s", s.binary, s.Log())
}

func (s *Server) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.binary, s.args...) //nolint:gosec,noctx // ended by Kill
	s.cmd.Stdout, s.cmd.Stderr = os.Stderr, os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", s.binary, err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		defer close(done)
		_ = cmd.Wait()
	}(s.cmd, s.done)
}

// awaitListening waits until the server accepts connections and has loaded its
// data, and tells whether it has not ended before.
func (s *Server) awaitListening() bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	for {
		select {
		case <-s.done:
			return false
		default:
		}
		if s.answers(ctx) {
			return true
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s does not answer at %s: %s", s.binary, s.Addr, s.Log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// answers asks with a bare PING: a server with TLS alone or a password
// answers something, too.
func (s *Server) answers(ctx context.Context) bool {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return false
	}
	defer conn.Close() //nolint:errcheck // asked and done
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	reply := make([]byte, 64)
	n, err := conn.Read(reply)
	if err != nil {
		return s.security != nil
	}
	return !strings.HasPrefix(string(reply[:n]), "-LOADING")
}

// The ports of servers: below those that the system hands out itself, so that
// nobody's connection takes the port of a server that is killed and comes back.
const (
	firstPort = 12000
	lastPort  = 31999
)

func freePort(tb testing.TB) int {
	tb.Helper()
	var config net.ListenConfig
	const attempts = 100
	var err error
	for range attempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		var listener net.Listener
		if listener, err = config.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = listener.Close()
			return port
		}
	}
	tb.Fatalf("find a free port: %v", err)
	return 0
}
