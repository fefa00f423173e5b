package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
)

// record is what replicas were granted and told, kept apart from the ledger.
type record struct {
	mu sync.Mutex
	// granted and moved are the replicas that a run was granted to, and those
	// that were told that they moved a cursor to it.
	granted, moved map[domain.RunKey][]string
	// released is when a replica was told that it no longer held a run which it
	// released, takenOver when the call began that took a run over.
	released, takenOver map[domain.RunKey]time.Time
}

func newRecord() *record {
	return &record{
		granted: map[domain.RunKey][]string{}, moved: map[domain.RunKey][]string{},
		released: map[domain.RunKey]time.Time{}, takenOver: map[domain.RunKey]time.Time{},
	}
}

func (r *record) add(to map[domain.RunKey][]string, run domain.RunKey, replica string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to[run] = append(to[run], replica)
}

// wantEach checks that there are so many runs and each belongs to one replica.
func wantEach(t *testing.T, what string, owners map[domain.RunKey][]string, count int) {
	t.Helper()
	if len(owners) != count {
		t.Errorf("%d runs are %s, want %d", len(owners), what, count)
	}
	for run, replicas := range owners {
		if len(replicas) != 1 {
			t.Errorf("%s is %s to %q, want to one", run, what, replicas)
		}
	}
}

func (r *record) note(in map[domain.RunKey]time.Time, run domain.RunKey, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if in[run].IsZero() {
		in[run] = at
	}
}

// wantTakenOver checks that another one was taking over each run that was no longer
// held as it was released: it may have it before a lost answer is asked for again.
func (r *record) wantTakenOver(t *testing.T) {
	t.Helper()
	for run, told := range r.released {
		if began := r.takenOver[run]; began.IsZero() || began.After(told) {
			t.Errorf("%s is not held as it is released at %s, and taken over at %s", run, told, began)
		}
	}
}

// replicaUnderFaults is a replica that claims in a test of faults.
type replicaUnderFaults struct {
	t      *testing.T
	name   string
	ledger *storage.Ledger
	record *record
	start  map[string]time.Time
}

// step claims the nth tick of all jobs, skips the one after it, and ends what
// it was granted.
func (r *replicaUnderFaults) step(n int) {
	var ticks, skips []domain.Intent
	for job, base := range r.start {
		from := base.Add(time.Duration(2*n) * time.Second)
		at, after := from.Add(time.Second), from.Add(2*time.Second)
		ticks = append(ticks, domain.Intent{
			Run: domain.TickKey(job, at), Replica: r.name, Fingerprint: "v1", Slot: domain.SlotFree,
			Move: &domain.CursorMove{From: from, To: at}, Lease: time.Hour,
		})
		skips = append(skips, domain.Intent{
			Run: domain.TickKey(job, after), Replica: r.name, Fingerprint: "v1",
			Move: &domain.CursorMove{From: at, To: after}, MoveOnly: true,
		})
	}
	if n%2 == 0 {
		r.claim(slices.Concat(ticks, skips))
		return
	}
	// Of jobs that one intent alone is about the ledger may know enough.
	r.claim(ticks)
	r.claim(skips)
}

func (r *replicaUnderFaults) claim(intents []domain.Intent) {
	verdicts, err := insist(func() ([]domain.Verdict, error) { return r.ledger.Claim(r.t.Context(), intents) })
	if err != nil {
		r.t.Errorf("Claim = %v, want no error", err)
		return
	}
	var results []domain.RunResult
	for i, v := range verdicts {
		if v.Kind == domain.Granted {
			r.record.add(r.record.granted, intents[i].Run, r.name)
			results = append(results, domain.RunResult{Claim: v.Claim.Ref(), End: ending(i)})
		}
		if v.Kind == domain.Moved {
			r.record.add(r.record.moved, intents[i].Run, r.name)
		}
	}
	r.finish(results)
}

