package runner

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// renewalsPerLease is how many chances a lease has to be renewed.
const renewalsPerLease = 3

// keeper does what a worker does by the clock: it extends leases, recovers
// those that ran out under other workers, and reports stuck handlers.
type keeper struct {
	*worker

	beat      time.Duration
	renew     time.Duration
	renewed   time.Time
	recovered time.Time

	// failing is of all calls of the keeper: they fail for the same reason.
	failing outage
}

// keepLoop keeps until ctx ends.
func (w *worker) keepLoop(ctx context.Context) {
	timing := w.cfg.Timing
	renew := timing.JobLease / renewalsPerLease
	beat := min(renew, timing.Recover, timing.Stuck/2)
	k := &keeper{worker: w, beat: beat, renew: renew, renewed: w.now(), recovered: w.now()}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	k.recover(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		k.keep(ctx, w.now())
		w.sendToRest()
	}
}

// keep does what is due, and takes for due what is before the next half beat:
// the ticks of the ticker come a little early or late.
func (k *keeper) keep(ctx context.Context, now time.Time) {
	due := now.Add(k.beat / 2)
	if due.Sub(k.renewed) >= k.renew {
		k.renewed = now
		k.extend(ctx)
	}
	k.loseUntrusted()
	if due.Sub(k.recovered) >= k.cfg.Timing.Recover {
		k.recovered = now
		k.recover(ctx)
	}
	k.reportStuck(k.now())
}

// sendToRest ends the goroutines that wait for a job: after a burst they
// are not kept.
func (w *worker) sendToRest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.idle {
		w.next <- nil
	}
	w.idle = 0
}

// extend renews the leases of the jobs under way and of those whose outcome
// is not written yet.
func (k *keeper) extend(ctx context.Context) {
	asked := k.now()
	held, trusted := k.held()
	if len(held) == 0 {
		return
	}
	refs := make([]domain.LeaseRef, len(held))
	for i, a := range held {
		refs[i] = a.lease.Ref()
	}
	// A store that comes back in time must find the call still waiting.
	call, cancel := context.WithTimeout(ctx, max(trusted.Sub(asked)-k.renew/2, k.renew/2))
	defer cancel()
	lost, err := k.consumer.Extend(call, refs)
	if err != nil {
		k.failed(ctx, "extend", err)
		return
	}
	k.judgeLeases(held, lost, asked)
}

// failed reports a call that the store did not answer.
func (k *keeper) failed(ctx context.Context, call string, err error) {
	if _, report := k.failing.failed(k.now()); report && ctx.Err() == nil && !errors.Is(err, ports.ErrClosed) {
		k.log.WarnContext(ctx, "leases cannot be kept", "queue", k.queue.Name, "call", call, "err", err)
	}
}

// held returns the attempts whose leases are to be renewed, and until when
// all of those that are not lost can be trusted.
func (w *worker) held() ([]*jobAttempt, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := slices.Concat(append(w.settling[:], w.active, w.finished)...)
	var trusted time.Time
	for _, a := range held {
		if !a.lost && (trusted.IsZero() || a.trusted.Before(trusted)) {
			trusted = a.trusted
		}
	}
	return held, trusted
}

// judgeLeases takes in the answer to a renewal: what is not lost can be
// trusted again, from the moment of asking on.
func (w *worker) judgeLeases(held []*jobAttempt, lost []domain.LeaseRef, asked time.Time) {
	gone := make(map[domain.LeaseRef]bool, len(lost))
	for _, ref := range lost {
		gone[ref] = true
	}
	var records []domain.Record
	w.mu.Lock()
	for _, a := range held {
		if !gone[a.lease.Ref()] {
			a.trusted = asked.Add(a.lease.For)
			continue
		}
		records = append(records, w.lose(a)...)
	}
	w.checkDrained()
	w.mu.Unlock()
	w.journal.Record(records...)
	signal(w.freed)
}

// loseUntrusted ends the attempts whose lease could not be renewed in time
// and would run out before the next look at it.
func (k *keeper) loseUntrusted() {
	var records []domain.Record
	k.mu.Lock()
	next := k.now().Add(k.beat)
	for _, a := range k.active {
		if !a.lost && !next.Before(a.trusted) {
			records = append(records, k.lose(a)...)
		}
	}
	k.mu.Unlock()
	k.journal.Record(records...)
}

// lose gives up an attempt whose lease is lost; it is called with mu held.
// An outcome that is being written meanwhile is left to its answer: the
// lease may be gone because it was settled.
func (w *worker) lose(a *jobAttempt) []domain.Record {
	switch {
	case a.lost:
		return nil
	case a.state == attemptActive:
		w.end(a, domain.ErrLeaseLost)
	case a.state == attemptFinished:
		a.letGo()
		w.finished = slices.DeleteFunc(w.finished, func(b *jobAttempt) bool { return a == b })
		w.free++
	default:
		return nil
	}
	a.lost = true
	return []domain.Record{w.recordOf(a, domain.EventLost, domain.ErrLeaseLost.Error())}
}

func (k *keeper) recover(ctx context.Context) {
	// Renewals wait behind this call, so it must not last.
	call, cancel := context.WithTimeout(ctx, k.renew)
	defer cancel()
	recovered, err := k.consumer.Recover(call)
	if err != nil {
		k.failed(ctx, "recover", err)
		return
	}
	for _, r := range recovered {
		event := domain.EventRequeued
		if r.Action == domain.Quarantined {
			event = domain.EventQuarantined
		}
		k.journal.Record(domain.Record{
			Event: event, Queue: k.queue.Name, JobID: r.ID, JobName: r.Name, Count: r.Crashes,
			Reason: "its lease ran out under its worker",
		})
	}
}

// reportStuck reports, once each, the handlers that run on although their
// context has ended.
func (w *worker) reportStuck(now time.Time) {
	var stuck []*jobAttempt
	w.mu.Lock()
	for _, a := range w.active {
		ended := a.ended
		if ended.IsZero() && a.route.Timeout > 0 {
			ended = a.started.Add(a.route.Timeout)
		}
		if !a.stuck && !ended.IsZero() && now.Sub(ended) >= w.cfg.Timing.Stuck {
			a.stuck = true
			stuck = append(stuck, a)
		}
	}
	w.mu.Unlock()
	for _, a := range stuck {
		record := w.recordOf(a, domain.EventStuck, "")
		record.Took = now.Sub(a.started)
		record.Stack = stacksOf(map[string]string{"queue": string(w.queue.Name), "job": a.lease.Job.Name})
		w.journal.Record(record)
	}
}
