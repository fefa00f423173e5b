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
