package redisqueue_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// impostor listens where a sentinel was, and answers nothing.
type impostor struct {
	net.Listener

	// hangs keeps connections open.
	hangs bool

	mu       sync.Mutex
	accepted []net.Conn
}

// replace puts an impostor in the place of a sentinel.
func replace(t *testing.T, sentinel *redistest.Server, hangs bool) *impostor {
	t.Helper()
	sentinel.Kill()
	return impersonate(t, sentinel.Addr, hangs)
}

func impersonate(t *testing.T, addr string, hangs bool) *impostor {
	t.Helper()
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("Listen(%s) = %v, want no error", addr, err)
	}
	i := &impostor{Listener: listener, hangs: hangs}
	var accepting sync.WaitGroup
	accepting.Go(i.accept)
	t.Cleanup(func() {
		_ = i.Close()
		accepting.Wait()
		for _, conn := range i.accepted {
			_ = conn.Close()
		}
	})
	return i
}

func (i *impostor) accept() {
	for {
		conn, err := i.Accept()
		if err != nil {
			return
		}
		i.mu.Lock()
		i.accepted = append(i.accepted, conn)
		i.mu.Unlock()
		if !i.hangs {
			_ = conn.Close()
		}
	}
}

func (i *impostor) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.accepted)
}

// Sentinels that are away do not slow down a primary that is well, though once
// it was doubted.
func TestNobodyWaitsForSentinelsThatAreAway(t *testing.T) {
	t.Parallel()
	for about, hangs := range map[string]bool{"refusing": false, "silent": true} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			sentinels := redistest.StartSentinels(t, 0)
			backend := openSentinels(t, sentinels, nil)
			if err := backend.Await(t.Context()); err != nil {
				t.Fatalf("Await = %v, want no error", err)
			}
			connections(t, sentinels.Servers[0], backend, 4)
			var impostors []*impostor
			for _, sentinel := range sentinels.Sentinels {
				impostors = append(impostors, replace(t, sentinel, hangs))
			}
			doubt(t, sentinels.Servers[0], backend)

			began, quickest := time.Now(), time.Hour
			const calls = 40
			for range calls {
				sent := time.Now()
				enqueueOne(t, backend)
				quickest = min(quickest, time.Since(sent))
			}
			if quickest >= time.Second {
				t.Errorf("the quickest of %d calls took %s, want none to wait for the sentinels", calls, quickest)
			}
			asked := 0
			for _, i := range impostors {
				asked += i.count()
			}
			// A search asks all three. A dial may have asked them, too.
			if most := 3 * (4 + int(time.Since(began)/time.Second)); asked > most {
				t.Errorf("the sentinels were connected to %d times in %s, want %d times at most", asked, time.Since(began), most)
			}
		})
	}
}

// doubt makes the server doubtful: a call ends before it answers.
func doubt(t *testing.T, server *redistest.Server, backend *redisqueue.Backend) {
	t.Helper()
	server.Pause()
	defer server.Continue()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := backend.Enqueue(ctx, domain.NewJob{Queue: "mail", Name: "send"}); err == nil {
		t.Error("Enqueue = no error, want the end of its context: the server hangs")
	}
}

// connections has the backend open so many, for as many calls wait at a time.
func connections(t *testing.T, server *redistest.Server, backend *redisqueue.Backend, n int) {
	t.Helper()
	server.Pause()
	var calls sync.WaitGroup
	for range n {
		calls.Go(func() {
			if _, err := backend.Enqueue(t.Context(), domain.NewJob{Queue: "mail", Name: "send"}); err != nil {
				t.Errorf("Enqueue = %v, want no error", err)
			}
		})
	}
	<-time.After(100 * time.Millisecond)
	server.Continue()
	calls.Wait()
}

// Most of the nodes that are known may have vanished: the one that answers is
// found within the time that one connection has.
func TestTheNodeThatAnswersIsFoundAmongManyThatAreSilent(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 1)
	var nodes []string
	for range 25 {
		nodes = append(nodes, impersonate(t, "127.0.0.1:0", true).Addr().String())
	}
	client := redisqueue.NewClient(redisqueue.Connection{Nodes: append(nodes, cluster.Addrs()...)}, "{bull}")
	defer client.Close() //nolint:errcheck // asked and done
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("PING = %v, want no error", err)
	}
}

// Whoever closes the client must not leave a search behind that a call has begun
// in the same moment.
func TestNoSearchOutlivesTheLastConnection(t *testing.T) {
	if redisqueue.SearchOutlives(t.Context()) {
		t.Error("the search goes on, want it over with the call")
	}
}
