package ports

import (
	"context"

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
	// lost or the worker stops; a handler returns then. Others' attempts may follow
	// on the same goroutine: a handler that locks it to its thread unlocks it.
	Handle(ctx context.Context, job *domain.Job) ([]byte, error)
}

// ScheduledHandler is the function of a scheduled job.
type ScheduledHandler interface {
	// HandleRun does the work of a run. For a job with a queue target the
	// returned JSON is the payload; otherwise it is recorded by no one. Errors
	// and ctx are as for [Handler].
	HandleRun(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error)
}

// RunStore keeps the history of runs and jobs. While ctx lives, no call returns
// without knowing its outcome: an error means that nothing was done.
type RunStore interface {
	// Append adds records, all or none, and numbers them in their order; the
	// IDs they have are not looked at. The store keeps neither the slice nor
	// what its elements point to. If one of them can never be kept, the error is
	// [domain.ErrInvalid].
	Append(ctx context.Context, records []domain.Record) error

	// Query returns the records that the filter selects: the newest, by At and
	// then by ID, newest first; with AfterID those that were appended first, in that
	// order.
	Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error)

	// Prune removes records that are not to be kept, the oldest first, about
	// limit of them if there are as many, and returns how many it removed. Records
	// that a store keeps together go together, when all of them may; they are of one
	// second. It holds no lock for longer than that takes; one caller at a time
	// has something to do, to others it returns zero.
	Prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error)
}