func (r *replicaUnderFaults) finish(results []domain.RunResult) {
	held, err := insist(func() ([]bool, error) { return r.ledger.Finish(r.t.Context(), results) })
	if err != nil {
		r.t.Errorf("Finish = %v, want no error", err)
	}
	for i := range held {
		switch run := results[i].Claim.Run; {
		case held[i]:
		case results[i].End == domain.EndReleased:
			r.record.note(r.record.released, run, time.Now())
		default:
			r.t.Errorf("Finish(%s) is not held, want it held", run)
		}
	}
}

// insist asks again while the server is away: what says so has done nothing.
func insist[A any](ask func() (A, error)) (A, error) {
	for {
		answer, err := ask()
		if !errors.Is(err, ports.ErrUnavailable) {
			return answer, err
		}
		<-time.After(10 * time.Millisecond)
	}
}

// ending lets some of the runs be taken over.
func ending(i int) domain.RunEnd {
	if i%3 == 0 {
		return domain.EndReleased
	}
	return domain.EndFinished
}

// takeOver ends up to limit released runs, and returns how many it got.
func (r *replicaUnderFaults) takeOver(limit int) int {
	began := time.Now()
	claims, err := insist(func() ([]domain.Claim, error) { return r.ledger.Abandoned(r.t.Context(), r.name, time.Hour, limit) })
	if err != nil {
		r.t.Errorf("Abandoned = %v, want no error", err)
	}
	var results []domain.RunResult
	for i := range claims {
		r.record.note(r.record.takenOver, claims[i].Run, began)
		results = append(results, domain.RunResult{Claim: claims[i].Ref(), End: domain.EndFinished})
	}
	r.finish(results)
	return len(claims)
}

// countOpen returns how many claims have an owner or wait for one.
func countOpen(t *testing.T, db *storage.DB) int {
	t.Helper()
	var open int
	if err := db.Bun().NewRaw("SELECT count(*) FROM ledger_claims WHERE phase < 3").Scan(t.Context(), &open); err != nil {
		t.Fatalf("SELECT = %v, want no error", err)
	}
	return open
}

// Requests and answers get lost, and requests arrive after their repetition.
// Each call tells the truth all the same: what is granted has an owner who
// knows, and nobody else.
func TestLedger_tellsTheTruthWhenConnectionsBreak(t *testing.T) {
	t.Parallel()
	const replicas, jobs, steps = 3, 7, 12
	uri := pgtest.As(t, migrated(t), "worker_run")
	direct := open(t, postgres(storage.PostgresConfig{URI: uri}))
	definitions := manyDefinitions(jobs)
	start := cursorsOf(syncAs(t, direct.Ledger(""), "replica-0", definitions))
	var losses [4]atomic.Int64
	seen := newRecord()
	var group sync.WaitGroup
	for n := range replicas {
		dice, mu := rand.New(rand.NewPCG(uint64(n), 1)), sync.Mutex{}
		behind := pgtest.NewProxy(t, uri, func() pgtest.Loss {
			mu.Lock()
			defer mu.Unlock()
			loss := pgtest.Loss(max(dice.IntN(12)-8, 0))
			losses[loss].Add(1)
			return loss
		})
		group.Go(func() {
			db, err := openPatiently(t, behind.URI)
			if err != nil {
				t.Errorf("Open = %v, want no error", err)
				return
			}
			r := replicaUnderFaults{t: t, name: fmt.Sprint("replica-", n), ledger: db.Ledger(""), record: seen, start: start}
			for step := range steps {
				r.step(step)
				r.takeOver(2)
			}
		})
	}
	group.Wait()
	wantEach(t, "granted", seen.granted, jobs*steps)
	wantEach(t, "moved", seen.moved, jobs*steps)
	for loss := range losses {
		if losses[loss].Load() == 0 {
			t.Errorf("loss %d befell %d exchanges, want more", loss, losses[loss].Load())
		}
	}
	seen.wantTakenOver(t)
	wantNoneLost(t, direct, definitions)
}

