package storage

import (
	"context"
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

// forgetSome prunes the memory of ended runs when enough have ended here.
func (l *Ledger) forgetSome(ctx context.Context) error {
	if l.endedTicks.Load() >= l.memory.every {
		l.endedTicks.Store(0)
		return l.forget(ctx, l.statement(l.sql.forgetTicks, l.memory.ticks))
	}
	if l.endedOthers.Load() >= l.memory.every {
		l.endedOthers.Store(0)
		return l.forget(ctx, l.statement(l.sql.forgetOthers, l.memory.others))
	}
	return nil
}

// forgetOld prunes what ended long ago.
func (l *Ledger) forgetOld(ctx context.Context) error {
	age := endedFor.Microseconds()
	return l.forget(ctx, l.statement(l.sql.forgetOldTicks, age), l.statement(l.sql.forgetOldOthers, age))
}

func (l *Ledger) forget(ctx context.Context, statements ...statement) error {
	return l.write(ctx, func() []statement { return statements })
}
