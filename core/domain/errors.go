package domain

import (
	"errors"
	"fmt"
	"time"
)

// ErrInvalid marks every error about a value that breaks a rule of this
// package: a name, an option, a definition.
var ErrInvalid = errors.New("invalid")

// Invalidf returns an error with the text, which [errors.Is] takes for
// [ErrInvalid]. A %w in the format wraps as in [fmt.Errorf].
func Invalidf(format string, args ...any) error {
	return &invalidError{err: fmt.Errorf(format, args...)}
}

// invalidError leaves the word "invalid" out of its text: what is wrong says it.
type invalidError struct{ err error }

func (e *invalidError) Error() string { return e.err.Error() }

func (e *invalidError) Unwrap() error { return e.err }

func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

// ErrTooLarge marks a payload over the limit; no retry can mend it.
var ErrTooLarge = errors.New("too large")

// Causes that the runner puts on a handler's context; read them with
// [context.Cause].
var (
	// ErrTimeout ends an attempt that ran longer than its timeout.
	ErrTimeout = errors.New("attempt timed out")
	// ErrLeaseLost ends an attempt whose job or run belongs to another worker by now.
	ErrLeaseLost = errors.New("lease lost")
	// ErrShutdown ends an attempt that outlived the drain of a stopping worker.
	ErrShutdown = errors.New("worker is shutting down")
	// ErrPreempted ends an attempt that gave way to a newer run of its job.
	ErrPreempted = errors.New("cancelled by a newer run")
)

// PermanentError is a failure that a retry cannot mend.
type PermanentError struct{ Err error }

// Permanent returns err marked so that no attempt follows. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{Err: err}
}

// Error returns the text of the failure itself.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the failure itself.
func (e *PermanentError) Unwrap() error { return e.Err }

// RetryAfterError is a failure whose next attempt, if one is left, starts
// After from now instead of after the usual backoff.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

// RetryAfter returns err with the time to wait before the next attempt.
// The attempt counts.
func RetryAfter(after time.Duration, err error) error {
	return &RetryAfterError{After: after, Err: err}
}

// Error returns the wait and the failure.
func (e *RetryAfterError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("retry after %s", e.After)
	}
	return fmt.Sprintf("%s (retry after %s)", e.Err, e.After)
}

// Unwrap returns the failure itself.
func (e *RetryAfterError) Unwrap() error { return e.Err }

// SkipError ends a run or job without failure and without effect.
type SkipError struct{ Reason string }

// Skip returns an error with which a handler says that there is nothing to
// do: no retry follows and a queued run enqueues nothing.
func Skip(reason string) error { return &SkipError{Reason: reason} }

// Error returns "skipped" and the reason.
func (e *SkipError) Error() string { return "skipped: " + e.Reason }

// SnoozeError puts a queue job off without charging an attempt.
type SnoozeError struct{ For time.Duration }

// Snooze returns an error with which the handler of a queue job asks to be
// called again later, after 100 ms at least; the attempt does not count. For a
// scheduled job, which has no queue to wait in, it means [RetryAfter].
func Snooze(d time.Duration) error { return &SnoozeError{For: d} }

// Error returns the time the job is put off for.
func (e *SnoozeError) Error() string { return fmt.Sprintf("snoozed for %s", e.For) }

// RateLimitError puts a queue job back and holds its queue.
type RateLimitError struct{ For time.Duration }

// RateLimit returns an error with which the handler of a queue job says that
// nothing of its queue can be worked for d, 100 ms at least; the job goes
// back, unburnt.
func RateLimit(d time.Duration) error { return &RateLimitError{For: d} }

// Error returns the time the queue is held for.
func (e *RateLimitError) Error() string { return fmt.Sprintf("rate limited for %s", e.For) }

// WaitForChildrenError puts a queue job aside until its children are done.
type WaitForChildrenError struct{}

// WaitForChildren returns an error with which the handler of a queue job asks
// to be called again when the children that it has added are done; the attempt
// does not count. Without children to wait for the job is called again at once
// as often as it has children that are done, and then after a second. A queue
// that knows no children fails the job.
func WaitForChildren() error { return &WaitForChildrenError{} }

// Error says what the job waits for.
func (*WaitForChildrenError) Error() string { return "waits for its children" }

// PanicError is a handler's panic or [runtime.Goexit], caught.
type PanicError struct {
	// Value is what was passed to panic, as text.
	Value string
	// Stack is the goroutine's stack at the panic, at most [MaxStack] bytes.
	Stack string
}

// Error returns the value of the panic.
func (e *PanicError) Error() string { return "panic: " + e.Value }
