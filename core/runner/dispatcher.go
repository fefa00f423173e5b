package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.Dispatcher = (*dispatcher)(nil)

// dispatcher joins a ledger and a queue that share no store. It makes sure of
// the claim by renewing it, enqueues the job with a receipt, and marks the run
// fired. Whoever dies in between leaves a claim that another replica takes
// over and dispatches again; the receipt keeps the job from being enqueued
// twice.
type dispatcher struct {
	ledger    ports.Ledger
	queue     ports.Enqueuer
	namespace string
	lease     time.Duration
}

// NewDispatcher returns the dispatcher for a ledger and a queue of any kind.
// The namespace is the ledger's; lease is how long a claim lasts from the
// moment at which its dispatch begins. A job without an id gets that of its
// run; its receipt is always the run's.
func NewDispatcher(ledger ports.Ledger, queue ports.Enqueuer, namespace string, lease time.Duration) ports.Dispatcher {
	return &dispatcher{ledger: ledger, queue: queue, namespace: namespace, lease: lease}
}

// Dispatch implements [ports.Dispatcher]. A job that the queue refuses by
// itself is answered with its error while the others go on; any other error
// leaves all claims held, and the call may be repeated.
func (d *dispatcher) Dispatch(ctx context.Context, dispatches []domain.Dispatch) ([]domain.DispatchResult, error) {
	results := make([]domain.DispatchResult, len(dispatches))
	held, err := d.renew(ctx, dispatches, results)
	if err != nil {
		return nil, err
	}
	if len(held) == 0 {
		return results, nil
	}
	answers, err := d.enqueue(ctx, dispatches, held)
	if err != nil {
		return nil, err
	}
	if err := d.finish(ctx, dispatches, answers, results); err != nil {
		return nil, err
	}
	return results, nil
}

// renew answers the dispatches whose claims are lost and returns the indices
// of the others.
func (d *dispatcher) renew(ctx context.Context, dispatches []domain.Dispatch, results []domain.DispatchResult) ([]int, error) {
	refs := make([]domain.ClaimRef, len(dispatches))
	for i := range dispatches {
		refs[i] = dispatches[i].Claim
	}
	renewals, err := d.ledger.Renew(ctx, refs, d.lease)
	if err != nil {
		return nil, fmt.Errorf("dispatch: renew claims: %w", err)
	}
	held := make([]int, 0, len(dispatches))
	for i, renewal := range renewals {
		switch renewal {
		case domain.RenewalHeld, domain.RenewalCancel:
			held = append(held, i)
		case domain.RenewalLost:
			results[i].Status = domain.DispatchLost
		}
	}
	return held, nil
}

// answer is what the queue said to one dispatch.
type answer struct {
	index  int
	id     domain.JobID
	result domain.EnqueueResult
	err    error
}

// blocked reports whether another run's job holds the deduplication key. A
// queue may name the very job that an earlier dispatch of this run left there.
func (a *answer) blocked() bool {
	return a.result.Status == domain.Deduplicated && a.result.ID != a.id
}

// enqueue puts the jobs on their queues, all at once or, if the queue refuses
// one of them, each by itself.
func (d *dispatcher) enqueue(ctx context.Context, dispatches []domain.Dispatch, held []int) ([]answer, error) {
	jobs := make([]domain.NewJob, len(held))
	for i, index := range held {
		jobs[i] = d.job(&dispatches[index])
	}
	answers := make([]answer, len(held))
	results, err := d.queue.Enqueue(ctx, jobs...)
	if err != nil && !refusal(err) {
		return nil, fmt.Errorf("dispatch: enqueue: %w", err)
	}
	for i, index := range held {
		answers[i] = answer{index: index, id: jobs[i].Options.ID, err: err}
		switch {
		case err == nil:
			answers[i].result = results[i]
		case len(held) > 1:
			answers[i].result, answers[i].err = d.enqueueOne(ctx, jobs[i])
		}
	}
	return answers, nil
}

func (d *dispatcher) enqueueOne(ctx context.Context, job domain.NewJob) (domain.EnqueueResult, error) {
	results, err := d.queue.Enqueue(ctx, job)
	if err != nil {
		return domain.EnqueueResult{}, err
	}
	return results[0], nil
}

// refusal reports whether the error is about a job, or one job too many, and
// not about the store.
func refusal(err error) bool {
	return errors.Is(err, domain.ErrInvalid) || errors.Is(err, domain.ErrTooLarge) || errors.Is(err, ports.ErrQueueFull)
}

// job returns the dispatch's job with the receipt of its run.
func (d *dispatcher) job(dispatch *domain.Dispatch) domain.NewJob {
	job, run := dispatch.Job, dispatch.Claim.Run
	job.Receipt = d.namespace + "/" + run.String()
	if job.Options.ID == "" {
		job.Options.ID = run.JobID(d.namespace)
	}
	return job
}

// finish ends the runs that the queue answered and fills in their results.
func (d *dispatcher) finish(ctx context.Context, dispatches []domain.Dispatch, answers []answer, results []domain.DispatchResult) error {
	ended := make([]int, 0, len(answers))
	ends := make([]domain.RunResult, 0, len(answers))
	for i := range answers {
		a := &answers[i]
		if a.err != nil {
			results[a.index].Err = fmt.Errorf("enqueue: %w", a.err)
			continue
		}
		results[a.index] = domain.DispatchResult{Status: domain.Dispatched, ID: a.result.ID}
		end := domain.RunResult{Claim: dispatches[a.index].Claim, End: domain.EndFired, JobID: a.result.ID}
		if a.blocked() {
			results[a.index].Status = domain.DispatchBlocked
			end.End, end.JobID = domain.EndFinished, ""
		}
		ended, ends = append(ended, a.index), append(ends, end)
	}
	if len(ends) == 0 {
		return nil
	}
	held, err := d.ledger.Finish(ctx, ends)
	if err != nil {
		return fmt.Errorf("dispatch: finish runs: %w", err)
	}
	for i, ok := range held {
		if !ok {
			results[ended[i]] = domain.DispatchResult{Status: domain.DispatchLost}
		}
	}
	return nil
}
