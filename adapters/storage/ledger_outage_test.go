package storage_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// An operator ends all connections ten times a second.
func TestLedger_losesNothingWhenConnectionsAreTerminated(t *testing.T) {
	t.Parallel()
	uri := migrated(t)
	playUnderFaults(t, pgtest.As(t, uri, "worker_run"), terminations(t, uri, 20))
}

// The server crashes and comes back.
func TestLedger_losesNothingWhenTheServerCrashes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	playUnderFaults(t, pgtest.Migrate(t, server.URI), crashes(t, server, 5))
}

// playUnderFaults lets three replicas with connections of their own claim and
// end ticks while faults befall the server, and checks by their own records
// that each tick was granted once, and skipped once, and that nothing is left.
func playUnderFaults(t *testing.T, uri domain.Secret, f faults) {
	t.Helper()
	const replicas, jobs, steps = 3, 7, 60
	direct := open(t, postgres(storage.PostgresConfig{URI: uri}))
	definitions := manyDefinitions(jobs)
	start := cursorsOf(syncAs(t, direct.Ledger(""), "replica-0", definitions))
	var taken atomic.Int64
	seen := newRecord()
	steppers := make([]replicaUnderFaults, replicas)
	for n := range steppers {
		db := open(t, postgres(storage.PostgresConfig{URI: uri}))
		steppers[n] = replicaUnderFaults{t: t, name: fmt.Sprint("replica-", n), ledger: db.Ledger(""), record: seen, start: start}
	}
	befallen, stop := f.begin()
	last := make([]int, replicas)
	var group sync.WaitGroup
	for n := range steppers {
		group.Go(func() {
			// All come as far as the one that goes on for longest, since each
			// may be granted what another one was not.
			for step := 0; step < steps || befallen.Load() < f.least; step++ {
				steppers[n].step(step)
				taken.Add(int64(steppers[n].takeOver(2)))
				last[n] = step + 1
			}
		})
	}
	group.Wait()
	stop()
	total := max(last[0], last[1], last[2])
	wantEach(t, "granted", seen.granted, jobs*total)
	wantEach(t, "moved", seen.moved, jobs*total)
	seen.wantTakenOver(t)
	wantNoneLost(t, direct, definitions)
	t.Logf("%d ticks of each of %d jobs, %d runs taken over, under %d faults", total, jobs, taken.Load(), befallen.Load())
}
