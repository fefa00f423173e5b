package runner

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// attemptEnd is how one attempt of a handler ended.
type attemptEnd struct {
	result []byte
	err    error
	// cause is why the attempt's context had ended by then; nil if it had not.
	cause error
	took  time.Duration
}

var (
	errGoexit = errors.New("handler ended its goroutine")
	// errUntellable may mean that the goroutine ends, too.
	errUntellable = fmt.Errorf("handler panicked with a value that cannot be told: %w", errGoexit)
)

// mayHaveEnded reports whether a handler that ended so may have ended its
// goroutine, too: one that panics while it does so is recovered, and ends it still.
func mayHaveEnded(err error) bool {
	_, panicked := err.(*domain.PanicError) //nolint:errorlint // as protect hands it on
	return panicked || errors.Is(err, errGoexit)
}

// protect calls fn and hands what it returned to done, whether fn returns,
// panics or ends its goroutine with runtime.Goexit. done runs on the calling
// goroutine and is called once.
func protect(fn func() ([]byte, error), done func([]byte, error)) {
	var (
		result   []byte
		err      error
		returned bool
	)
	told := false
	tell := func(result []byte, err error) {
		told = true
		done(result, err)
	}
	defer func() {
		if !told {
			// The value of the panic could not be told: its own methods
			// panicked or ended the goroutine.
			_ = recover()
			tell(nil, errUntellable)
		}
	}()
	defer func() {
		if returned {
			tell(result, err)
			return
		}
		// A nil value means Goexit: since Go 1.21 panic(nil) has a value.
		value := recover()
		if value == nil {
			tell(nil, errGoexit)
			return
		}
		tell(nil, &domain.PanicError{
			Value: domain.CleanText(fmt.Sprint(value), domain.MaxReason),
			Stack: domain.CleanText(string(debug.Stack()), domain.MaxStack),
		})
	}()
	result, err = fn()
	sortable(err)
	returned = true
}

// sortable asks the error all that is asked of it later, here where it is
// caught if one of its methods panics.
func sortable(err error) {
	if err != nil {
		classifyError(err)
		reasonOf(err)
		_ = errors.Is(err, context.DeadlineExceeded)
	}
}

// attemptContext returns the context of an attempt, which ends with
// [domain.ErrTimeout] after timeout unless that is zero, with the parent, and
// when it is cancelled, with the cause that is given.
func attemptContext(parent context.Context, timeout time.Duration) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	if timeout <= 0 {
		return ctx, cancel
	}
	ctx, stop := context.WithTimeoutCause(ctx, timeout, domain.ErrTimeout)
	return ctx, func(cause error) {
		cancel(cause)
		stop()
	}
}

// reasonOf returns the text of an error, taken safely: a panic in its Error
// method is caught by package fmt.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return domain.CleanText(fmt.Sprint(err), domain.MaxReason)
}

func stackOf(err error) string {
	if panicked, ok := errors.AsType[*domain.PanicError](err); ok {
		return panicked.Stack
	}
	return ""
}
