package ports

import "errors"

var (
	// ErrUnavailable says that the store behind a port cannot be reached. The
	// call had no effect and may be repeated.
	ErrUnavailable = errors.New("store unavailable")
	// ErrQueueFull says that a bounded queue takes no more for now.
	ErrQueueFull = errors.New("queue is full")
	// ErrNotFound says that the queue or job is not there.
	ErrNotFound = errors.New("not found")
	// ErrClosed says that the adapter was closed.
	ErrClosed = errors.New("closed")
)
