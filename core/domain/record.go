package domain

import (
	"math"
	"time"
)

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
	EventWaiting     Event = "waiting-children"
	EventQuarantined Event = "quarantined"
	EventRequeued    Event = "requeued"
)

// What else history knows: which jobs there were, and who could have run them.
const (
	// EventRegistered tells that a replica registered a definition of a job,
	// with its schedule; the reason is [ReasonDisabled] when it has no ticks. By
	// stands for all definitions of the replica: those with the same ones have
	// this one, too, and record it no more. Without a job it tells that all of
	// them are recorded.
	EventRegistered Event = "registered"
	EventJobPaused  Event = "job-paused"
	EventJobResumed Event = "job-resumed"
	// EventWorkerStarted, EventWorkerAlive and EventWorkerStopped are the signs
	// of life of a replica; these records name no job.
	EventWorkerStarted Event = "worker-started"
	EventWorkerAlive   Event = "worker-alive"
	EventWorkerStopped Event = "worker-stopped"
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
	// ReasonDisabled is given with the registration of a job without ticks.
	ReasonDisabled = "disabled"
)

// Record is one decision about a run or a job. Records are written in
// batches and never changed.
type Record struct {
	// ID is the number that the store gave the record, zero before. Later
	// appended records have larger ones, and become visible in their order.
	ID int64
	// At is the store's time, kept to the microsecond.
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
	// Schedule is that of a registered definition, as text that can be parsed
	// back.
	Schedule string
	// Fields are the values of a queue job's data that its handler chose to
	// be searched for.
	Fields []Field
}

// Field is a value in a job's data.
type Field struct {
	// Path leads to it: names of members and indices of arrays, with dots
	// between them.
	Path string
	// Value is a string as it is, a number or a boolean as in JSON.
	Value string
}

// IsDecision reports whether the record is about a run or a queue job, and not
// about a definition or a replica.
func (r *Record) IsDecision() bool { return r.Run.Origin != "" || r.Queue != "" }

// DecisionEvents returns the events of decisions about runs and queue jobs.
func DecisionEvents() []Event {
	return []Event{
		EventClaimed, EventCoalesced, EventJittered, EventQueued, EventSkipped, EventStarted, EventTimedOut, EventStuck, EventLate,
		EventRetrying, EventDropped, EventFired, EventCompleted, EventFailed, EventCancelled, EventReleased, EventAbandoned, EventLost,
		EventParked, EventSnoozed, EventReturned, EventLimited, EventWaiting, EventQuarantined, EventRequeued,
	}
}

// Subject is what a decision is about: a run of a scheduled job, or a queue job.
type Subject struct {
	Run   RunKey
	Queue QueueName
	JobID JobID
}

// Subject returns what the record is about. A run that was queued as a job is
// still the run.
func (r *Record) Subject() Subject {
	if r.Run.Origin != "" {
		return Subject{Run: r.Run}
	}
	return Subject{Queue: r.Queue, JobID: r.JobID}
}

// Digest returns a number that hardly two subjects share. It is the same in
// every process, and never zero.
func (s *Subject) Digest() int64 {
	h := Hash(string(s.Run.Origin), s.Run.Job, s.Run.OriginID, string(s.Queue), string(s.JobID))
	h = mix(h + uint64(s.Run.PlannedMS)) //nolint:gosec // each bit counts, whatever it means
	return max(int64(h&math.MaxInt64), 1)
}

// UnderWay reports whether a run or job is under way after the event: it has
// not ended, nor been put off. It is false for tells if the event says nothing
// about that.
func (e Event) UnderWay() (underWay, tells bool) {
	switch e { //nolint:exhaustive // after all others it is not
	case EventClaimed, EventJittered, EventQueued, EventStarted, EventTimedOut, EventStuck, EventRetrying, EventReleased, EventAbandoned:
		return true, true
	case EventLate:
		return false, false
	}
	return false, true
}
