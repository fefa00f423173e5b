package storage

import (
	"context"
	"sync"
	"time"
)

// lookAtLeast is how often the open claims are looked at although none can have lapsed:
// Postgres marks what it passes by in the index as gone, and has room there for more.
// Unmarked, what ended in fifteen seconds made claims of 10,000 ticks at once a tenth
// slower.
const lookAtLeast = 2 * time.Second

// lapseWatch knows until when no claim lapses: a look at the claims that are open
// passes by all that were made since the latest vacuum, which is much where runs
// are many. The zero value knows nothing. It is safe for concurrent use.
type lapseWatch struct {
	mu sync.Mutex
	// replica is for whom the claims were looked at last, at that time by the clock
	// that nobody sets.
	replica string
	looked  time.Time
	// untilUS is until when none of those lapses, nor any that is made or renewed
	// since, in store time.
	untilUS int64
	// forgotten counts what makes a look worthless that began before.
	forgotten int
}

// rules reports whether no claim can have lapsed at nowUS. What was made since the
// latest look lasts for the lease; store time may have been set back meanwhile.
func (w *lapseWatch) rules(replica string, nowUS int64, lease time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replica == replica && nowUS < w.untilUS && time.Since(w.looked) < min(lease, lookAtLeast)
}

// openLook is a look at all open claims, for a replica at a time.
type openLook struct {
	replica   string
	began     time.Time
	nowUS     int64
	forgotten int
}

func (w *lapseWatch) begin(replica string, nowUS int64) openLook {
	w.mu.Lock()
	defer w.mu.Unlock()
	return openLook{replica: replica, began: time.Now(), nowUS: nowUS, forgotten: w.forgotten}
}

// keep takes note of a look that found nothing lapsed, unless it is worthless by
// now. firstUS is when the first of the open claims lapses, zero if there is none.
func (w *lapseWatch) keep(look openLook, firstUS int64, lease time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forgotten != look.forgotten {
		return
	}
	w.replica, w.looked, w.untilUS = look.replica, look.began, look.nowUS+micros(lease)
	if firstUS > 0 {
		w.untilUS = min(w.untilUS, firstUS)
	}
}

// forget makes the next look one at all claims.
func (w *lapseWatch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replica = ""
	w.forgotten++
}

// hasLapsed reports whether there are claims that the replica may take over. It
// takes it that leases of others are no shorter than this one; claims with shorter
// ones are found when they could have lapsed.
func (l *Ledger) hasLapsed(ctx context.Context, replica string, lease time.Duration) (lapsed bool, err error) {
	var nowUS int64
	released := l.lookup(nil, l.sql.released, replica)
	released.row = func(scan scanner) error { return scan(&nowUS, &lapsed) }
	if err := l.runner.read(ctx, released); err != nil || lapsed {
		return lapsed, err
	}
	if l.lapses.rules(replica, nowUS, lease) {
		return false, nil
	}
	began := l.lapses.begin(replica, nowUS)
	var first *int64
	look := l.lookup(nil, l.sql.lapsed, replica, nowUS)
	look.row = func(scan scanner) error { return scan(&lapsed, &first) }
	if err := l.runner.read(ctx, look); err != nil {
		return false, err
	}
	if lapsed {
		l.lapses.forget()
		return true, nil
	}
	var firstUS int64
	if first != nil {
		firstUS = *first
	}
	l.lapses.keep(began, firstUS, lease)
	return false, nil
}
