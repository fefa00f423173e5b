package storage_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// An operator ends all connections ten times a second.
func TestLedger_losesNothingWhenConnectionsAreTerminated(t *testing.T) {
	t.Parallel()
	uri := migrated(t)
	operator, err := pgx.Connect(t.Context(), uri.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close(context.Background()) //nolint:errcheck // asked and done
	terminated := func() {
		_, err := operator.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		if err != nil {
			t.Error(err)
		}
	}
	playUnderFaults(t, pgtest.As(t, uri, "worker_run"), underFaults{every: 100 * time.Millisecond, least: 20, fault: terminated})
}

// The server crashes and comes back.
func TestLedger_losesNothingWhenTheServerCrashes(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	playUnderFaults(t, pgtest.Migrate(t, server.URI), underFaults{every: 500 * time.Millisecond, least: 5, fault: func() { server.Crash(t) }})
}

// underFaults says what befalls the server, how often, and at least how many
// times.
type underFaults struct {
	every time.Duration
	least int64
	fault func()
}

// playUnderFaults lets three replicas with connections of their own claim and
// end ticks while faults befall the server, and checks by their own records
// that each tick was granted once, and skipped once, and that nothing is left.
func playUnderFaults(t *testing.T, uri domain.Secret, f underFaults) {
	t.Helper()
	const replicas, jobs, steps = 3, 7, 60
	direct := open(t, postgres(storage.PostgresConfig{URI: uri}))
	definitions := manyDefinitions(jobs)
	start := cursorsOf(syncAs(t, direct.Ledger(""), "replica-0", definitions))
	var faults atomic.Int64
	var taken atomic.Int64
	seen := newRecord()
	steppers := make([]replicaUnderFaults, replicas)
	for n := range steppers {
		db := open(t, postgres(storage.PostgresConfig{URI: uri}))
		steppers[n] = replicaUnderFaults{t: t, name: fmt.Sprint("replica-", n), ledger: db.Ledger(""), record: seen, start: start}
	}
	stop := make(chan struct{})
	var injector sync.WaitGroup
	injector.Go(func() {
		pace := time.NewTicker(f.every)
		defer pace.Stop()
		// A busy machine makes few steps between two faults, which cost it more than
		// they do: so there is an end of them.
		for faults.Load() < 3*f.least {
			select {
			case <-stop:
				return
			case <-pace.C:
				f.fault()
				faults.Add(1)
			}
		}
	})
	last := make([]int, replicas)
	var group sync.WaitGroup
	for n := range steppers {
		group.Go(func() {
			// All come as far as the one that goes on for longest, since each
			// may be granted what another one was not.
			for step := 0; step < steps || faults.Load() < f.least; step++ {
				steppers[n].step(step)
				taken.Add(int64(steppers[n].takeOver(2)))
				last[n] = step + 1
			}
		})
	}
	group.Wait()
	close(stop)
	injector.Wait()
	total := max(last[0], last[1], last[2])
	wantEach(t, "granted", seen.granted, jobs*total)
	wantEach(t, "moved", seen.moved, jobs*total)
	seen.wantTakenOver(t)
	wantNoneLost(t, direct, definitions)
	t.Logf("%d ticks of each of %d jobs, %d runs taken over, under %d faults", total, jobs, taken.Load(), faults.Load())
}
