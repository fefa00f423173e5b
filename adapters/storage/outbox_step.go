package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// taken is what a step brought.
type taken struct {
	// held tells whether this relay has the queue, leaseEnd until when at least.
	held     bool
	leaseEnd time.Time
	// now is the store's time of the step.
	now  time.Time
	rows []outboxRow
}

// step is one transaction: it takes or renews the lease of the queue, writes
// what became of rows handed over before and, if more is true, hands over the
// next. After an error it is not known what was done; then the next step takes
// the lease anew, and whatever was handed over waits again.
func (q *relayQueue) step(ctx context.Context, more bool) (taken, error) {
	q.collectEnded()
	var now taken
	var yielded bool
	began := time.Now()
	for {
		now, yielded = taken{}, false
		err := q.relay.runner.write(ctx, q.statements(more, &now, &yielded)...)
		if isCollision(err) {
			continue
		}
		if err != nil {
			q.held = false
			return taken{}, fmt.Errorf("step: %w", err)
		}
		break
	}
	if q.held && !now.held {
		q.relay.config.Log.WarnContext(ctx, "outbox lease lost", "queue", string(q.name), "unwritten", len(q.delivered)+len(q.aside))
	}
	q.forget(now.held, more && len(now.rows) == 0)
	q.delivered, q.aside = nil, nil
	q.held = now.held && !yielded
	now.leaseEnd = began.Add(q.relay.config.Lease)
	slices.SortFunc(now.rows, func(a, b outboxRow) int { return cmp.Compare(a.id, b.id) })
	return now, nil
}

// collectEnded takes over what [Relay.Ended] told.
func (q *relayQueue) collectEnded() {
	q.relay.mu.Lock()
	defer q.relay.mu.Unlock()
	for _, receipt := range q.ended {
		q.delete(receipt, q.relay.handed[receipt].id)
	}
	q.ended = nil
}

// delete has the next step delete the row, whose job is over.
func (q *relayQueue) delete(receipt string, id int64) {
	if q.over == nil {
		q.over = make(map[string]bool)
	}
	q.over[receipt] = true
	q.deleting = append(q.deleting, receipt)
	q.delivered = append(q.delivered, id)
}

// forget drops the rows that the step deleted for sure: those to delete if the
// lease was never another relay's, and all if no row waits. Of others it is
// kept in mind that their jobs are over, for they may be handed over again.
func (q *relayQueue) forget(held, none bool) {
	q.relay.mu.Lock()
	defer q.relay.mu.Unlock()
	if held && q.held {
		for _, receipt := range q.deleting {
			delete(q.over, receipt)
			delete(q.relay.handed, receipt)
		}
	}
	if held && none {
		for receipt := range q.over {
			delete(q.relay.handed, receipt)
		}
		q.over = nil
	}
	q.deleting = nil
}

func (q *relayQueue) statements(more bool, into *taken, yielded *bool) []statement {
	texts, lease := q.relay.sql, q.relay.config.Lease
	var all []statement
	hold := q.statement(texts.renew, micros(lease))
	if !q.held {
		all = append(all, q.plain(texts.newRelay))
		hold.text = texts.acquire
	}
	hold.row = func(scan scanner) error {
		var untilUS int64
		err := scan(&untilUS)
		into.held, into.now = true, time.UnixMicro(untilUS).UTC().Add(-lease)
		return err
	}
	all = append(all, hold)
	all = append(all, q.outcomes()...)
	if !q.held {
		reclaim := texts.reclaim
		if q.relay.config.Volatile {
			reclaim = texts.reclaimVolatile
		}
		all = append(all, q.statement(reclaim))
	}
	if more {
		all = append(all, q.handOver(into))
	}
	yield := q.statement(texts.yield)
	yield.row = func(scan scanner) error {
		*yielded = true
		return scan(new(int64))
	}
	return append(all, yield)
}

// outcomes returns the statements that write what became of rows.
func (q *relayQueue) outcomes() []statement {
	var all []statement
	if len(q.delivered) > 0 {
		s := q.statement(q.relay.sql.delivered)
		s.set = []any{q.delivered}
		all = append(all, s)
	}
	if len(q.aside) > 0 {
		ids, states, reasons := make([]int64, len(q.aside)), make([]int64, len(q.aside)), make([]string, len(q.aside))
		for i, row := range q.aside {
			ids[i], states[i], reasons[i] = row.id, int64(row.state), row.reason
		}
		s := q.statement(q.relay.sql.putAside)
		s.set = []any{ids, states, reasons}
		all = append(all, s)
	}
	return all
}

func (q *relayQueue) handOver(into *taken) statement {
	s := q.statement(q.relay.sql.handOver, q.limit, mostBytes)
	s.row = func(scan scanner) error {
		var row outboxRow
		err := scan(&row.id, &row.epoch, &row.name, &row.data, &row.options, &row.createdUS, &row.triedUS)
		into.rows = append(into.rows, row)
		return err
	}
	return s
}

// statement returns one whose first values are the namespace, the queue and the
// relay's token.
func (q *relayQueue) statement(text string, args ...any) statement {
	return statement{
		text: text, looksUp: true,
		args: append([]any{q.relay.outbox.config.Namespace, string(q.name), q.relay.token}, args...),
	}
}

// plain returns one whose values are the namespace and the queue.
func (q *relayQueue) plain(text string) statement {
	return statement{text: text, args: []any{q.relay.outbox.config.Namespace, string(q.name)}}
}

// release writes what is known of the rows and lets others have the queue. It is
// called when nothing carries it any more.
func (q *relayQueue) release(ctx context.Context) error {
	q.collectEnded()
	if !q.held {
		return nil
	}
	q.held = false
	return q.relay.runner.write(ctx, append(q.outcomes(), q.statement(q.relay.sql.release))...)
}
