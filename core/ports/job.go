package ports

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Handler works the jobs of one name on one queue.
type Handler interface {
	// Handle works the job and returns its result as JSON; nil means null.
	// The job and its payload are the handler's until it returns.
	// An error of package domain steers what follows ([domain.Permanent],
	// [domain.RetryAfter], [domain.Skip], [domain.Snooze],
	// [domain.RateLimit]); any other error is retried as the job's options
	// say. ctx ends with a cause when the attempt times out, the lease is
	// lost or the worker stops; a handler returns then.
	Handle(ctx context.Context, job *domain.Job) ([]byte, error)
}

// ScheduledHandler is the function of a scheduled job.
type ScheduledHandler interface {
	// HandleRun does the work of a run. For a job with a queue target the
	// returned JSON is the payload; otherwise it is recorded by no one. Errors
	// and ctx are as for [Handler].
	HandleRun(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error)
}

// RunStore keeps the history of runs and jobs.
type RunStore interface {
	// Append adds records, all or none. The store keeps the slice's elements,
	// not the slice.
	Append(ctx context.Context, records []domain.Record) error

	// Query returns the records that the filter selects, newest first.
	Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error)

	// Prune removes records older than before, at most limit of them in one
	// call, and returns how many it removed.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}
