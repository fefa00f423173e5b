package redisqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// diary collects what a backend logs.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(text []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(text)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

func awaiting(t *testing.T, c redisqueue.Connection) (*redisqueue.Backend, *diary) {
	t.Helper()
	log := &diary{}
	backend, err := redisqueue.New(redisqueue.Config{Connection: c, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = backend.Close() })
	return backend, log
}

func TestAwaitReturnsOnceTheServerAnswers(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	backend, log := awaiting(t, redisqueue.Connection{Addr: server.Addr})
	done := make(chan error, 1)
	go func() { done <- backend.Await(t.Context()) }()
	for !strings.Contains(log.String(), "redis does not answer") {
		<-time.After(time.Millisecond)
	}
	if since, reason := backend.Health(); since.IsZero() || reason == nil {
		t.Errorf("Health() = %v, %v while the server is away, want since when and why", since, reason)
	}
	server.Restart()
	if err := <-done; err != nil {
		t.Errorf("Await() = %v, want nil", err)
	}
	if since, reason := backend.Health(); !since.IsZero() || reason != nil {
		t.Errorf("Health() = %v, %v; want that the server answers", since, reason)
	}
	// The log says so with a call that comes once it is calm.
	for until := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), "redis answers again"); {
		if _, err := backend.Counts(t.Context(), "mail"); err != nil || time.Now().After(until) {
			t.Fatalf("Counts = %v with log %s; want that the server answers again", err, log)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestAwaitEndsWithTheCause(t *testing.T) {
	locked := redistest.Start(t, "--requirepass", "right")
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 1")
	for _, c := range []struct{ about, addr, want string }{
		{"nobody there", "127.0.0.1:1", "connection refused"},
		{"wrong password", locked.Addr, "WRONGPASS"},
		{"a replica", replica.Addr, "is a replica of another server"},
	} {
		t.Run(c.about, func(t *testing.T) {
			backend, log := awaiting(t, redisqueue.Connection{Addr: c.addr, Password: domain.NewSecret(canary)})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			err := backend.Await(ctx)
			if !errors.Is(err, ports.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "redis://"+c.addr+"/0") {
				t.Errorf("Await() = %v, want %v with the address and %s", err, ports.ErrUnavailable, c.want)
			}
			if strings.Contains(fmt.Sprint(err, log), canary) {
				t.Errorf("the password is shown: %v, %s", err, log)
			}
		})
	}
}

func TestAwaitEndsWhenTheBackendIsClosed(t *testing.T) {
	backend, log := awaiting(t, redisqueue.Connection{Addr: "127.0.0.1:1"})
	done := make(chan error, 1)
	go func() { done <- backend.Await(t.Context()) }()
	for !strings.Contains(log.String(), "redis does not answer") {
		<-time.After(time.Millisecond)
	}
	if err := backend.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ports.ErrClosed) {
		t.Errorf("Await() = %v, want %v", err, ports.ErrClosed)
	}
}

func TestAServerThatMayDropJobsIsWarnedOf(t *testing.T) {
	for policy, warned := range map[string]bool{"noeviction": false, "volatile-lru": true, "allkeys-random": true} {
		server := redistest.Start(t, "--maxmemory-policy", policy)
		backend, log := awaiting(t, redisqueue.Connection{Addr: server.Addr})
		if err := backend.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "redis may drop jobs when its memory is full"); got != warned {
			t.Errorf("%s: log %q, want a warning: %v", policy, log, warned)
		}
	}
}

func TestAServerThatMayNotBeAskedIsTakenAsItIs(t *testing.T) {
	server := redistest.Start(t, append([]string{"--user", "worker", "on", ">" + canary, "~bull:*", "resetchannels"}, handshake...)...)
	backend, log := awaiting(t, redisqueue.Connection{Addr: server.Addr, Username: "worker", Password: domain.NewSecret(canary)})
	if err := backend.Await(t.Context()); err != nil {
		t.Errorf("Await() = %v, want nil", err)
	}
	if !strings.Contains(log.String(), "redis may not be asked for its version and settings") {
		t.Errorf("log %q, want a warning", log)
	}
}

// claiming is a server that says of itself what the text says, and no more.
func claiming(t *testing.T, text string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close() //nolint:errcheck // the test is over
				request := make([]byte, 4096)
				for {
					n, err := client.Read(request)
					if err != nil {
						return
					}
					reply := "-ERR unknown command\r\n"
					if strings.Contains(strings.ToLower(string(request[:n])), "info") {
						reply = fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
					}
					if _, err := client.Write([]byte(reply)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func TestOldServersAreRefused(t *testing.T) {
	for version, want := range map[string]bool{
		"6.2.0": true, "6.2": true, "7.0.15": true, "8.2.2": true, "10.0.0": true, "": true, "unstable": true, "255.255.255": true,
		"6.0.16": false, "5.0.14": false, "2.8.24": false, "6.1.242": false,
	} {
		backend, _ := awaiting(t, redisqueue.Connection{Addr: claiming(t, "# Server\r\nredis_version:"+version+"\r\nrole:master\r\n")})
		err := backend.Await(t.Context())
		if (err == nil) != want {
			t.Errorf("Redis %q: Await() = %v, want it taken: %v", version, err, want)
		}
		if err != nil && (!errors.Is(err, ports.ErrUnavailable) || !strings.Contains(err.Error(), "it is Redis "+version+", and at least 6.2 is needed")) {
			t.Errorf("Redis %q: Await() = %v, want the version and what is needed", version, err)
		}
	}
}

func TestAServerThatLoadsItsDataIsWaitedFor(t *testing.T) {
	backend, log := awaiting(t, redisqueue.Connection{Addr: claiming(t, "redis_version:7.0.15\r\nloading:1\r\n")})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := backend.Await(ctx); !errors.Is(err, ports.ErrUnavailable) || !strings.Contains(err.Error(), "LOADING") {
		t.Errorf("Await() = %v with log %s, want that the server loads its data", err, log)
	}
}
