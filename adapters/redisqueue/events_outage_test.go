package redisqueue_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// wantEach waits for the numbered events, each once and in order.
func (w *watch) wantEach(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if event := await(t, fmt.Sprintf("event %d", i), w.events); event.Fields["i"] != fmt.Sprint(i) {
			t.Fatalf("event %s of %v, want %d", event.ID, event.Fields, i)
		}
	}
	if len(w.lost) > 0 {
		t.Errorf("lost %v, want nothing lost", <-w.lost)
	}
}

// behind returns the queue as seen through a proxy.
func behind(t *testing.T) (*eventQueue, *proxy.Proxy) {
	t.Helper()
	q := newEventQueue(t)
	p := proxy.Start(t, q.server.Addr)
	backend := open(t, q.server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })
	far, err := backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	q.Queue, q.backend = far, backend
	return q, p
}

func TestEvents_AreReadOnceThroughLostRepliesAndRequests(t *testing.T) {
	t.Parallel()
	for name, verdict := range map[string]proxy.Verdict{
		"reply": {Kind: proxy.DropReply}, "request": {Kind: proxy.DropRequest}, "reset": {Kind: proxy.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, p := behind(t)
			p.Set(proxy.Every(3, verdict, func(request []byte) bool { return bytes.Contains(request, []byte("xread")) }))
			w := q.watch(t.Context(), redisqueue.EventsFromStart)
			for i := range 10 {
				q.number(150*i, 150*(i+1))
				w.wantEach(t, 150*i, 150*(i+1))
			}
			if n := p.Count(verdict.Kind); n < 3 {
				t.Errorf("%d exchanges were lost, want some", n)
			}
		})
	}
}

func TestEvents_AreReadOnceThroughKilledConnections(t *testing.T) {
	q := newEventQueue(t)
	w := q.watch(t.Context(), redisqueue.EventsFromStart)
	for i := range 20 {
		q.number(10*i, 10*(i+1))
		w.wantEach(t, 10*i, 10*(i+1))
		q.do("CLIENT KILL TYPE normal SKIPME yes")
	}
}

func TestEvents_AreReadOnceThroughARestartOfRedis(t *testing.T) {
	t.Parallel()
	q := newEventQueue(t, "--appendonly", "yes", "--appendfsync", "always")
	w := q.watch(t.Context(), redisqueue.EventsFromStart)
	q.number(0, 10)
	w.wantEach(t, 0, 10)
	q.number(10, 20)
	q.server.Kill()
	q.server.Restart()
	q.number(20, 30)
	w.wantEach(t, 10, 30)
	if since, reason := q.backend.Health(); !since.IsZero() {
		t.Errorf("Health = %s, %v after events came again, want no outage", since, reason)
	}
}

func TestHealthIsGoodWhileEventsAreAwaited(t *testing.T) {
	t.Parallel()
	q := newEventQueue(t)
	w := q.watch(t.Context(), redisqueue.EventsFromStart)
	q.number(0, 1)
	w.wantEach(t, 0, 1)
	for began := time.Now(); time.Since(began) < 2500*time.Millisecond; {
		if since, reason := q.backend.Health(); !since.IsZero() {
			t.Fatalf("Health = %s, %v while nothing happens, want no outage", since, reason)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestPublishEvent_IsWrittenOnceThoughRepliesGetLost(t *testing.T) {
	q, p := behind(t)
	p.Set(proxy.Every(2, proxy.Verdict{Kind: proxy.DropReply}, func(request []byte) bool { return bytes.Contains(request, []byte("evalsha")) }))
	for i := range 50 {
		if _, err := q.PublishEvent(t.Context(), "mine", map[string]string{"i": fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	p.Set(nil)
	if n := p.Count(proxy.DropReply); n < 10 {
		t.Fatalf("%d replies were lost, want many", n)
	}
	if n := q.rdb.XLen(t.Context(), "bull:q:events").Val(); n != 50 {
		t.Errorf("%d events were written, want 50", n)
	}
}

// TestEvents_AreAskedForAtPausesWhileTheirConnectionIsRefused has the password
// change while other connections go on with the old one.
func TestEvents_AreAskedForAtPausesWhileTheirConnectionIsRefused(t *testing.T) {
	q := newEventQueue(t)
	q.do("ACL SETUSER worker on >" + canary + " ~* &* +@all")
	backend := open(t, q.server, func(c *redisqueue.Config) {
		c.Connection.Username, c.Connection.Password = "worker", domain.NewSecret(canary)
	})
	far, err := backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	q.Queue = far
	w := q.watch(t.Context(), redisqueue.EventsFromStart)
	q.number(0, 1)
	w.wantEach(t, 0, 1)
	if err := backend.Ping(t.Context()); err != nil {
		t.Fatalf("Ping = %v, want no error", err)
	}
	q.do("ACL SETUSER worker resetpass >another")
	before := timesConnected(q)
	killBlocked(q)
	redistest.Pass(500 * time.Millisecond)
	if tries := timesConnected(q) - before; tries < 1 || tries > 10 {
		t.Errorf("connected to %d times in half a second, want few times", tries)
	}
	q.do("ACL SETUSER worker resetpass >" + canary)
	q.number(1, 2)
	w.wantEach(t, 1, 2)
}

// timesConnected returns how often the server was connected to.
func timesConnected(q *eventQueue) int {
	q.Helper()
	_, rest, _ := strings.Cut(q.rdb.Info(q.Context(), "stats").Val(), "total_connections_received:")
	count, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(count)
	if err != nil {
		q.Fatal(err)
	}
	return n
}

// killBlocked waits for a client that blocks, and closes its connection.
func killBlocked(q *eventQueue) {
	q.Helper()
	for {
		for line := range strings.Lines(q.rdb.ClientList(q.Context()).Val()) {
			if id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " "); strings.Contains(line, " flags=b ") {
				q.do("CLIENT KILL ID " + id)
				return
			}
		}
		redistest.Pass(time.Millisecond)
	}
}
