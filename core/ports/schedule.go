package ports

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Waker wakes the planner. Nothing else makes ticks.
type Waker interface {
	// Start begins and returns. From then on wake is called from a goroutine
	// of the Waker, one call at a time, whenever an armed time has passed,
	// never early by more than a millisecond of the monotonic clock, whatever
	// the wall clock does.
	Start(wake func()) error

	// Arm asks for one wake after d and replaces what was asked for before;
	// d of zero or less wakes at once. It does not block and may be called
	// from wake. Before Start and after Stop it returns [ErrClosed].
	Arm(d time.Duration) error

	// Stop ends the wakes and waits for a call of wake that is under way, at
	// most until ctx ends. Calling it twice, or before Start, does no harm.
	Stop(ctx context.Context) error
}

// Ledger decides who may act on which run, for all that share it. Its state
// belongs to one namespace.
type Ledger interface {
	// Sync registers the replica's definitions, counts as its sign of life,
	// and returns the store's time and the state of the jobs that changed.
	// A definition with a new fingerprint is a new revision from the store's
	// present time on: the job's cursor never lies before it. Definitions of
	// replicas that gave no sign of life for a lease are forgotten, and the
	// newest revision that is left is valid again.
	Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error)

	// Claim answers each intent, in order; a later intent of the batch sees
	// what an earlier one did. Cursor, ticks and claim change in one write.
	Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error)

	// Renew lengthens claims by lease. A renewal that fails or whose outcome
	// is unknown is no renewal.
	Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error)

	// Finish ends claims and frees their slots, except that a released run
	// keeps its slot for whoever takes it over; the answer says for each
	// whether its claim was still held. Finishing twice with the same token
	// is held both times.
	Finish(ctx context.Context, results []domain.RunResult) ([]bool, error)

	// Abandoned takes over up to limit claims whose lease ran out or that
	// were released, each with a new token for the replica. Claims of jobs
	// that the replica did not register are left to others.
	Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error)
}

// ScheduleSwitch pauses and resumes scheduled jobs for all that share a ledger.
type ScheduleSwitch interface {
	// PauseJob stops the ticks of the job; runs under way go on. A job that
	// the ledger does not know is [ErrNotFound].
	PauseJob(ctx context.Context, job string) error

	// ResumeJob lets the job tick again, from the store's present time on.
	ResumeJob(ctx context.Context, job string) error
}

// Dispatcher puts the jobs of claimed runs on their queues.
type Dispatcher interface {
	// Dispatch checks each claim's token, enqueues its job and marks the run
	// fired. However often a run is dispatched, its job is enqueued once.
	Dispatch(ctx context.Context, dispatches []domain.Dispatch) ([]domain.DispatchResult, error)
}
