package runner

import (
	"time"

	"github.com/taktwork/takt/core/domain"
)

// attemptState is where an attempt is between its lease and its settlement.
type attemptState uint8

const (
	// attemptActive is with its handler, or about to be.
	attemptActive attemptState = iota
	// attemptFinished has an outcome that waits to be written.
	attemptFinished
	// attemptSettling has an outcome that is being written.
	attemptSettling
	// attemptOver is settled, or its lease is lost.
	attemptOver
	// attemptFenced was given back while its handler ran on: whatever the
	// handler does is discarded.
	attemptFenced
)

// jobAttempt is one lease and what is made of it.
type jobAttempt struct {
	worker *worker
	// lease lies in the batch that the queue handed out.
	lease  *domain.Lease
	route  *Route
	number uint64
	// ctx is there before the attempt is handed over, so that the attempt can
	// be ended from then on.
	ctx     deferredContext
	started time.Time

	// The fields below are guarded by the worker's mutex.
	state attemptState
	index int
	// trusted is until when the lease is certainly this worker's, lost tells
	// that it is no more.
	trusted time.Time
	lost    bool
	// ended is when the attempt's context was ended from outside.
	ended time.Time
	stuck bool

	outcome domain.Outcome
	event   domain.Event
	took    time.Duration
}

// letGo lets go of the payload and the result when the attempt is over, so
// that a long job does not keep alive those that it came in a batch with. It
// is called with the worker's mutex held, after the handler has returned.
func (a *jobAttempt) letGo() {
	a.state = attemptOver
	a.lease.Job.Data, a.outcome = nil, domain.Outcome{}
}
