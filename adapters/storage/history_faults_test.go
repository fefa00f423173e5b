package storage_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// An operator ends all connections ten times a second.
func TestRunStoreAppend_losesNothingWhenConnectionsAreTerminated(t *testing.T) {
	t.Parallel()
	uri := migrated(t)
	appendUnderFaults(t, pgtest.As(t, uri, "worker_run"), terminations(t, uri, 10))
}

// The server crashes and comes back.
func TestRunStoreAppend_losesNothingWhenTheServerCrashes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	appendUnderFaults(t, pgtest.Migrate(t, server.URI), crashes(t, server, 2))
}

// appendUnderFaults lets three replicas with connections of their own append batches
// while faults befall the server, each again until it is taken.
func appendUnderFaults(t *testing.T, uri domain.Secret, f faults) {
	t.Helper()
	const replicas, batches = 3, 5
	appended := make([]int, replicas)
	stores := make([]*storage.RunStore, replicas)
	for n := range stores {
		stores[n] = open(t, postgres(storage.PostgresConfig{URI: uri})).RunStore("")
	}
	befallen, stop := f.begin()
	var group sync.WaitGroup
	for n, store := range stores {
		group.Go(func() {
			for appended[n] < batches || befallen.Load() < f.least {
				batch := handedOver(fmt.Sprint("replica-", n), appended[n])
				if _, err := insist(func() (struct{}, error) { return struct{}{}, store.Append(t.Context(), batch) }); err != nil {
					t.Errorf("Append = %v, want no error or ErrUnavailable", err)
					return
				}
				appended[n]++
				// Else there were more to look through than faults need.
				<-time.After(5 * time.Millisecond)
			}
		})
	}
	group.Wait()
	stop()
	told := handOvers{}
	for n := range replicas {
		for batch := range appended[n] {
			told[handOver{fmt.Sprint("replica-", n), batch}] = true
		}
	}
	wantHandedOver(t, open(t, postgres(storage.PostgresConfig{URI: uri})), told)
	t.Logf("%d batches under %d faults", len(told), befallen.Load())
}

// handOver is the nth batch of a replica.
type handOver struct {
	replica string
	batch   int
}

// handOvers are the batches that were handed over; true if the store said that it
// took them.
type handOvers map[handOver]bool

// handedOver returns the records of a batch: short runs, each of which is a block,
// outcomes of jobs of three queues, which are a block each, and some that are rows.
func handedOver(replica string, batch int) (records []domain.Record) {
	const runs, outcomes, rows = 4, 105, 3
	planned := pastTime(0).Add(time.Duration(batch) * time.Second)
	at := func(n int) time.Time { return planned.Add(time.Duration(n) * time.Millisecond) }
	for n := range runs {
		run := domain.TickKey(fmt.Sprint(replica, "-job-", n), planned)
		records = append(records,
			domain.Record{At: at(n), Replica: replica, Event: domain.EventClaimed, Run: run},
			domain.Record{At: at(n), Replica: replica, Event: domain.EventStarted, Run: run, Attempt: 1},
			domain.Record{At: at(n), Replica: replica, Event: domain.EventCompleted, Run: run, Attempt: 1})
	}
	for n := range outcomes + rows {
		record := domain.Record{
			At: at(n), Replica: replica, Event: domain.EventCompleted, Queue: domain.QueueName(fmt.Sprint("queue-", n%3)),
			JobID: domain.JobID(fmt.Sprint(replica, "-", batch, "-", n)), Attempt: 1,
		}
		if n >= outcomes {
			record.Event, record.Reason = domain.EventFailed, "the other side did not answer in time"
		}
		records = append(records, record)
	}
	return records
}

// wantHandedOver checks that each batch that the store said it took is found once, one
// that it said nothing of once or not at all, and nothing else.
func wantHandedOver(t *testing.T, db *storage.DB, told handOvers) {
	t.Helper()
	store := db.RunStore("")
	runs, outcomes := find(t, store, domain.RunFilter{Events: []domain.Event{domain.EventClaimed, domain.EventStarted}}), map[string]int{}
	for _, queue := range []domain.QueueName{"queue-0", "queue-1", "queue-2"} {
		for record, times := range find(t, store, domain.RunFilter{Queue: queue}) {
			outcomes[record] += times
		}
	}
	found, stored := find(t, store, domain.RunFilter{}), 0
	for h, isTaken := range told {
		records := handedOver(h.replica, h.batch)
		times := found[recordKey(&records[0])]
		if times > 1 || isTaken && times != 1 {
			t.Errorf("batch %d of %s is found %d times (taken: %t), want it once", h.batch, h.replica, times, isTaken)
		}
		for i := range records {
			key, by := recordKey(&records[i]), found
			switch {
			case records[i].Queue != "":
				by = outcomes
			case records[i].Event != domain.EventCompleted:
				by = runs
			}
			if found[key] != times || by[key] != times {
				t.Errorf("%s is found %d times, and %d times by a filter, want %d times, as its batch", key, found[key], by[key], times)
			}
			delete(found, key)
		}
		stored += times * len(records)
	}
	for key := range found {
		t.Errorf("%s is found, which was never handed over", key)
	}
	if counted := count(t, db, "history_records"); counted != stored {
		t.Errorf("%d records are stored, want %d", counted, stored)
	}
}

// find returns how often each record is found.
func find(t *testing.T, store *storage.RunStore, filter domain.RunFilter) map[string]int {
	t.Helper()
	filter.AfterID, filter.Limit = -1, 1_000_000
	records, err := store.Query(context.WithoutCancel(t.Context()), filter)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int, len(records))
	for i := range records {
		found[recordKey(&records[i])]++
	}
	return found
}

func recordKey(r *domain.Record) string {
	return fmt.Sprint(r.Replica, " ", r.Event, " ", r.Run, " ", r.Queue, " ", r.JobID, " ", r.At.UnixMicro())
}
