package storage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// Requests and answers are lost while three writers append, and meanwhile kinds are
// removed: none of their records is lost or doubled, and a follower sees all of them.
func TestRunStoreAppend_neitherLosesNorDoublesRecordsOverBrokenConnections(t *testing.T) {
	t.Parallel()
	const writers, batches, size = 3, 30, 60
	uri := pgtest.As(t, migrated(t), "worker_run")
	direct := open(t, storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: uri}})
	var losing atomic.Bool
	var lost [4]atomic.Int64
	proxy := pgtest.NewProxy(t, uri, func() pgtest.Loss {
		if !losing.Load() || rand.IntN(4) > 0 {
			return pgtest.NoLoss
		}
		loss := pgtest.Loss(1 + rand.IntN(3))
		lost[loss].Add(1)
		return loss
	})
	db := open(t, storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: proxy.URI}})
	losing.Store(true)
	var group, removing sync.WaitGroup
	for w := range writers {
		group.Go(func() { appendAll(t, db.RunStore("shop"), fmt.Sprint("w", w), batches, size) })
	}
	removing.Go(func() {
		for losing.Load() {
			execSQL(t, direct, "INSERT INTO history_kinds (space, digest, job, origin, queue, job_name, event, replica, fielded) SELECT space, '', '', '', '', '', '', '', false FROM histories")
			execSQL(t, direct, "DELETE FROM history_kinds WHERE digest = ''")
		}
	})
	group.Wait()
	losing.Store(false)
	removing.Wait()
	if lost[pgtest.LoseAnswer].Load() == 0 || lost[pgtest.DelayRequest].Load() == 0 {
		t.Fatal("no answer was lost: the test shows nothing")
	}
	wantEachOnce(t, direct.RunStore("shop"), writers, batches*size)
}

// appendAll appends numbered records of a replica: outcomes of jobs, which lie in
// blocks, and others.
func appendAll(t *testing.T, store *storage.RunStore, replica string, batches, size int) {
	t.Helper()
	for b := range batches {
		records := make([]domain.Record, size)
		for i := range records {
			n := b*size + i + 1
			records[i] = domain.Record{At: pastTime(n), Replica: replica, Event: domain.EventCompleted, Queue: "mail", JobID: domain.JobID(fmt.Sprint(n)), Count: n}
			if i%4 == 0 {
				records[i] = domain.Record{At: pastTime(n), Replica: replica, Event: domain.EventStarted, Count: n, Fields: []domain.Field{{Path: "n", Value: fmt.Sprint(n)}}}
			}
		}
		if err := store.Append(t.Context(), records); err != nil {
			t.Errorf("Append = %v, want no error: the outcome is found out", err)
		}
	}
}

func wantEachOnce(t *testing.T, store *storage.RunStore, writers, each int) {
	t.Helper()
	found, err := store.Query(context.WithoutCancel(t.Context()), domain.RunFilter{AfterID: -1, Limit: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	latest := map[string]int{}
	for _, r := range found {
		if latest[r.Replica]+1 != r.Count {
			t.Errorf("record %d of %s comes after record %d", r.Count, r.Replica, latest[r.Replica])
		}
		latest[r.Replica] = r.Count
	}
	if len(found) != writers*each {
		t.Errorf("%d records, want %d", len(found), writers*each)
	}
	// Beyond a number of records that is not theirs, too few or too many would go.
	if removed, err := store.Prune(t.Context(), domain.RunRetention{Count: 1}, 1_000_000); err != nil || removed != writers*each-len(all(t, store)) || removed < writers*(each-60) {
		t.Errorf("Prune = %d, %v, want all but the latest block: the records are counted right", removed, err)
	}
}
