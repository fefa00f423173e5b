package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// JobQuery selects jobs of a queue by where they are.
type JobQuery struct {
	// States are where to look, one after the other; required. Jobs that wait
	// are those of both BullMQ's lists. Delayed are the parked ones, too,
	// which say so; parked are those alone.
	States []domain.State
	// Offset and Limit page through each of the states; a limit of zero means
	// 100.
	Offset, Limit int
	// Backward begins with those that came last, are due last or are least
	// urgent. Without it the next in line come first, and of finished jobs
	// those that finished first.
	Backward bool
}

// Jobs returns the jobs that the query selects. Damaged ones are shown as far
// as they can be read; data and results larger than the backend's payload
// limit are left out. The error is [domain.ErrInvalid] for a state that there
// is not.
func (q *Queue) Jobs(ctx context.Context, query JobQuery) ([]JobView, error) {
	if err := query.check(); err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var views []JobView
	r := jobReader{backend: q.backend, queue: q.name, take: func(view *domain.JobView, fields *[viewFields]string) {
		views = append(views, bullView(view, fields))
	}}
	for _, state := range query.States {
		if err := q.readState(ctx, &r, state, &query); err != nil {
			return nil, fmt.Errorf("list jobs of queue %s: %w", q.name, ended(ctx, err))
		}
	}
	return views, nil
}

func (q *JobQuery) check() error {
	if len(q.States) == 0 {
		return domain.Invalidf("no state is given")
	}
	for _, state := range q.States {
		if !isState(state) {
			return domain.Invalidf("state %s is unknown", domain.Quote(string(state)))
		}
	}
	if q.Offset < 0 || q.Limit < 0 {
		return domain.Invalidf("offset %d or limit %d is negative", q.Offset, q.Limit)
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	q.Offset, q.Limit = min(q.Offset, maxOffset), min(q.Limit, maxOffset)
	return nil
}

// readState reads the jobs of one state.
func (q *Queue) readState(ctx context.Context, r *jobReader, state domain.State, query *JobQuery) error {
	l, end := q.backend.listing(q.name), query.Offset+query.Limit
	page := idPage
	if state == domain.StateParked {
		page = idPageOf(state)
	}
	for from := query.Offset; from < end; from += page {
		n := min(page, end-from)
		ids, err := l.placed(ctx, state, stretch{from: from, n: n, backward: query.Backward})
		if err != nil {
			return err
		}
		if err := r.read(ctx, state, withoutMarkers(ids)); err != nil || len(ids) < n {
			return err
		}
	}
	return nil
}

// Job returns the job. The error is [ports.ErrNotFound] if there is none.
func (q *Queue) Job(ctx context.Context, id domain.JobID) (JobView, error) {
	var found *JobView
	r := jobReader{backend: q.backend, queue: q.name, take: func(view *domain.JobView, fields *[viewFields]string) {
		full := bullView(view, fields)
		found = &full
	}}
	err := r.read(ctx, "", []string{string(id)})
	if err == nil && found == nil {
		err = ports.ErrNotFound
	}
	if err != nil {
		return JobView{}, fmt.Errorf("job %s of queue %s: %w", domain.Quote(string(id)), q.name, ended(ctx, err))
	}
	return *found, nil
}

// State returns where the job is; empty if it is in none of the queue's lists,
// as while it is moved by hand. The error is [ports.ErrNotFound] if there is
// no such job.
func (q *Queue) State(ctx context.Context, id domain.JobID) (domain.State, error) {
	view, err := q.Job(ctx, id)
	return view.State, err
}

// Ended is how a job has ended.
type Ended struct {
	// Finished tells whether it has ended at all, Failed that it has failed.
	Finished, Failed bool
	// Result is what a completed job returned, as JSON; Reason is why the job
	// has failed.
	Result []byte
	Reason string
}

// Ended returns how the job has ended, with its result whatever its size. The
// error is [ports.ErrNotFound] if there is no such job: it may have been removed
// as it ended.
func (q *Queue) Ended(ctx context.Context, id domain.JobID) (Ended, error) {
	end, err := q.endOf(ctx, id)
	switch {
	case err != nil:
		return Ended{}, err
	case end.state == "missing":
		return Ended{}, q.missing(id)
	case end.state == "completed":
		return Ended{Finished: true, Result: bytesOf(end.text)}, nil
	case end.state == "failed":
		return Ended{Finished: true, Failed: true, Reason: domain.CleanText(end.text, domain.MaxReason)}, nil
	}
	return Ended{}, nil
}
