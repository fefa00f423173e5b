package redisqueue

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.Dispatcher = (*dispatcher)(nil)

// dispatcher joins the ledger and the queues of one backend: one script checks
// a claim's token, enqueues the job with the receipt of its run, and marks the
// run fired. Nobody can die in between.
type dispatcher struct {
	backend *Backend
	ledger  *Ledger
}

// Dispatcher returns the dispatcher for the runs of [Backend.Ledger] and the
// queues of the backend. A job without an id gets that of its run; its receipt
// is always the run's.
func (b *Backend) Dispatcher() ports.Dispatcher { return &dispatcher{backend: b, ledger: b.Ledger()} }

// Dispatch implements [ports.Dispatcher]. A job that makes no sense is answered
// with its error, [domain.ErrInvalid] or [domain.ErrTooLarge], and so is one in
// whose way something damaged is, which the error names, while the others go on. Long batches are carried out in parts. Any other error may be met by
// a repetition of the call: what was dispatched is not dispatched again.
func (d *dispatcher) Dispatch(ctx context.Context, dispatches []domain.Dispatch) ([]domain.DispatchResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := make([]domain.DispatchResult, len(dispatches))
	batch := dispatchBatch{}
	for i := range dispatches {
		job := d.job(&dispatches[i])
		if err := d.backend.checkJob(&job); err != nil {
			results[i].Err = fmt.Errorf("enqueue: %w", err)
			continue
		}
		batch.indices, batch.claims, batch.jobs = append(batch.indices, i), append(batch.claims, dispatches[i].Claim), append(batch.jobs, job)
	}
	for len(batch.jobs) > 0 {
		part := batch.cut(min(callful(batch.jobs), ledgerBatch))
		answers, err := d.dispatchSome(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("dispatch: %w", ended(ctx, err))
		}
		for n, index := range part.indices {
			results[index] = answers[n]
		}
	}
	return results, nil
}

// job returns the dispatch's job with the receipt of its run.
func (d *dispatcher) job(dispatch *domain.Dispatch) domain.NewJob {
	job, run, namespace := dispatch.Job, dispatch.Claim.Run, d.backend.config.Namespace
	job.Receipt = namespace + "/" + run.String()
	if job.Options.ID == "" {
		job.Options.ID = run.JobID(namespace)
	}
	return job
}

// dispatchBatch are dispatches that go into a script, with their places in the
// caller's batch.
type dispatchBatch struct {
	indices []int
	claims  []domain.ClaimRef
	jobs    []domain.NewJob
}

// cut takes the first n out of the batch.
func (b *dispatchBatch) cut(n int) dispatchBatch {
	part := dispatchBatch{b.indices[:n], b.claims[:n], b.jobs[:n]}
	b.indices, b.claims, b.jobs = b.indices[n:], b.claims[n:], b.jobs[n:]
	return part
}

func (d *dispatcher) dispatchSome(ctx context.Context, part dispatchBatch) ([]domain.DispatchResult, error) {
	keys := d.backend.keys
	texts := make([]string, 0, 4+(2+jobArgs)*len(part.jobs))
	texts = append(texts, "", keys.receipts(), string(d.backend.config.Profile), strconv.Itoa(len(part.jobs)))
	var last encodedOptions
	for i := range part.jobs {
		job := &part.jobs[i]
		texts = append(texts, part.claims[i].Run.Encode(), strconv.FormatUint(uint64(part.claims[i].Token), 10), keys.queue(job.Queue))
		texts = appendJob(texts, job, &last)
	}
	args := make([]any, len(texts))
	for i := range texts {
		args[i] = &texts[i]
	}
	names := []string{"", keys.queue(part.jobs[0].Queue) + "meta", d.ledger.key}
	reply, err := d.backend.numberedAs(ctx, request{script: scriptNamed("dispatch"), keys: names, args: args}, func(reply any) []deed {
		results, _ := readDispatched(reply, len(part.jobs))
		return dispatchedOf(part.jobs, results)
	})
	if err != nil {
		return nil, err
	}
	return readDispatched(reply, len(part.jobs))
}

// dispatchedOf returns the jobs that were added.
func dispatchedOf(jobs []domain.NewJob, results []domain.DispatchResult) []deed {
	deeds := make([]deed, 0, len(results))
	for i := range results {
		if results[i].Status == domain.Dispatched {
			deeds = append(deeds, deed{kind: lostJob, queue: jobs[i].Queue, names: []string{string(results[i].ID)}})
		}
	}
	return deeds
}

// dispatchRefused is what dispatch.lua says of a job that cannot be added because
// a key is damaged; the reason stands in the place of its id.
const dispatchRefused = 4

func readDispatched(reply any, count int) ([]domain.DispatchResult, error) {
	u := unpackerOf(reply)
	u.want(u.list() == 2*count)
	results := make([]domain.DispatchResult, count)
	for i := range results {
		status, id := u.long(), u.string()
		if status == dispatchRefused {
			results[i].Err = fmt.Errorf("enqueue: %s", domain.CleanText(id, domain.MaxReason))
			continue
		}
		u.want(status >= int64(domain.Dispatched) && status <= int64(domain.DispatchLost))
		results[i] = domain.DispatchResult{
			Status: domain.DispatchStatus(status), ID: domain.JobID(strings.Clone(id)), //nolint:gosec // in range
		}
	}
	return results, u.end()
}
