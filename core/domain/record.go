package domain

import "time"

// Event is one kind of decision.
type Event string

// The decisions about runs and jobs, in the order in which they may happen.
const (
	EventClaimed     Event = "claimed"
	EventCoalesced   Event = "coalesced"
	EventJittered    Event = "jittered"
	EventQueued      Event = "queued"
	EventSkipped     Event = "skipped"
	EventStarted     Event = "started"
	EventTimedOut    Event = "timed-out"
	EventStuck       Event = "stuck"
	EventLate        Event = "late-result-discarded"
	EventRetrying    Event = "retrying"
	EventDropped     Event = "result-dropped"
	EventFired       Event = "fired"
	EventCompleted   Event = "completed"
	EventFailed      Event = "failed"
	EventCancelled   Event = "cancelled"
	EventReleased    Event = "released"
	EventAbandoned   Event = "abandoned"
	EventLost        Event = "lost"
	EventParked      Event = "parked"
	EventSnoozed     Event = "snoozed"
	EventReturned    Event = "returned"
	EventLimited     Event = "rate-limited"
	EventQuarantined Event = "quarantined"
	EventRequeued    Event = "requeued"
)

// Reason codes of skipped and coalesced ticks. They are stable: history and
// answers are built on them.
const (
	ReasonOverlap = "overlap"
	ReasonPaused  = "paused"
	ReasonJitter  = "jitter_pending"
	// ReasonTaken is given when the run was claimed or done before.
	ReasonTaken = "taken"
	// ReasonSuperseded is given when a newer definition of the job is live.
	ReasonSuperseded = "superseded"
)

// Record is one decision about a run or a job. Records are written in
// batches, kept in order of At for one run, and never changed.
type Record struct {
	At      time.Time
	Replica string
	Event   Event
	// Run is set for decisions about a run of a scheduled job.
	Run RunKey
	// Queue, JobID and JobName are set for decisions about a queue job, and
	// for a run that was queued as one.
	Queue   QueueName
	JobID   JobID
	JobName string
	// Attempt counts from one.
	Attempt int
	// Took is how long the attempt ran, Late how long after its planned
	// instant the run began, Wait how long until the next step.
	Took time.Duration
	Late time.Duration
	Wait time.Duration
	// Reason says why, By names the run, job or replica that was in the way.
	Reason string
	By     string
	// Stack is that of a handler that panicked or is stuck.
	Stack string
	// Until and Count describe a range of ticks decided together, from the
	// run's planned instant to Until; zero for a single one.
	Until time.Time
	Count int
}

// RunFilter selects records. Zero fields select everything.
type RunFilter struct {
	Job    string
	Queue  QueueName
	JobID  JobID
	Events []Event
	// Since and Before bound At: from Since on, earlier than Before.
	Since, Before time.Time
	// Limit is the largest number of records returned, the newest; zero
	// means 100.
	Limit int
}
