package runner //nolint:testpackage // it hands out what the tests of the package look into

import (
	"context"
	"log/slog"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// What the tests of the queue half look into.
var (
	Decode     = decode
	TooDeep    = tooDeep
	LineOf     = lineOf
	StackOf    = stacksOf
	MaxDepth   = maxDepth
	RetryPause = journalRetry
)

// The bounds of the journal.
const (
	JournalLimit = journalLimit
	JournalBatch = journalBatch
)

// AttemptEnd is an end to decide about.
func AttemptEnd(result []byte, err, cause error) attemptEnd {
	return attemptEnd{result: result, err: err, cause: cause}
}

// DecideJob decides about the end of a job's attempt on a route that says nothing.
func DecideJob(job *domain.Job, end attemptEnd, dice float64) (domain.Outcome, bool) {
	return decideJob(job, new(Route), end, dice)
}

// DecideJobOf decides about the end of a job's attempt on the route.
func DecideJobOf(route *Route, job *domain.Job, end attemptEnd, dice float64) (domain.Outcome, bool) {
	return decideJob(job, route, end, dice)
}

// ResultError is what a handler's adapter returns for a result that cannot be kept.
func ResultError(cause error) error { return &resultError{cause: cause} }

// NewStoreClock returns a clock that goes by now until it is sampled.
func NewStoreClock(now func() time.Time) *storeClock { return &storeClock{now: now} }

// Batcher is a batcher of numbers.
type Batcher = batcher[int, int]

// NewBatcher returns a batcher.
func NewBatcher(limit int, do func(context.Context, []int) ([]int, error)) *Batcher {
	return &Batcher{do: do, limit: limit}
}

// NewDeferredContext returns the context of an attempt, what cancels it, and
// what tells its cause.
func NewDeferredContext(timeout time.Duration) (ctx context.Context, cancel func(error), cause func() error) {
	c := new(deferredContext)
	c.start(timeout)
	return c, c.cancel, c.cause
}

// FieldsOf returns the values in a job's data at the paths.
var FieldsOf = fieldsOf

// NewJournal returns a journal on the runtime's clock.
func NewJournal(replica string, store ports.RunStore, log *slog.Logger) *journal {
	return newJournal(replica, store, log, &storeClock{now: time.Now})
}
