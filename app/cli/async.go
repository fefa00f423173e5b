package cli

import (
	"fmt"
	"runtime/debug"
)

// panicError is a panic on a goroutine of ours.
type panicError struct {
	cause any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.cause) }

// result is what a function started by async returned.
type result[T any] struct {
	value T
	err   error
}

// async runs the function on a goroutine, so that signals can be heard
// meanwhile. A panic becomes an error.
func async[T any](do func() (T, error)) <-chan result[T] {
	done := make(chan result[T], 1)
	go func() {
		var r result[T]
		defer func() {
			if cause := recover(); cause != nil {
				r.err = &panicError{cause: cause, stack: debug.Stack()}
			}
			done <- r
		}()
		r.value, r.err = do()
	}()
	return done
}
