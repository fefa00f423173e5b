package redisqueue_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// journal is a log that a test reads while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(message string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), message)
}

// unsteady returns a backend behind a proxy, and what it logs.
func unsteady(t *testing.T) (*redisqueue.Backend, *proxy.Proxy, *journal) {
	t.Helper()
	server, said := redistest.Start(t), &journal{}
	p := proxy.Start(t, server.Addr)
	backend := open(t, server, func(c *redisqueue.Config) {
		c.Connection.Addr, c.Log = p.Addr, slog.New(slog.NewTextHandler(said, nil))
	})
	return backend, p, said
}

func enqueueOne(t *testing.T, backend *redisqueue.Backend) {
	t.Helper()
	if _, err := backend.Enqueue(t.Context(), domain.NewJob{Queue: "mail", Name: "send"}); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
}

func TestAnUnsteadyServerIsLoggedOnceASecond(t *testing.T) {
	backend, p, said := unsteady(t)
	p.Set(proxy.Every(4, proxy.Verdict{Kind: proxy.DropReply}, nil))
	began := time.Now()
	enough := func() bool {
		return time.Since(began) >= 1500*time.Millisecond && p.Count(proxy.DropReply) >= 10 && said.count("redis does not answer") >= 2
	}
	for !enough() && time.Since(began) < 20*time.Second {
		enqueueOne(t, backend)
	}
	if n := p.Count(proxy.DropReply); n < 10 {
		t.Fatalf("%d replies dropped, want many", n)
	}
	p.Set(nil)
	most := 1 + int(time.Since(began)/time.Second)
	if away, again := said.count("redis does not answer"), said.count("redis answers again"); away < 2 || away > most || again != 0 {
		t.Errorf("while replies were dropped: %d lines that it does not answer, %d that it does; want 2 to %d and 0", away, again, most)
	}
	deadline := time.Now().Add(5 * time.Second)
	for said.count("redis answers again") == 0 && time.Now().Before(deadline) {
		enqueueOne(t, backend)
	}
	if again := said.count("redis answers again"); again != 1 {
		t.Errorf("after a second of calm: %d lines that it answers again, want 1", again)
	}
}

func TestHealthIsThatOfTheLatestCall(t *testing.T) {
	backend, p, _ := unsteady(t)
	enqueueOne(t, backend)
	if since, reason := backend.Health(); !since.IsZero() || reason != nil {
		t.Errorf("Health = %v, %v, want no outage", since, reason)
	}
	p.Set(proxy.All(proxy.Verdict{Kind: proxy.DropRequest}))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		enqueueOne(t, backend)
	}()
	deadline := time.Now().Add(5 * time.Second)
	for {
		if since, reason := backend.Health(); !since.IsZero() && reason != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("Health says nothing of a server that does not answer")
		}
	}
	p.Set(nil)
	<-answered
	if since, reason := backend.Health(); !since.IsZero() || reason != nil {
		t.Errorf("Health = %v, %v once it answers again, want no outage", since, reason)
	}
}

func TestHealthNoticesAServerThatIsSilent(t *testing.T) {
	backend, p, _ := unsteady(t)
	enqueueOne(t, backend)
	p.Set(proxy.Every(1, proxy.Verdict{Delay: 2 * time.Second}, nil))
	began := time.Now()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		enqueueOne(t, backend)
	}()
	var since time.Time
	for since.IsZero() {
		if since, _ = backend.Health(); time.Since(began) > 1800*time.Millisecond {
			t.Fatal("Health says nothing of a server that is silent")
		}
	}
	if took := time.Since(began); took < time.Second || since.Before(began) {
		t.Errorf("Health noticed it after %s, since %s; want after a second, since the call was sent", took, since.Sub(began))
	}
	<-answered
	if since, reason := backend.Health(); !since.IsZero() || reason != nil {
		t.Errorf("Health = %v, %v once it answered, want no outage", since, reason)
	}
}

// TestRightsMayComeBack takes a right from the user for a while.
func TestRightsMayComeBack(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client()
	setUser := func(rules ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), append([]any{"acl", "setuser", "worker"}, rules...)...).Err(); err != nil {
			t.Fatalf("ACL SETUSER = %v, want no error", err)
		}
	}
	setUser("on", ">"+canary, "~*", "+@all", "-evalsha", "-eval")
	backend := open(t, server, func(c *redisqueue.Config) {
		c.Connection.Username, c.Connection.Password = "worker", domain.NewSecret(canary)
	})
	answered := make(chan error, 1)
	go func() {
		_, err := backend.Enqueue(t.Context(), domain.NewJob{Queue: "mail", Name: "send"})
		answered <- err
	}()
	deadline := time.Now().Add(5 * time.Second)
	for {
		if _, reason := backend.Health(); reason != nil && strings.HasPrefix(reason.Error(), "NOPERM") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("Health says nothing of rights that are missing")
		}
	}
	setUser("+evalsha", "+eval")
	if err := <-answered; err != nil {
		t.Errorf("Enqueue = %v once the right is there, want no error", err)
	}
}

// TestHealthKnowsAServerThatRefusesWrites has a call that only reads succeed
// all the while.
func TestHealthKnowsAServerThatRefusesWrites(t *testing.T) {
	server := redistest.Start(t)
	backend := open(t, server, nil)
	enqueueOne(t, backend)
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	admin := server.Client()
	refuse := func(replicas int) {
		t.Helper()
		if err := admin.Do(t.Context(), "config", "set", "min-replicas-to-write", replicas).Err(); err != nil {
			t.Fatalf("CONFIG SET = %v, want no error", err)
		}
	}
	refuse(1)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		enqueueOne(t, backend)
	}()
	noticed := false
	for began := time.Now(); time.Since(began) < 2*time.Second; {
		if _, err := c.Extend(t.Context(), []domain.LeaseRef{{ID: "gone", Token: "t"}}); err != nil {
			t.Fatalf("Extend = %v, want an answer", err)
		}
		since, _ := backend.Health()
		if noticed && since.IsZero() {
			t.Fatalf("Health says that all is well %s after the server began to refuse writes", time.Since(began))
		}
		noticed = noticed || !since.IsZero()
	}
	if !noticed {
		t.Error("Health says nothing of a server that refuses writes")
	}
	refuse(0)
	<-answered
	// One call may come too soon after the latest doubt.
	deadline := time.Now().Add(2 * time.Second)
	for {
		if _, err := c.Extend(t.Context(), []domain.LeaseRef{{ID: "gone", Token: "t"}}); err != nil {
			t.Fatalf("Extend = %v, want an answer", err)
		}
		since, reason := backend.Health()
		if since.IsZero() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Health = %v, %v long after it takes them again, want no outage", since, reason)
		}
	}
}
