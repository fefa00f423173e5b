package storage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var (
	_ ports.Ledger         = (*Ledger)(nil)
	_ ports.ScheduleSwitch = (*Ledger)(nil)
)

// DefaultReplicaLease is how long a replica counts as alive after its latest
// Sync.
const DefaultReplicaLease = 15 * time.Second

// ledgerBatch is how many intents or claims one call to the database carries.
const ledgerBatch = 1000

// Ledger decides who may act on which run, for all replicas that have the
// database and the namespace in common. It behaves as the ledger in memory
// does, and what the port leaves open is decided alike:
//
//   - A claim whose lease ran out stays its owner's, and its slot stays held,
//     until [Ledger.Abandoned] hands it to another replica. A released run
//     keeps its phase and slot too, so that no newer run overtakes it.
//   - A held claim is good whatever definition or pause came since.
//   - A job that nobody registered answers Superseded: sync first.
//   - Old definitions stay older: a replica that comes back with one takes
//     over only when no live replica registers a newer one.
//   - The end of a run is remembered for 24 hours, of at most about 32,768
//     ticks and 65,536 other runs. A tick is refused by its cursor ever after.
//     Of a tick that is over the owner is not told: whoever moved the cursor
//     last is named instead, or with a lost claim nobody.
//   - Cursors are kept in milliseconds, all else in microseconds of the
//     store's clock: the server's, or with SQLite the host's.
//
// Long batches are carried out in parts, in order. A call that cannot begin
// because the database does not answer is [ports.ErrUnavailable]. One whose
// connection breaks asks, while ctx lives, until it knows what became of it; if
// it turns out that nothing has been done for a second, nothing is done any more,
// and that is [ports.ErrUnavailable], too. Sync and Renew give up soon: what they
// do, the next call does as well. When ctx ends in between, parts that were carried out stay so, and what
// they granted is taken over when its lease ends.
//
// Calls with an ended context do nothing. A Ledger is safe for concurrent use.
type Ledger struct {
	runner       runner
	sql          *ledgerSQL
	namespace    string
	scope        domain.Scope
	replicaLease time.Duration
	memory       memory
	sessions     sessions
	known        knownJobs
	lapses       lapseWatch
	// wary counts down the writes that do not suppose that no job has changed.
	wary atomic.Int64

	// endedTicks, blockedTicks and endedOthers count what ended here since the last
	// pruning.
	endedTicks, blockedTicks, endedOthers atomic.Int64

	mu sync.Mutex
	// latest are the definitions of the latest Sync.
	latest *domain.Registration
}

// Ledger returns the ledger of a namespace; empty means
// [domain.DefaultNamespace].
func (db *DB) Ledger(namespace string) *Ledger {
	if namespace == "" {
		namespace = domain.DefaultNamespace
	}
	scope := domain.ScopeFleet
	if db.dialect == SQLite {
		scope = domain.ScopeHost
	}
	return &Ledger{
		runner: db.runner, sql: newLedgerSQL(db.dialect), namespace: namespace, scope: scope, replicaLease: DefaultReplicaLease,
		memory: memory{ticks: maxEndedTicks, others: maxEndedOthers, every: forgetEvery},
	}
}

// PauseJob implements [ports.ScheduleSwitch]. Pausing twice does no harm.
func (l *Ledger) PauseJob(ctx context.Context, job string) error {
	return l.switchJob(ctx, job, l.sql.pause)
}

// ResumeJob implements [ports.ScheduleSwitch]. A job that is not paused is
// left alone, with the ticks that it may still have to catch up with.
func (l *Ledger) ResumeJob(ctx context.Context, job string) error {
	return l.switchJob(ctx, job, l.sql.resume)
}

func (l *Ledger) switchJob(ctx context.Context, job, text string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	known := false
	err := l.repeatable(ctx, func() []statement {
		known = false
		change := l.statement(text, newStamp(), job)
		change.row = func(scan scanner) error {
			known = true
			return scan(new(string))
		}
		return []statement{l.numbers(1, true, nil), change}
	})
	if err != nil {
		return fmt.Errorf("switch job %s: %w", domain.Quote(job), err)
	}
	if !known {
		return fmt.Errorf("job %s of namespace %s: %w", domain.Quote(job), l.namespace, ports.ErrNotFound)
	}
	return nil
}

// statement returns one whose first value is the namespace.
func (l *Ledger) statement(text string, args ...any) statement {
	return statement{text: text, args: append([]any{l.namespace}, args...)}
}

// lookup returns a statement about the rows of a set, or about few others.
func (l *Ledger) lookup(set []any, text string, args ...any) statement {
	s := l.statement(text, args...)
	s.set, s.looksUp = set, true
	return s
}

// numbering is what a write learns from the namespace's row.
type numbering struct {
	// before is the number before those that were given out.
	before int64
	now    time.Time
}

// numbers gives out count numbers and takes the namespace's lock, which keeps
// all others from changing jobs until commit. If isNews is true, the last of
// the numbers is the version of what the write changes.
func (l *Ledger) numbers(count int, isNews bool, into *numbering) statement {
	s := l.statement(l.sql.numbers, count, isNews)
	s.row = func(scan scanner) error {
		var last, nowUS int64
		if err := scan(&last, &nowUS); err != nil {
			return err
		}
		if into != nil {
			*into = numbering{before: last - int64(count), now: time.UnixMicro(nowUS).UTC()}
		}
		return nil
	}
	return s
}

// newStamp returns a number that no other write has: what has it was written
// by this one.
func newStamp() int64 { return rand.Int64() }

// micros returns a lease as statements take it.
func micros(lease time.Duration) int64 { return max(lease.Microseconds(), 1) }
