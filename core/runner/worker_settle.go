package runner

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

const (
	// settlers is how many batches may be under way at a time: while a store
	// works on one, the jobs of the other are worked and their outcomes sent,
	// so that a distant store never waits for this worker.
	settlers = 2
	// secondFrom is how many outcomes must have gathered for a batch to be
	// written beside another one: small batches cost a store more. Nothing is
	// to be gained where the latest batch was written within nearby.
	secondFrom = maxSettlements * 4 / 5
	nearby     = 100 * time.Microsecond
)

// settleRoom is what one batch after the other is put together in. It keeps
// alive what the latest batch held, not more.
type settleRoom struct {
	settler     int
	batch       [maxSettlements]*jobAttempt
	settlements [maxSettlements]domain.Settlement
	records     [maxSettlements]domain.Record
}

// settleLoop writes outcomes until ctx ends.
func (w *worker) settleLoop(ctx context.Context, settler int) {
	room := &settleRoom{settler: settler}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-w.settle:
		}
		for more := true; more; more = w.settleBatch(ctx, room) {
			// Handlers that are about to finish come into this batch: without
			// it, fast handlers and small batches keep each other going.
			runtime.Gosched()
		}
	}
}

// settleBatch writes one batch of outcomes, starts the jobs that came back
// with it, and reports whether there was one. When ctx has ended, what is
// left is recorded as not written.
func (w *worker) settleBatch(ctx context.Context, room *settleRoom) bool {
	batch, limit := w.takeFinished(room)
	if len(batch) == 0 {
		return false
	}
	began := w.now()
	reply, _ := w.write(ctx, batch, room, limit)
	took := w.now().Sub(began)
	w.begin(reply.Leases)

	w.mu.Lock()
	w.distant = took > nearby
	for _, a := range batch {
		a.letGo()
	}
	w.settling[room.settler] = nil
	w.free += len(batch) - len(reply.Leases)
	w.checkDrained()
	w.mu.Unlock()
	signal(w.freed)
	return true
}

// takeFinished takes the next batch and says how many jobs may be leased in
// the slots that it frees. Few outcomes are left to the settler that is
// writing: it takes the next batch as soon as it is back.
func (w *worker) takeFinished(room *settleRoom) (batch []*jobAttempt, limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.settlerWanted() {
		return nil, 0
	}
	n := copy(room.batch[:], w.finished)
	batch = room.batch[:n]
	w.finished = slices.Delete(w.finished, 0, n)
	for _, a := range batch {
		a.state = attemptSettling
	}
	w.settling[room.settler] = batch
	if w.quiet {
		return batch, 0
	}
	return batch, n
}

// settlerWanted tells whether there are outcomes for a settler that is not
// writing; it is called with mu held.
func (w *worker) settlerWanted() bool {
	n := len(w.finished)
	return w.distant && n >= secondFrom || n > 0 && w.unsettled() == n
}

// write writes the outcomes of a batch, leases up to limit further jobs and
// records what became of each. An error says that nothing is known to be
// written; ctx has ended then or the queue is closed.
func (w *worker) write(ctx context.Context, batch []*jobAttempt, room *settleRoom, limit int) (domain.SettleReply, error) {
	settlements := room.settlements[:len(batch)]
	for i, a := range batch {
		settlements[i] = domain.Settlement{Lease: a.lease.Ref(), Outcome: a.outcome}
	}
	reply, err := w.settleUntilKnown(ctx, settlements, limit)
	for i, written := range reply.Instead {
		batch[i].outcome, batch[i].event = written, eventOf(written, attemptEnd{})
	}
	if err == nil {
		w.failUnsupported(ctx, batch, reply.Statuses)
	}
	w.recordSettled(batch, room, reply, err)
	return reply, err
}

// failUnsupported fails the jobs that would wait for children on a queue that
// knows none: they would stay leased, and be called a crash in the end.
func (w *worker) failUnsupported(ctx context.Context, batch []*jobAttempt, statuses []domain.SettleStatus) {
	for i, a := range batch {
		if statuses[i] != domain.Unsupported || a.outcome.Kind != domain.WaitingForChildren {
			continue
		}
		reason := fmt.Sprintf("queue %s knows no children to wait for", w.queue.Name)
		failed := domain.Outcome{Kind: domain.Failed, Reason: reason}
		reply, err := w.settleUntilKnown(ctx, []domain.Settlement{{Lease: a.lease.Ref(), Outcome: failed}}, 0)
		if err == nil {
			a.outcome, a.event, statuses[i] = failed, domain.EventFailed, reply.Statuses[0]
		}
	}
}

// settleUntilKnown repeats a call that the store did not take until it does
// or ctx ends. Renewals go on meanwhile, so the leases last.
func (w *worker) settleUntilKnown(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	var failing outage
	for {
		reply, err := w.consumer.Settle(ctx, settlements, limit)
		if err == nil || ctx.Err() != nil || errors.Is(err, ports.ErrClosed) {
			return reply, err
		}
		pause, report := failing.failed(w.now())
		if report {
			w.log.WarnContext(ctx, "outcomes cannot be written", "queue", w.queue.Name, "count", len(settlements), "err", err)
		}
		wait(ctx, pause)
	}
}

// recordSettled records each outcome that was written, and each that was not.
func (w *worker) recordSettled(batch []*jobAttempt, room *settleRoom, reply domain.SettleReply, err error) {
	records := room.records[:len(batch)]
	for i, a := range batch {
		switch {
		case err != nil:
			records[i] = w.recordOf(a, domain.EventLost, "outcome not written: "+reasonOf(err))
		case reply.Statuses[i] == domain.LeaseLost:
			records[i] = w.recordOf(a, domain.EventLost, "outcome refused: the lease is another worker's")
		case reply.Statuses[i] == domain.Unsupported:
			records[i] = w.recordOf(a, domain.EventLost, "outcome not known to this queue: "+a.outcome.Kind.String())
		default:
			records[i] = w.recordOf(a, a.event, a.outcome.Reason)
			records[i].Took, records[i].Wait, records[i].Stack = a.took, a.outcome.After, a.outcome.Stack
			if a.route != nil {
				records[i].Fields = fieldsOf(a.lease.Job.Data, a.route.HistoryFields)
			}
		}
	}
	w.journal.Record(records...)
}
