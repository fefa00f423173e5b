package inmemqueue

import "time"

// Bounds of the memory of runs that have ended.
const (
	endedFor       = 24 * time.Hour
	maxEndedTicks  = 1 << 15
	maxEndedOthers = 1 << 16
)

// endedRuns is a queue of ended claims, the oldest first.
type endedRuns struct {
	limit  int
	claims []*ledgerClaim
	// head is the index of the oldest claim.
	head int
}

func (e *endedRuns) push(c *ledgerClaim) { e.claims = append(e.claims, c) }

// due returns the oldest claim if it may be forgotten, or nil.
func (e *endedRuns) due(now time.Time) *ledgerClaim {
	if e.head == len(e.claims) {
		return nil
	}
	oldest := e.claims[e.head]
	if len(e.claims)-e.head > e.limit || now.Sub(oldest.endedAt) >= endedFor {
		return oldest
	}
	return nil
}

// drop removes the oldest claim. Half of the slice is given back at a time,
// so that a drop costs little whatever the length.
func (e *endedRuns) drop() {
	e.claims[e.head] = nil
	e.head++
	if e.head*2 < len(e.claims) {
		return
	}
	kept := copy(e.claims, e.claims[e.head:])
	clear(e.claims[kept:])
	e.claims, e.head = e.claims[:kept], 0
}

func (l *Ledger) forgetRuns(ended *endedRuns, now time.Time) {
	for c := ended.due(now); c != nil; c = ended.due(now) {
		ended.drop()
		delete(l.claims, c.run)
	}
}
