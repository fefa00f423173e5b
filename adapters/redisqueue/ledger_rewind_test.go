package redisqueue_test

import (
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// snapshot keeps all that a server has, for rewind.
func snapshot(t *testing.T, server *redistest.Server) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range server.Client().Keys(t.Context(), "*").Val() {
		all[key] = server.Client().Dump(t.Context(), key).Val()
	}
	return all
}

// rewind puts the server back to where it was, as a failover does to a replica
// that is behind.
func rewind(t *testing.T, server *redistest.Server, to map[string]string) {
	t.Helper()
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatalf("FLUSHALL = %v, want no error", err)
	}
	for key, held := range to {
		if err := server.Client().Restore(t.Context(), key, 0, held).Err(); err != nil {
			t.Fatalf("RESTORE %s = %v, want no error", key, err)
		}
	}
}

// What a store has told before it was rewound says nothing of what has changed
// since: a replica learns what is paused, though its version is within those
// that came after.
func TestLedgerSync_tellsAllOfAStoreThatWasRewound(t *testing.T) {
	for about, lose := range map[string]bool{"at once": false, "after a lost reply": true} {
		t.Run(about, func(t *testing.T) {
			server := redistest.Start(t)
			p := proxy.Start(t, server.Addr)
			ledger := openLedgerAt(t, server, p.Addr)
			definitions := manyDefinitions(2, "v1")
			request := domain.SyncRequest{Replica: "ann", Definitions: definitions}
			first := syncLedger(t, ledger, request)
			request.Since = first.Version
			syncLedger(t, ledger, request)

			before := snapshot(t, server)
			pause := func(job string) {
				t.Helper()
				if err := ledger.PauseJob(t.Context(), job); err != nil {
					t.Fatalf("PauseJob = %v, want no error", err)
				}
			}
			pause("job-00000")
			request.Since = syncLedger(t, ledger, request).Version
			rewind(t, server, before)
			pause("job-00001")

			if lose {
				loseOne(p)
			}
			paused := map[string]bool{"job-00000": true}
			reply := syncLedger(t, ledger, request)
			for _, state := range reply.Jobs {
				paused[state.Job] = state.Paused
			}
			if paused["job-00000"] || !paused["job-00001"] {
				t.Errorf("ann takes %v for paused, want job-00001 alone", paused)
			}
			request.Since = reply.Version
			if reply = syncLedger(t, ledger, request); len(reply.Jobs) != 0 {
				t.Errorf("%d jobs are news, want none: nothing changed", len(reply.Jobs))
			}
			if n := p.Count(proxy.DropReply); (n == 1) != lose {
				t.Errorf("%d replies dropped, want one: %t", n, lose)
			}
		})
	}
}

// A pause whose reply is lost is carried out once: what somebody else switched
// meanwhile stays.
func TestLedgerPauseJob_isCarriedOutOnceThoughItsReplyIsLost(t *testing.T) {
	server := redistest.Start(t)
	p := proxy.Start(t, server.Addr)
	ledger, other := openLedgerAt(t, server, p.Addr), openLedgerAt(t, server, server.Addr)
	request := domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")}
	syncLedger(t, ledger, request)
	if err := ledger.PauseJob(t.Context(), "job-00000"); err != nil {
		t.Fatalf("PauseJob = %v, want no error", err)
	}
	lost := false
	p.Set(func(proxy.Exchange) proxy.Verdict {
		if lost {
			// Before it is sent again.
			if err := other.ResumeJob(t.Context(), "job-00000"); err != nil {
				t.Errorf("ResumeJob = %v, want no error", err)
			}
			return proxy.Verdict{}
		}
		lost = true
		return proxy.Verdict{Kind: proxy.DropReply}
	})
	err := ledger.PauseJob(t.Context(), "job-00000")
	p.Set(nil)
	if state := syncLedger(t, ledger, request).Jobs[0]; err != nil || state.Paused {
		t.Errorf("PauseJob = %v; paused = %t, want what was switched last", err, state.Paused)
	}
}

// openLedgerAt is openLedger at an address of the server.
func openLedgerAt(t *testing.T, server *redistest.Server, addr string) *redisqueue.Ledger {
	t.Helper()
	backend := open(t, server, func(c *redisqueue.Config) {
		c.Connection.Addr, c.Prefix, c.Namespace = addr, ownPrefix(t), "rewound"
	})
	return backend.Ledger()
}
