package storage_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
)

// Replicas that all want all ticks at once get each tick once between them,
// and none is left over.
func TestLedger_grantsEachTickToOneOfManyAtOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const replicas, jobs, ticks = 4, 20, 25
			db := open(t)
			definitions := manyDefinitions(jobs)
			reply := syncAs(t, db.Ledger(""), "replica-0", definitions)
			start := cursorsOf(reply)
			var granted atomic.Int64
			var group sync.WaitGroup
			for r := range replicas {
				group.Go(func() {
					ledger := db.Ledger("")
					for n := range ticks {
						claims := claimTicks(t, ledger, fmt.Sprint("replica-", r), start, n)
						granted.Add(int64(len(claims)))
						finishAll(t, ledger, claims)
					}
				})
			}
			group.Wait()
			if got := granted.Load(); got != jobs*ticks {
				t.Errorf("%d claims are granted, want %d", got, jobs*ticks)
			}
		})
	}
}

func syncAs(t *testing.T, ledger *storage.Ledger, replica string, definitions []domain.Definition) domain.SyncReply {
	t.Helper()
	reply, err := ledger.Sync(t.Context(), domain.SyncRequest{Replica: replica, Definitions: definitions})
	if err != nil {
		t.Fatalf("Sync = %v, want no error", err)
	}
	return reply
}

// cursorsOf returns the jobs' cursors by their names.
func cursorsOf(reply domain.SyncReply) map[string]time.Time {
	cursors := make(map[string]time.Time, len(reply.Jobs))
	for _, state := range reply.Jobs {
		cursors[state.Job] = state.Cursor
	}
	return cursors
}

// claimTicks claims the nth tick of all jobs.
func claimTicks(t *testing.T, ledger *storage.Ledger, replica string, start map[string]time.Time, n int) []domain.Claim {
	t.Helper()
	var intents []domain.Intent
	for job, from := range start {
		from = from.Add(time.Duration(n) * time.Second)
		to := from.Add(time.Second)
		intents = append(intents, domain.Intent{
			Run: domain.TickKey(job, to), Replica: replica, Fingerprint: "v1", Slot: domain.SlotFree,
			Move: &domain.CursorMove{From: from, To: to}, Lease: time.Minute,
		})
	}
	verdicts, err := ledger.Claim(t.Context(), intents)
	if err != nil {
		t.Errorf("Claim = %v, want no error", err)
	}
	var claims []domain.Claim
	for _, v := range verdicts {
		if v.Kind == domain.Granted {
			claims = append(claims, v.Claim)
		} else if v.Kind != domain.Taken {
			t.Errorf("a tick is %q, want granted or taken", v.Kind)
		}
	}
	return claims
}

func finishAll(t *testing.T, ledger *storage.Ledger, claims []domain.Claim) {
	t.Helper()
	var results []domain.RunResult
	for i := range claims {
		results = append(results, domain.RunResult{Claim: claims[i].Ref(), End: domain.EndFinished})
	}
	held, err := ledger.Finish(t.Context(), results)
	if err != nil {
		t.Errorf("Finish = %v, want no error", err)
	}
	for i := range held {
		if !held[i] {
			t.Errorf("Finish(%s) is not held, want it held", claims[i].Run)
		}
	}
}

func TestLedger_tellsThatTheServerDoesNotAnswer(t *testing.T) {
	uri := migrated(t)
	db := openAs(t, uri, "worker_run")
	ledger := db.Ledger("")
	syncAs(t, ledger, "ann", nil)
	pgtest.Exec(t, uri, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	_, err := ledger.Sync(t.Context(), domain.SyncRequest{Replica: "ann"})
	if err != nil && !errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("Sync after the connections broke = %v, want ErrUnavailable or none", err)
	}
	syncAs(t, ledger, "ann", nil)
	_, err = storage.Open(t.Context(), postgres(storage.PostgresConfig{Host: t.TempDir()}))
	if !errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("Open(no server) = %v, want ErrUnavailable", err)
	}
}
