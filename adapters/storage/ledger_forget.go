package storage

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Bounds of the memory of runs that have ended.
const (
	endedFor       = 24 * time.Hour
	maxEndedTicks  = 1 << 15
	maxEndedOthers = 1 << 16
	// forgetEvery is after how many ends of runs the memory is pruned: it
	// costs a look at all that is remembered.
	forgetEvery = 1 << 14
)

// memory says how many ended runs are remembered, and after how many ends
// those beyond are forgotten.
type memory struct{ ticks, others, every int64 }

func (l *Ledger) countEnded(results []domain.RunResult) {
	ticks := int64(0)
	for i := range results {
		if results[i].Claim.Run.Origin == domain.OriginSchedule {
			ticks++
		}
	}
	l.endedTicks.Add(ticks)
	l.endedOthers.Add(int64(len(results)) - ticks)
}

// countBlocked counts the ticks that were ended as they were claimed, or before they
// began, because of another run.
func (l *Ledger) countBlocked(state *ledgerState) {
	blocked := int64(0)
	for _, claims := range [][]*ledgerClaim{state.opened, state.changed} {
		for _, c := range claims {
			if c.ended() && c.run.Origin == domain.OriginSchedule {
				blocked++
			}
		}
	}
	l.blockedTicks.Add(blocked)
}

// forgetSome prunes the memory of ended runs when enough have ended here. Claims of
// blocked ticks are looked for among all claims since the latest vacuum, which takes
// long where ticks are many.
func (l *Ledger) forgetSome(ctx context.Context) error {
	if l.endedTicks.Load() >= l.memory.every {
		return l.forgetCounted(ctx, &l.endedTicks, l.statement(l.sql.forgetTicks, l.memory.ticks))
	}
	if l.blockedTicks.Load() >= l.memory.every {
		return l.forgetCounted(ctx, &l.blockedTicks, l.statement(l.sql.forgetTickClaims, l.memory.ticks))
	}
	if l.endedOthers.Load() >= l.memory.every {
		return l.forgetCounted(ctx, &l.endedOthers, l.statement(l.sql.forgetRuns, l.memory.others))
	}
	return nil
}

// forgetCounted begins to count anew, unless nothing could be forgotten.
func (l *Ledger) forgetCounted(ctx context.Context, counted *atomic.Int64, statements ...statement) error {
	before := counted.Swap(0)
	forgotten, err := l.forget(ctx, statements...)
	if !forgotten {
		counted.Add(before)
	}
	return err
}

// forgetOld prunes what ended long ago, and the answers of processes that are
// gone.
func (l *Ledger) forgetOld(ctx context.Context) error {
	age := endedFor.Microseconds()
	statements := []statement{l.statement(l.sql.forgetOldTicks, age), l.statement(l.sql.forgetOldRuns, age)}
	if l.sql.forgetCalls != "" {
		statements = append(statements, l.statement(l.sql.forgetCalls, age))
	}
	_, err := l.forget(ctx, statements...)
	return err
}

// forget reports whether it could be done. An outage or the end of ctx is no
// error: what the call was about has been done, and the next one forgets.
func (l *Ledger) forget(ctx context.Context, statements ...statement) (forgotten bool, err error) {
	err = l.write(ctx, func() []statement { return statements })
	if isOutage(err) || ctx.Err() != nil {
		return false, nil //nolint:nilerr // see above
	}
	return err == nil, err
}
