package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNoWorker says that no live worker answers to what was asked for.
	ErrNoWorker = errors.New("no running worker")

	// ErrNoReply says that the worker ended the connection before it answered; what was asked may have happened or not.
	ErrNoReply = errors.New("the worker ended the connection without a reply")

	// ErrInUse says that a live worker has the instance name already.
	ErrInUse = errors.New("a worker of this name is running")

	// ErrConfig says that the names, the path or the directories cannot hold a control socket until the configuration changes.
	ErrConfig = errors.New("control socket cannot be placed")

	// ErrClosed is what Serve returns when Close came first.
	ErrClosed = errors.New("control server closed")
)

// PlaceError says which setting keeps a worker from its control socket. It wraps ErrConfig or ErrInUse.
type PlaceError struct {
	// Variable is WORKER_STATE_DIR, WORKER_NAMESPACE or WORKER_INSTANCE.
	Variable string
	// What is wrong with it.
	What string

	err error
}

// Error is that of the cause.
func (e *PlaceError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *PlaceError) Unwrap() error { return e.err }

const (
	stateDirVariable  = "WORKER_STATE_DIR"
	instanceVariable  = "WORKER_INSTANCE"
	namespaceVariable = "WORKER_NAMESPACE"
)

// misplaced blames the variable for what cannot be placed.
func misplaced(variable, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &PlaceError{Variable: variable, What: err.Error(), err: fmt.Errorf("%w: %w", ErrConfig, err)}
}

// Code classes an error reply; the command line turns it into an exit code.
type Code string

const (
	// CodeUsage says that the request makes no sense to this worker, such as an unknown method.
	CodeUsage Code = "usage"

	// CodeBadData says that the request is understood and its content is wrong.
	CodeBadData Code = "bad_data"

	// CodeUnavailable says that the worker, or what it depends on, cannot answer now.
	CodeUnavailable Code = "unavailable"

	// CodeInternal says that the worker is at fault.
	CodeInternal Code = "internal"
)

// RemoteError is the error reply of a worker.
type RemoteError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error returns the worker's message as it came from the wire.
func (e *RemoteError) Error() string { return e.Message }

// AmbiguousError says that several workers are running and none was named.
type AmbiguousError struct {
	Instances []Instance
}

// Error names the instances.
func (e *AmbiguousError) Error() string {
	return "several workers are running: " + names(e.Instances)
}

type codedError struct {
	code Code
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// WithCode marks an error of a handler with the code its reply carries; without a mark it is CodeInternal.
// A nil error stays nil.
func WithCode(code Code, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: code, err: err}
}

// CodeOf returns the code of an error that a handler marked, a worker replied or this package's client returned.
// Everything unknown, a code from a newer worker included, is CodeInternal; nil has no code.
func CodeOf(err error) Code {
	var coded *codedError
	var remote *RemoteError
	var ambiguous *AmbiguousError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &coded):
		return known(coded.code)
	case errors.As(err, &remote):
		return known(remote.Code)
	case errors.As(err, &ambiguous):
		return CodeUsage
	case errors.Is(err, ErrNoWorker), errors.Is(err, ErrNoReply), errors.Is(err, ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return CodeUnavailable
	default:
		return CodeInternal
	}
}

func known(code Code) Code {
	switch code {
	case CodeUsage, CodeBadData, CodeUnavailable, CodeInternal:
		return code
	default:
		return CodeInternal
	}
}

func refusal(code Code, format string, args ...any) error {
	return WithCode(code, fmt.Errorf(format, args...))
}

func names(instances []Instance) string {
	list := make([]string, len(instances))
	for i, instance := range instances {
		list[i] = instance.Name
	}
	return strings.Join(list, ", ")
}
