package storage

import (
	"context"
	"errors"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Bounds of what a relay hands over at once.
const (
	mostRows  = 500
	mostBytes = 1 << 20
)

// relayQueue is one queue of a relay. The fields up to ended are under the
// relay's mutex; the others belong to whoever carries the queue.
type relayQueue struct {
	relay *Relay
	name  domain.QueueName

	// carried tells that a goroutine is at work, asked that there may be
	// something to do.
	carried, asked bool
	// notBefore keeps the queue from being carried; due is when it must be,
	// asked or not.
	notBefore, due time.Time
	// handed counts the rows whose jobs a volatile queue has, ended are the
	// receipts of those whose jobs are over.
	handed int
	ended  []string

	held  bool
	limit int
	// delivered are rows to delete, aside those that go back to wait or are set
	// aside.
	delivered []int64
	aside     []asideRow
	// over are the receipts of rows to delete and of those that another relay may
	// have taken over before they were, deleting those of the former.
	over     map[string]bool
	deleting []string
	pause    time.Duration
	trouble  trouble
}

// asideRow is a row that was not delivered.
type asideRow struct {
	id     int64
	state  rowState
	reason string
}

// rowState is what the column of this name says.
type rowState int64

const (
	rowWaiting rowState = iota
	rowHandedOver
	rowRefused
	rowUnknown
)

// ask has the queue carried, not before the time if one is given. The relay's mutex
// is held.
func (q *relayQueue) ask(notBefore time.Time) {
	q.asked = true
	if !notBefore.IsZero() {
		q.notBefore = notBefore
	}
}

// dueAt returns when the queue is to be carried. The relay's mutex is held.
func (q *relayQueue) dueAt() (time.Time, bool) {
	switch {
	case q.asked:
		return later(q.notBefore, time.Unix(0, 0)), true
	case !q.due.IsZero():
		return later(q.due, q.notBefore), true
	}
	return time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// carry hands rows over until none is left, another relay holds the queue, or
// something is in the way.
func (q *relayQueue) carry(loop, work context.Context) {
	for {
		taken, err := q.step(work, loop.Err() == nil && !q.relay.quiet.Load())
		if err == nil && taken.held && len(taken.rows) > 0 {
			err = q.deliver(work, &taken)
			if err == nil {
				continue
			}
			// When the relay stops, release writes the same.
			if loop.Err() == nil {
				err = errors.Join(err, q.leave(work))
			}
		}
		q.trouble.note(work, q.relay.config.Log, []any{"queue", string(q.name)}, err)
		if q.rest(taken.held, err) || loop.Err() != nil {
			return
		}
	}
}

// leave writes what was not delivered and, if nothing is handed over any more,
// lets other relays have the queue: the trouble may be this process's alone.
func (q *relayQueue) leave(ctx context.Context) error {
	_, err := q.step(ctx, false)
	return err
}

// rest says when the queue is carried again, and reports whether its goroutine
// may end.
func (q *relayQueue) rest(held bool, err error) bool {
	r := q.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.wake()
	now := time.Now()
	q.due = time.Time{}
	switch {
	case err != nil:
		q.pause = min(max(2*q.pause, firstPause), lastPause)
		q.ask(now.Add(q.pause))
	case !held:
		q.notBefore = now.Add(min(quietFor, r.config.Lease))
		if q.asked {
			q.due = q.notBefore
			q.asked = false
		}
	case q.asked:
		q.pause, q.notBefore, q.asked = 0, time.Time{}, false
		return false
	default:
		q.pause, q.notBefore = 0, time.Time{}
		if q.handed > 0 {
			q.due = now.Add(r.config.Lease / 3)
		}
	}
	q.carried = false
	return true
}
