package ports

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Enqueuer puts jobs on queues.
type Enqueuer interface {
	// Enqueue adds the jobs and answers each, in order. Nothing is added when
	// it returns an error: [ErrQueueFull], [domain.ErrTooLarge],
	// [domain.ErrInvalid] or [ErrUnavailable]. An adapter that repeats a call
	// whose reply was lost adds nothing twice; callers may repeat jobs that
	// have an id, a receipt or a deduplication key.
	Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error)
}

// ConsumerOptions describe one consumer.
type ConsumerOptions struct {
	Queue domain.QueueName
	// Worker is the name that tools show for this consumer.
	Worker string
	// Lease is how long a job is leased before it must be extended.
	Lease time.Duration
	// Handles are the job names that this worker has handlers for. Opening
	// the consumer makes parked jobs of these names due.
	Handles []string
}

// OpenConsumer opens a consumer. It lives until its backend is closed.
type OpenConsumer func(ConsumerOptions) (Consumer, error)

// Consumer takes jobs from one queue for one worker.
type Consumer interface {
	// Reserve blocks until at least one job is leased or ctx ends, and then
	// returns between one and limit leases, or ctx's error and none.
	Reserve(ctx context.Context, limit int) ([]domain.Lease, error)

	// Settle writes outcomes and leases up to limit further jobs in the same
	// step, without blocking for jobs. Each settlement succeeds or fails by
	// itself.
	Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error)

	// Extend renews the leases and returns those that are lost. It never
	// waits behind a Settle.
	Extend(ctx context.Context, leases []domain.LeaseRef) ([]domain.LeaseRef, error)

	// Recover returns to the queue the jobs whose leases ran out, of any
	// worker, and counts the crash. Those that crashed more than
	// [domain.MaxCrashes] times it fails, or has the next Reserve hand out
	// with [domain.Lease.Refused] set.
	Recover(ctx context.Context) ([]domain.Recovered, error)

	// Annotate writes progress, log lines and data under the token of their
	// lease and returns the leases that are lost.
	Annotate(ctx context.Context, notes []domain.Note) ([]domain.LeaseRef, error)
}

// Inspector looks into queues and operates on them.
type Inspector interface {
	// Counts returns how many jobs each of the queues has in each state.
	// A queue that does not exist yet is empty.
	Counts(ctx context.Context, queues ...domain.QueueName) ([]domain.QueueCounts, error)

	// Jobs returns the jobs that the filter selects.
	Jobs(ctx context.Context, queue domain.QueueName, filter domain.JobFilter) ([]domain.JobView, error)

	// Apply carries out the operation and returns the ids of the jobs it
	// changed, or would have changed if it is a dry run.
	Apply(ctx context.Context, queue domain.QueueName, op domain.Operation) ([]domain.JobID, error)
}

// Limiter sets limits that hold for all workers of a queue together, while they
// run. A queue need not exist yet. Errors are [domain.ErrInvalid] and
// [ErrUnavailable].
type Limiter interface {
	// Limits returns the limits of the queue, and how far they are used.
	Limits(ctx context.Context, queue domain.QueueName) (domain.QueueLimits, error)

	// LimitConcurrency lets no more than n jobs of the queue be under way at a
	// time; zero ends the limit. Jobs that are under way go on.
	LimitConcurrency(ctx context.Context, queue domain.QueueName, n int) error

	// LimitRate sets how many jobs of the queue start in a window; the zero
	// rate ends the limit. A window under way goes on.
	LimitRate(ctx context.Context, queue domain.QueueName, rate domain.Rate) error

	// Hold lets no job of the queue start for d from now, whatever was left of
	// an earlier hold; zero ends it, and the window of a rate with it.
	Hold(ctx context.Context, queue domain.QueueName, d time.Duration) error
}
