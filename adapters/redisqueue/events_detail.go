package redisqueue

import (
	"encoding/json"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// EventDetail is what an event tells. Its types are those of this file, for a
// type switch.
type EventDetail interface{ eventDetail() }

type (
	// EventAdded says that a job was stored.
	EventAdded struct {
		Job domain.JobID
		// Name is the job's.
		Name string
	}
	// EventWaiting says that a job is ready.
	EventWaiting struct {
		Job domain.JobID
		// Prev is where the job was before, in BullMQ's words: "active",
		// "delayed", "waiting-children", "failed" or "completed"; empty if it
		// is new.
		Prev string
	}
	// EventDelayed says that a job waits for a time, or for another one.
	EventDelayed struct {
		Job domain.JobID
		// Due is when the job becomes ready.
		Due time.Time
	}
	// EventActive says that a worker took a job.
	EventActive struct {
		Job  domain.JobID
		Prev string
	}
	// EventProgress says how far a job's handler is.
	EventProgress struct {
		Job domain.JobID
		// Progress is the JSON that the handler wrote.
		Progress json.RawMessage
	}
	// EventCompleted says that a job is done.
	EventCompleted struct {
		Job domain.JobID
		// Result is the JSON that the handler returned, "null" if nothing.
		Result json.RawMessage
		Prev   string
	}
	// EventFailed says that a job failed for good; an attempt that is followed
	// by another one has no such event.
	EventFailed struct {
		Job    domain.JobID
		Reason string
		Prev   string
	}
	// EventRetriesExhausted comes after EventFailed if the job had no attempt
	// left.
	EventRetriesExhausted struct {
		Job          domain.JobID
		AttemptsMade int
	}
	// EventStalled says that a job was taken back from a worker that had
	// stopped renewing its lease.
	EventStalled struct{ Job domain.JobID }
	// EventWaitingChildren says that a parent waits for its children.
	EventWaitingChildren struct {
		Job domain.JobID
		// Prev is "active" if the job had been taken already, else empty.
		Prev string
	}
	// EventDuplicated says that a job of this id was there already when
	// another one was to be added.
	EventDuplicated struct{ Job domain.JobID }
	// EventDeduplicated says that a job was not added, or replaced another,
	// because of their deduplication key.
	EventDeduplicated struct {
		// Job is the one that is there.
		Job domain.JobID
		Key string
		// Dropped is the id that the other job had or would have had.
		Dropped domain.JobID
	}
	// EventDebounced is the older form of EventDeduplicated, which BullMQ 5
	// writes before it.
	EventDebounced struct {
		Job domain.JobID
		Key string
	}
	// EventRemoved says that a job was removed.
	EventRemoved struct {
		Job domain.JobID
		// Prev is the state in which it was, in BullMQ's words: "wait",
		// "paused", "active", "delayed", "prioritized", "completed", "failed",
		// "waiting-children" or "unknown".
		Prev string
	}
	// EventCleaned says that many jobs were removed at once.
	EventCleaned struct{ Count int }
	// EventDrained says that a worker finished the last job that was ready.
	EventDrained struct{}
	// EventPaused says that the queue was paused.
	EventPaused struct{}
	// EventResumed says that the queue goes on.
	EventResumed struct{}
	// EventCustom is an event under a name that BullMQ does not use itself:
	// somebody published it. Its content are the fields of [Event].
	EventCustom struct{}
)

func (EventAdded) eventDetail()            {}
func (EventWaiting) eventDetail()          {}
func (EventDelayed) eventDetail()          {}
func (EventActive) eventDetail()           {}
func (EventProgress) eventDetail()         {}
func (EventCompleted) eventDetail()        {}
func (EventFailed) eventDetail()           {}
func (EventRetriesExhausted) eventDetail() {}
func (EventStalled) eventDetail()          {}
func (EventWaitingChildren) eventDetail()  {}
func (EventDuplicated) eventDetail()       {}
func (EventDeduplicated) eventDetail()     {}
func (EventDebounced) eventDetail()        {}
func (EventRemoved) eventDetail()          {}
func (EventCleaned) eventDetail()          {}
func (EventDrained) eventDetail()          {}
func (EventPaused) eventDetail()           {}
func (EventResumed) eventDetail()          {}
func (EventCustom) eventDetail()           {}
