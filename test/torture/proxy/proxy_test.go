package proxy_test

import (
	"bytes"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// replyPatience is how long the client waits for a reply.
const replyPatience = 2 * time.Second

// setup returns a proxy to a server, a client through it and one beside it.
func setup(t *testing.T) (p *proxy.Proxy, through, beside *redis.Client) {
	t.Helper()
	server := redistest.Start(t)
	p = proxy.Start(t, server.Addr)
	through = redis.NewClient(&redis.Options{
		Addr: p.Addr, MaxRetries: -1, DisableIdentity: true, Protocol: 2, ReadTimeout: replyPatience, PoolSize: 1,
	})
	t.Cleanup(func() { _ = through.Close() })
	return p, through, server.Client()
}

func incr(request []byte) bool { return bytes.Contains(request, []byte("incr")) }

func TestWithoutARuleEverythingPasses(t *testing.T) {
	p, through, _ := setup(t)
	for want := range int64(100) {
		if got, err := through.Incr(t.Context(), "n").Result(); err != nil || got != want+1 {
			t.Fatalf("Incr = %d, %v, want %d", got, err, want+1)
		}
	}
	large := string(bytes.Repeat([]byte("x"), 1<<20))
	if err := through.Set(t.Context(), "large", large, 0).Err(); err != nil {
		t.Fatalf("Set of 1 MiB = %v, want no error", err)
	}
	if got, err := through.Get(t.Context(), "large").Result(); err != nil || got != large {
		t.Errorf("Get = %d bytes, %v, want %d", len(got), err, len(large))
	}
	if got := p.Count(proxy.Pass); got < 102 {
		t.Errorf("Count(Pass) = %d, want at least 102", got)
	}
}

func TestADroppedReplyBelongsToARequestThatWasCarriedOut(t *testing.T) {
	for name, kind := range map[string]proxy.Kind{"closed": proxy.DropReply, "reset": proxy.Reset} {
		t.Run(name, func(t *testing.T) {
			p, through, beside := setup(t)
			p.Set(proxy.Every(3, proxy.Verdict{Kind: kind}, incr))
			failed := 0
			for range 9 {
				if through.Incr(t.Context(), "n").Err() != nil {
					failed++
				}
			}
			if failed != 3 || p.Count(kind) != 3 {
				t.Errorf("%d of 9 calls failed, Count = %d, want every third", failed, p.Count(kind))
			}
			if got, err := beside.Get(t.Context(), "n").Int(); err != nil || got != 9 {
				t.Errorf("the server counted %d, %v, want 9", got, err)
			}
		})
	}
}

func TestAResetIsSeenAsOne(t *testing.T) {
	p, _, _ := setup(t)
	p.Set(proxy.All(proxy.Verdict{Kind: proxy.Reset}))
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test is over
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 8)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read = %v, want %v", err, syscall.ECONNRESET)
	}
}

func TestADroppedRequestIsNotCarriedOut(t *testing.T) {
	p, through, beside := setup(t)
	p.Set(proxy.Every(2, proxy.Verdict{Kind: proxy.DropRequest}, incr))
	for range 4 {
		_ = through.Incr(t.Context(), "n")
	}
	if got, err := beside.Get(t.Context(), "n").Int(); err != nil || got != 2 {
		t.Errorf("the server counted %d, %v, want 2", got, err)
	}
}

func TestAHeldConnectionStaysOpenAndSilent(t *testing.T) {
	p, through, beside := setup(t)
	p.Set(proxy.Every(1, proxy.Verdict{Kind: proxy.Hold}, incr))
	began := time.Now()
	err := through.Incr(t.Context(), "n").Err()
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("Incr = %v, want a timeout", err)
	}
	if took := time.Since(began); took < replyPatience {
		t.Errorf("it took %s, want the whole read timeout", took)
	}
	if got, err := beside.Get(t.Context(), "n").Int(); err != nil || got != 1 {
		t.Errorf("the server counted %d, %v, want 1", got, err)
	}
	p.Set(nil)
	if err := through.Incr(t.Context(), "n").Err(); err != nil {
		t.Errorf("Incr on a new connection = %v, want no error", err)
	}
}

func TestADelayedReplyComesLate(t *testing.T) {
	p, through, _ := setup(t)
	p.Set(proxy.Every(1, proxy.Verdict{Delay: 100 * time.Millisecond}, incr))
	began := time.Now()
	if err := through.Incr(t.Context(), "n").Err(); err != nil {
		t.Fatalf("Incr = %v, want no error", err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("it took %s, want at least 100ms", took)
	}
}

func TestACutClosesWhatIsOpen(t *testing.T) {
	p, through, _ := setup(t)
	if err := through.Ping(t.Context()).Err(); err != nil {
		t.Fatalf("Ping = %v, want no error", err)
	}
	// The library looks at idle connections before it uses them: what counts
	// is that a request under way ends.
	before, blocked := p.Count(proxy.Pass), make(chan error, 1)
	go func() { blocked <- through.BLPop(t.Context(), 0, "nothing").Err() }()
	for p.Count(proxy.Pass) == before {
		select {
		case err := <-blocked:
			t.Fatalf("BLPop = %v before the cut", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.Cut()
	select {
	case err := <-blocked:
		if err == nil {
			t.Error("BLPop = nil after the cut, want an error")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("BLPop still waits after the cut")
	}
	if err := through.Ping(t.Context()).Err(); err != nil {
		t.Errorf("Ping after the cut = %v, want no error", err)
	}
}
