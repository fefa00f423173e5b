package domain

import "time"

// State is where a job is; the values are BullMQ's names, and "parked".
type State string

// The states of a job.
const (
	StateWait            State = "wait"
	StatePrioritized     State = "prioritized"
	StateDelayed         State = "delayed"
	StateParked          State = "parked"
	StateActive          State = "active"
	StateWaitingChildren State = "waiting-children"
	StateCompleted       State = "completed"
	StateFailed          State = "failed"
)

// QueueCounts are the jobs of one queue by state.
type QueueCounts struct {
	Queue  QueueName
	Paused bool
	Jobs   map[State]int
	// OldestWaiting is when the oldest job that could be worked now was
	// enqueued; zero if there is none.
	OldestWaiting time.Time
}

// JobFilter selects jobs of a queue.
type JobFilter struct {
	// ID selects one job whatever its state.
	ID JobID
	// State selects the jobs of a state, in the order in which they will be
	// worked, finished ones newest first. It is required unless ID is set.
	State State
	// Offset and Limit page through them; a limit of zero means 100.
	Offset, Limit int
}

// JobView is a job with what became of it so far.
type JobView struct {
	Job      Job
	State    State
	Progress []byte
	Log      []string
	// Result is set for completed jobs, Reason and Stack for failed ones.
	Result        []byte
	Reason, Stack string
	// DueAt is when a delayed or parked job is due.
	DueAt time.Time
	// StartedAt is when the latest attempt began, FinishedAt when the job
	// was completed or failed.
	StartedAt, FinishedAt time.Time
}

// OperationKind is something an operator does to a queue.
type OperationKind string

const (
	// OpPause stops handing out jobs; those under way go on.
	OpPause OperationKind = "pause"
	// OpResume ends a pause.
	OpResume OperationKind = "resume"
	// OpRemove removes jobs by id, active ones excepted.
	OpRemove OperationKind = "remove"
	// OpRetry puts failed jobs back to waiting, by id or all.
	OpRetry OperationKind = "retry"
	// OpPromote makes delayed or parked jobs due, by id or all.
	OpPromote OperationKind = "promote"
	// OpDrain removes all waiting jobs, and delayed ones too if State is
	// [StateDelayed].
	OpDrain OperationKind = "drain"
	// OpClean removes jobs of State that are older than OlderThan.
	OpClean OperationKind = "clean"
)

// Operation is an operator's request.
type Operation struct {
	Kind OperationKind
	// IDs are the jobs concerned.
	IDs []JobID
	// State and OlderThan select the jobs of a drain or clean.
	State     State
	OlderThan time.Duration
	// Limit bounds how many jobs are changed; zero means all.
	Limit int
	// DryRun changes nothing.
	DryRun bool
}
