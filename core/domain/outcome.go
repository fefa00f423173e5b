package domain

import "time"

// OutcomeKind says what becomes of a job after an attempt.
type OutcomeKind uint8

const (
	// Completed ends the job; Result is kept.
	Completed OutcomeKind = iota + 1
	// Retry puts the job off by After; the attempt is charged.
	Retry
	// Snoozed puts the job off by After; the attempt is not charged.
	Snoozed
	// Returned puts the job back to the front of its queue, uncharged: the
	// worker stops, or lost interest.
	Returned
	// Parked puts the job off by After, uncharged, and lists it as parked
	// until a worker that handles its name opens the queue.
	Parked
	// RateLimited returns the job like Returned and holds its queue for After.
	RateLimited
	// WaitingForChildren moves the job aside until its children are done.
	// Only queues with flows know it; others answer [Unsupported].
	WaitingForChildren
	// Failed ends the job; Reason and Stack are kept.
	Failed
)

// String returns the kind in BullMQ's words where it has one.
func (k OutcomeKind) String() string {
	switch k {
	case Completed:
		return "completed"
	case Retry:
		return "retry"
	case Snoozed:
		return "snoozed"
	case Returned:
		return "returned"
	case Parked:
		return "parked"
	case RateLimited:
		return "rate-limited"
	case WaitingForChildren:
		return "waiting-children"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// Outcome is the decision after an attempt, as a value. Only the fields that
// its kind names are set.
type Outcome struct {
	Kind OutcomeKind
	// Result is the JSON value of a completed job; nil means null.
	Result []byte
	// After counts from the moment the outcome is settled, so that the clock
	// of the store alone decides when the job is due.
	After time.Duration
	// Reason says why the job was retried, parked or failed; clean text of at
	// most [MaxReason] bytes.
	Reason string
	// Stack is the stack of a failure, if there is one; clean text of at most
	// [MaxStack] bytes.
	Stack string
}

// LeaseToken proves that a lease is held. Each acquisition of a job has a
// new one; with the job's id it is unique in the queue.
type LeaseToken string

// Lease is a job handed to this worker for a limited time.
type Lease struct {
	Job   Job
	Token LeaseToken
	// For is how long the lease lasts from the moment it was handed out
	// unless it is extended.
	For time.Duration
	// Refused, if set, says why no handler may see the job: it is damaged, or
	// was failed by others meanwhile. The worker settles it as failed with
	// this reason.
	Refused string
	// Inherited tells that the reason lies with another job, such as a child
	// that failed: this one is not damaged, and did no harm.
	Inherited bool
}

// LeaseRef names a lease in calls about it.
type LeaseRef struct {
	ID    JobID
	Token LeaseToken
}

// Ref returns the lease's name.
func (l *Lease) Ref() LeaseRef { return LeaseRef{ID: l.Job.ID, Token: l.Token} }

// Settlement is an outcome to write under a lease.
type Settlement struct {
	Lease   LeaseRef
	Outcome Outcome
}

// SettleStatus says what a queue did with a settlement.
type SettleStatus uint8

const (
	// Settled means the outcome is written.
	Settled SettleStatus = iota + 1
	// LeaseLost means that the lease is not this worker's any more, or that
	// the job is gone; nothing was written.
	LeaseLost
	// Unsupported means that the queue does not know this kind of outcome;
	// nothing was written and the lease is still held.
	Unsupported
)

// SettleReply is the answer to a batch of settlements.
type SettleReply struct {
	// Statuses has one entry a settlement, in order.
	Statuses []SettleStatus
	// Instead are the outcomes that were written in place of those asked for, by
	// the place of their settlement: a job with children does not complete
	// before them. It is nil if there are none.
	Instead map[int]Outcome
	// Leases are the next jobs.
	Leases []Lease
}

// EnqueueStatus says what became of a job to enqueue.
type EnqueueStatus uint8

const (
	// Accepted means that the job is on the queue.
	Accepted EnqueueStatus = iota + 1
	// DuplicateID means that a job with this id is there already; nothing
	// was added.
	DuplicateID
	// ReceiptKnown means that the receipt was used before; nothing was added.
	ReceiptKnown
	// Deduplicated means that another job, the owner, holds the
	// deduplication key; nothing was added.
	Deduplicated
)

// String returns the status in words.
func (s EnqueueStatus) String() string {
	switch s {
	case Accepted:
		return "accepted"
	case DuplicateID:
		return "duplicate id"
	case ReceiptKnown:
		return "receipt known"
	case Deduplicated:
		return "deduplicated"
	}
	return "unknown"
}

// EnqueueResult is the answer to one job of an enqueue.
type EnqueueResult struct {
	Status EnqueueStatus
	// ID is the id of the new job, of the duplicate, of the job the receipt
	// was written with, or of the owner of the deduplication key.
	ID JobID
}

// RecoverAction says what became of a job whose lease ran out.
type RecoverAction uint8

const (
	// Requeued means that the job waits for its next attempt, or to be handed
	// out as [Lease.Refused].
	Requeued RecoverAction = iota + 1
	// Quarantined means that the job crashed too often and has failed.
	Quarantined
)

// Recovered is a job whose lease ran out under a worker.
type Recovered struct {
	ID      JobID
	Name    string
	Action  RecoverAction
	Crashes int
}

// Note is what a handler writes about its job while it runs. Nil fields are
// left alone.
type Note struct {
	Lease LeaseRef
	// Progress replaces the job's progress, a JSON value.
	Progress []byte
	// Log is appended to the job's log.
	Log []string
	// Data replaces the job's payload, a JSON value.
	Data []byte
}
