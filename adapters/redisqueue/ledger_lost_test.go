package redisqueue_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// forgetful passes everything on to the server, and closes the connection in
// the place of every third reply to a script.
func forgetful(t *testing.T, to string) (addr string, lost *atomic.Int64) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var scripts atomic.Int64
	lost = &atomic.Int64{}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				relay(client, to, func(request string) bool {
					if !strings.Contains(request, "evalsha") || scripts.Add(1)%3 != 0 {
						return false
					}
					lost.Add(1)
					return true
				})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	return listener.Addr().String(), lost
}

// relay passes requests and replies on until the reply to a request is to be
// lost, or either side hangs up.
func relay(client net.Conn, to string, loses func(request string) bool) {
	defer client.Close() //nolint:errcheck // the test is over
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	var doomed atomic.Bool
	var requests sync.WaitGroup
	requests.Go(func() {
		defer server.Close() //nolint:errcheck // nobody asks any more
		carry(server, client, func(request []byte) bool {
			if loses(strings.ToLower(string(request))) {
				doomed.Store(true)
			}
			return true
		})
	})
	carry(client, server, func([]byte) bool { return !doomed.Load() })
	_ = client.Close()
	requests.Wait()
}

// carry passes on what comes until pass refuses some of it, or a side hangs up.
func carry(to, from net.Conn, pass func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !pass(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// Of three ledgers behind connections that lose replies each tick is granted
// to exactly one: nobody's claim is taken by its own first try.
func TestLedger_losesNoClaimWithALostReply(t *testing.T) {
	t.Parallel()
	const replicas, ticks = 3, 40
	server := redistest.Start(t)
	addr, lost := forgetful(t, server.Addr)
	definitions := manyDefinitions(1, "v1")
	base := syncLedger(t, openLedger(t, server, "lost"), domain.SyncRequest{Replica: "0", Definitions: definitions}).Jobs[0].Cursor

	var mu sync.Mutex
	owners := map[domain.RunKey][]string{}
	var group sync.WaitGroup
	for r := range replicas {
		backend := open(t, server, func(c *redisqueue.Config) {
			c.Connection.Addr, c.Prefix, c.Namespace = addr, ownPrefix(t), "lost"
		})
		ledger, name := backend.Ledger(), fmt.Sprint(r)
		group.Go(func() {
			for n := range ticks {
				intent := tickAfter(base.Add(time.Duration(n) * time.Second))
				intent.Replica, intent.Slot = name, domain.SlotFree
				verdicts, err := ledger.Claim(t.Context(), []domain.Intent{intent})
				if err != nil {
					t.Errorf("Claim = %v, want no error", err)
					return
				}
				if verdicts[0].Kind != domain.Granted {
					continue
				}
				mu.Lock()
				owners[intent.Run] = append(owners[intent.Run], name)
				mu.Unlock()
				held, err := ledger.Finish(t.Context(), []domain.RunResult{{Claim: verdicts[0].Claim.Ref(), End: domain.EndReleased}})
				if err != nil || !held[0] {
					t.Errorf("Finish(%s) = %v, %v, want it held", intent.Run, held, err)
				}
			}
		})
	}
	group.Wait()
	for run, names := range owners {
		if len(names) != 1 {
			t.Errorf("%s is granted to %q, want one", run, names)
		}
	}
	if len(owners) != ticks || lost.Load() < ticks {
		t.Errorf("%d ticks are granted over %d lost replies, want %d over many", len(owners), lost.Load(), ticks)
	}

	ledger := openLedger(t, server, "lost")
	syncLedger(t, ledger, domain.SyncRequest{Replica: "0", Definitions: definitions})
	behind := open(t, server, func(c *redisqueue.Config) {
		c.Connection.Addr, c.Prefix, c.Namespace = addr, ownPrefix(t), "lost"
	}).Ledger()
	taken := 0
	for range ticks {
		claims, err := behind.Abandoned(t.Context(), "0", time.Minute, 3)
		if err != nil {
			t.Fatalf("Abandoned = %v, want no error", err)
		}
		for _, claim := range claims {
			taken++
			finishAll(t, behind, domain.EndFired, claim)
		}
	}
	if taken != ticks {
		t.Errorf("%d released runs were taken over, want %d", taken, ticks)
	}
}
