package app

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// Job is a queue job with its payload decoded into T.
type Job[T any] = runner.Job[T]

// Middleware wraps the handler of queue jobs.
type Middleware func(next ports.Handler) ports.Handler

// MiddlewareFunc makes a handler out of a function, for use in a [Middleware].
type MiddlewareFunc = runner.HandlerFunc

// Handler is the handler of one job name on one queue, made by [Handle].
type Handler struct {
	queue   string
	name    string
	handler ports.Handler
	timeout *time.Duration
	feature string
	method  string
	around  []Middleware
	fields  []string
	// starts bounds the starts of a job, nil for no bound.
	starts   *int
	backoffs []namedBackoff
}

type namedBackoff struct {
	kind string
	wait func(attempts int, job *domain.Job, err error) time.Duration
}

// HandlerOption sets one option of a handler.
type HandlerOption func(*Handler)

// AttemptTimeout ends the context of an attempt that runs longer.
func AttemptTimeout(timeout time.Duration) HandlerOption {
	return func(h *Handler) { h.timeout = &timeout }
}

// HistoryFields makes jobs searchable by values in their data: those at the
// paths, such as customer.id or lines.0.sku, are recorded with what became of a
// job, as far as they are strings, numbers or booleans, up to 256 bytes of
// each. At most 16 paths are allowed. Do not choose secrets: who reads the
// history sees them.
func HistoryFields(paths ...string) HandlerOption {
	return func(h *Handler) { h.fields = append(h.fields, paths...) }
}

// Wrap adds middleware around this handler, inside that of [Use]. The first
// one is the outermost.
func Wrap(middleware ...Middleware) HandlerOption {
	return func(h *Handler) { h.around = append(h.around, middleware...) }
}

// MaxStarts fails a job that would start more than n attempts, with the reason
// "job started more than allowable limit": beside the failed ones, which the
// job's own options bound, those count that were put off, returned by a worker
// that stopped or lost with one that crashed. It is BullMQ's maxStartedAttempts.
func MaxStarts(n int) HandlerOption {
	return func(h *Handler) { h.starts = &n }
}

// NamedBackoff lets jobs of Node producers name a back-off of the program's
// own, as settings.backoffStrategy of BullMQ's workers does: backoff.type is
// the kind. wait returns how long the job waits after so many failed attempts,
// the latest with err; job.Options.Backoff has what else the producer said. A
// negative wait fails the job, longer ones than [domain.MaxDelay] are cut. It
// is called by several goroutines at a time; if it panics, the job fails. A job
// whose kind no option names fails with its first error, and with that kind in
// the reason; errors that say themselves when to try again ([RetryAfter]) need
// no back-off.
func NamedBackoff(kind string, wait func(attempts int, job *domain.Job, err error) time.Duration) HandlerOption {
	return func(h *Handler) { h.backoffs = append(h.backoffs, namedBackoff{kind: kind, wait: wait}) }
}

// Handle makes fn the handler of the jobs with the name on the queue; an
// empty queue is the worker's default queue. The payload is decoded from JSON
// into T; one that does not fit fails the job without a retry. What fn
// returns is kept as the job's result. The errors made by [Permanent],
// [RetryAfter], [Skip], [Snooze], [RateLimit] and [WaitForChildren] steer what
// follows; any other error is retried as the job's options say. ctx ends when the attempt
// times out, the job's lease is lost or the worker stops; [context.Cause]
// says which.
func Handle[T any](queue, name string, fn func(ctx context.Context, job Job[T]) (any, error), options ...HandlerOption) Handler {
	h := Handler{queue: queue, name: name, method: functionName(fn)}
	if fn != nil {
		h.handler = runner.Handle(fn)
	}
	for _, option := range options {
		option(&h)
	}
	return h
}

// Permanent marks err so that no retry follows.
func Permanent(err error) error { return domain.Permanent(err) }

// RetryAfter marks err with the wait before the next attempt, if one is left.
func RetryAfter(after time.Duration, err error) error { return domain.RetryAfter(after, err) }

// Skip ends a run or job without failure and without effect.
func Skip(reason string) error { return domain.Skip(reason) }

// Snooze puts a queue job off without charging an attempt.
func Snooze(d time.Duration) error { return domain.Snooze(d) }

// RateLimit puts a queue job back, uncharged, and holds its queue for d.
func RateLimit(d time.Duration) error { return domain.RateLimit(d) }

// WaitForChildren puts a queue job aside until the children are done that its
// handler has added ([redisqueue.Queue.Add] with the job as their parent, all in
// one call); then the handler is called again, and no attempt is charged. It
// must find out by itself how far it was: that some have results does not mean
// that all have. If there is nothing to wait for it is called at once, but not
// more often than children are done: then, or if it has none, after a second.
// Only queues in Redis know children; others fail the job.
func WaitForChildren() error { return domain.WaitForChildren() }