// wantNoneLost ends what was released, and checks that nothing else is open.
func wantNoneLost(t *testing.T, db *storage.DB, definitions []domain.Definition) {
	t.Helper()
	last := replicaUnderFaults{t: t, name: "replica-0", ledger: db.Ledger(""), record: newRecord()}
	syncAs(t, last.ledger, last.name, definitions)
	for left := 1; left > 0; {
		left = last.takeOver(1000)
	}
	if left := countOpen(t, db); left != 0 {
		t.Errorf("%d claims have an owner that does not know, want 0", left)
	}
}

// Calls whose context ends before their answer comes leave their connections in
// the pool, whole.
func TestLedger_keepsItsConnectionsWhenContextsEnd(t *testing.T) {
	t.Parallel()
	const callers, calls = 4, 50
	behind := pgtest.NewProxy(t, pgtest.As(t, migrated(t), "worker_run"), func() pgtest.Loss { return pgtest.NoLoss })
	db := open(t, postgres(storage.PostgresConfig{URI: behind.URI}))
	ledger := db.Ledger("")
	definitions := manyDefinitions(1)
	var ended atomic.Int64
	var group sync.WaitGroup
	for n := range callers {
		dice := rand.New(rand.NewPCG(uint64(n), 2))
		group.Go(func() {
			// However fast the calls are, about half of the contexts end before.
			patience := 4 * time.Millisecond
			for range calls {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(dice.Int64N(int64(patience))))
				_, err := ledger.Sync(ctx, domain.SyncRequest{Replica: "ann", Definitions: definitions})
				if ctx.Err() != nil {
					ended.Add(1)
					patience = patience * 5 / 4
				} else {
					patience = max(patience*3/4, time.Microsecond)
				}
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Sync = %v, want no error or the end of its context", err)
				}
			}
		})
	}
	group.Wait()
	if ended.Load() < calls/2 {
		t.Errorf("the contexts of %d of %d calls ended in between, want more", ended.Load(), callers*calls)
	}
	// A few may be lost while they are made; were one lost with each context, it would be dozens.
	if got := behind.Connections(); got > 2*storage.DefaultPoolSize {
		t.Errorf("%d connections were opened for %d calls, want at most %d", got, callers*calls, 2*storage.DefaultPoolSize)
	}
}

// openPatiently opens a database whose connections break.
func openPatiently(t *testing.T, uri domain.Secret) (*storage.DB, error) {
	t.Helper()
	for {
		db, err := storage.Open(t.Context(), postgres(storage.PostgresConfig{URI: uri}))
		if err == nil {
			t.Cleanup(func() { _ = db.Close() })
			return db, nil
		}
		if t.Context().Err() != nil {
			return nil, err
		}
	}
}

// A write that several blocked runs rest on can be repeated.
func TestLedger_repeatsWhatOneRunBlocks(t *testing.T) {
	t.Parallel()
	var exchanges atomic.Int64
	behind := pgtest.NewProxy(t, pgtest.As(t, migrated(t), "worker_run"), func() pgtest.Loss {
		if exchanges.Add(-1) == 0 {
			return pgtest.LoseRequest
		}
		return pgtest.NoLoss
	})
	db := open(t, postgres(storage.PostgresConfig{URI: behind.URI, PoolSize: 1}))
	ledger := db.Ledger("")
	syncAs(t, ledger, "ann", manyDefinitions(1))
	ask := func(intents ...domain.Intent) []domain.Verdict {
		verdicts, err := insist(func() ([]domain.Verdict, error) { return ledger.Claim(t.Context(), intents) })
		if err != nil {
			t.Fatalf("Claim = %v, want no error", err)
		}
		return verdicts
	}
	ask(byHand("job-00000", "holder"))
	for lost := range int64(8) {
		var intents []domain.Intent
		for n := range 3 {
			intents = append(intents, byHand("job-00000", fmt.Sprint(lost, "-", n)))
			intents[n].Slot = domain.SlotSkip
		}
		exchanges.Store(lost + 1)
		for _, verdict := range ask(intents...) {
			if verdict.Kind != domain.Blocked {
				t.Errorf("without exchange %d a run is %q, want blocked", lost, verdict.Kind)
			}
		}
	}
}
