package runner

import (
	"context"
	"sync"
	"time"
)

// deferredContext is the context of an attempt: it has no parent and ends
// when it is cancelled. The context of package context that it stands for is
// made when somebody first asks for more than whether it has ended, which
// spares the many fast handlers that never do two allocations a job. With a
// timeout it is made at once. The zero value is a context without timeout.
type deferredContext struct {
	mu   sync.Mutex
	made context.Context //nolint:containedctx // what this one stands for
	stop context.CancelCauseFunc
	// attempt, if there is one, takes the handler's notes.
	attempt *jobAttempt
	// ended tells that it was cancelled, why says for what cause.
	ended bool
	why   error
}

var _ context.Context = (*deferredContext)(nil)

// start ends the context after timeout, unless that is zero.
func (c *deferredContext) start(timeout time.Duration) {
	if timeout > 0 {
		c.made, c.stop = attemptContext(context.Background(), timeout)
	}
}

// cancel ends the context; only the first cause counts.
func (c *deferredContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.made != nil:
		c.stop(cause)
	case !c.ended:
		c.ended, c.why = true, cause
	}
}

// cause returns why the context has ended, nil if it has not.
func (c *deferredContext) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.made != nil:
		return context.Cause(c.made)
	case c.ended && c.why == nil:
		return context.Canceled
	}
	return c.why
}

func (c *deferredContext) real() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made, c.stop = context.WithCancelCause(context.Background())
		if c.ended {
			c.stop(c.why)
		}
	}
	return c.made
}

// Deadline implements [context.Context].
func (c *deferredContext) Deadline() (time.Time, bool) { return c.real().Deadline() }

// Done implements [context.Context].
func (c *deferredContext) Done() <-chan struct{} { return c.real().Done() }

// Value implements [context.Context]. Package context finds the context that
// this one stands for by it, so that children and causes work as ever.
func (c *deferredContext) Value(key any) any {
	if key == (annotatorKey{}) && c.attempt != nil {
		return c.attempt
	}
	return c.real().Value(key)
}

// Err implements [context.Context].
func (c *deferredContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.made != nil:
		return c.made.Err()
	case c.ended:
		return context.Canceled
	}
	return nil
}

// String keeps those who print contexts from looking into this one.
func (c *deferredContext) String() string { return "context of an attempt" }
