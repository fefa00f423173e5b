package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// Apply implements [ports.Inspector]. Without ids a retry or promotion means
// all jobs, a removal none; ids that are not there or in another state are
// passed over, and so are jobs that a job scheduler waits for. Where a limit
// applies, the jobs next in line or oldest come first. A job is removed with
// those below it, unless one of them is being worked. Where there are so many of
// them that it takes several steps, and a worker takes one in between, the
// others are removed, and the error has a [*PartlyRemovedError].
//
// Large queues are gone through a slice at a time, so that no call stops the
// server for long; when ctx ends in between, the first slices are done. The ids
// of the jobs that were changed are returned beside an error, too. Jobs that
// come meanwhile may be left out.
func (b *Backend) Apply(ctx context.Context, queue domain.QueueName, op domain.Operation) ([]domain.JobID, error) {
	if err := queue.Validate(); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	q := &Queue{backend: b, name: queue, base: b.keys.queue(queue)}
	var ids []domain.JobID
	_, err := q.Operate(ctx, op, func(changed []domain.JobID) { ids = append(ids, changed...) })
	return ids, err
}

// Operate is [Backend.Apply] for those who want to see it go on: each is told
// the ids of the jobs of every slice, once it is done, as that of [Bulk]. It
// returns how many jobs were changed, also beside an error.
func (q *Queue) Operate(ctx context.Context, op domain.Operation, each func(ids []domain.JobID)) (int, error) {
	if err := checkOperation(&op); err != nil {
		return 0, fmt.Errorf("apply: %w", err)
	}
	w := q.walk(&op, each)
	if err := w.carryOut(ctx); err != nil {
		return w.done, fmt.Errorf("%s queue %s: %w", op.Kind, q.name, ended(ctx, err))
	}
	return w.done, nil
}

func checkOperation(op *domain.Operation) error {
	if op.Limit < 0 || op.OlderThan < 0 {
		return domain.Invalidf("limit %d or age %s is negative", op.Limit, op.OlderThan)
	}
	switch op.Kind {
	case domain.OpPause, domain.OpResume, domain.OpRemove, domain.OpRetry, domain.OpPromote:
		return nil
	case domain.OpDrain:
		if op.State == "" || op.State == domain.StateDelayed {
			return nil
		}
		return domain.Invalidf("drain: state %s, only %q can be added", domain.Quote(string(op.State)), domain.StateDelayed)
	case domain.OpClean:
		if isState(op.State) && op.State != domain.StateActive && op.State != domain.StateWaitingChildren {
			return nil
		}
		return domain.Invalidf("clean: state %s is unknown or in use", domain.Quote(string(op.State)))
	}
	return domain.Invalidf("operation %s is unknown", domain.Quote(string(op.Kind)))
}

func (w *walk) carryOut(ctx context.Context) error {
	switch op := w.op; op.Kind {
	case domain.OpPause, domain.OpResume:
		return w.hold(ctx)
	case domain.OpRemove:
		return w.remove(ctx)
	case domain.OpRetry:
		return w.revive(ctx, domain.StateFailed)
	case domain.OpPromote:
		return w.revive(ctx, domain.StateDelayed)
	case domain.OpDrain:
		places := []place{{name: "paused"}, {name: "wait"}, {name: "prioritized"}}
		if op.State == domain.StateDelayed {
			places = append(places, place{name: "delayed"})
		}
		return w.purge(ctx, places, "")
	case domain.OpClean:
		return w.clean(ctx, placesOf(w.op.State))
	}
	return nil
}
