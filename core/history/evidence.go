package history

import (
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// Question asks what became of the tick of a job.
type Question struct {
	Job string
	// At is the instant asked about, to the millisecond.
	At time.Time
	// Zone is what sentences show times in; nil means UTC.
	Zone *time.Location
	// Replica asks for the view of one replica; empty for the fleet's.
	Replica string
	// Now is when the question is asked, in the store's time.
	Now time.Time
	// Known is what the asker itself knows of the job.
	Known Known
}

// Known is what the asker of a question knows of the job at present. The zero
// value knows nothing.
type Known struct {
	// Registered tells that the asker has a definition of the job.
	Registered bool
	// Schedule is nil for a manual job.
	Schedule schedule.Schedule
	Disabled bool
	// Replica is the running worker that the records are from, if they are
	// that worker's alone.
	Replica string
	// Shared tells that other replicas share its ledger, Next its next tick:
	// all ticks before are decided.
	Shared bool
	Next   time.Time
}

// Evidence is what a history holds about a question. All records are oldest
// first.
type Evidence struct {
	// Off tells that no history is kept.
	Off bool
	// Tick are the records about the tick, ranges that contain it included.
	Tick []domain.Record
	// Into are records of ticks that were coalesced into this one.
	Into []domain.Record
	// Blockers are records of the runs that were in the way.
	Blockers []domain.Record
	// Queue are the records of the job that the run put on its queue.
	Queue []domain.Record
	// Definitions are the registrations of the job up to the tick, Later the
	// first ones after it.
	Definitions, Later []domain.Record
	// Pauses are the pauses and resumptions of the job up to the tick.
	Pauses []domain.Record
	// Presence are the latest signs of life up to the tick and the first ones
	// after it.
	Presence []domain.Record
	// Owner is the latest sign of life of the replica that had the run last.
	Owner []domain.Record
	// Reaches tells that the history goes back to the tick; if not, Begins is
	// its first record, if there is one.
	Reaches bool
	Begins  time.Time
}

// Signs of life.
const (
	// beat is how often a replica gives a sign of life; gone is how long
	// without one it counts as dead.
	beat = 30 * time.Second
	gone = 5 * beat / 2
)
