package runner_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

var errWhy = errors.New("why")

// touches are the ways in which a handler may look at its context before it
// is cancelled: the context behind it is made at the first that needs it.
func touches() map[string]func(context.Context) {
	return map[string]func(context.Context){
		"untouched":       func(context.Context) {},
		"asked for Err":   func(ctx context.Context) { _ = ctx.Err() },
		"asked for Done":  func(ctx context.Context) { _ = ctx.Done() },
		"asked for cause": func(ctx context.Context) { _ = context.Cause(ctx) },
		"asked for value": func(ctx context.Context) { _ = ctx.Value("key") },
	}
}

func TestDeferredContextIsAContextLikeAnyOther(t *testing.T) {
	t.Parallel()
	for name, touch := range touches() {
		for cause, want := range map[error]error{errWhy: errWhy, nil: context.Canceled} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel, causeOf := runner.NewDeferredContext(0)
				touch(ctx)
				if ctx.Err() != nil || causeOf() != nil {
					t.Fatalf("before its end: Err = %v, cause = %v, want none", ctx.Err(), causeOf())
				}
				cancel(cause)
				cancel(errors.New("a second cause"))
				if !errors.Is(causeOf(), want) || !errors.Is(context.Cause(ctx), want) || !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("cause = %v, context.Cause = %v, Err = %v, want %v twice and %v",
						causeOf(), context.Cause(ctx), ctx.Err(), want, context.Canceled)
				}
				select {
				case <-ctx.Done():
				default:
					t.Error("Done is open after the end")
				}
				if _, ok := ctx.Deadline(); ok {
					t.Error("there is a deadline, want none without a timeout")
				}
			})
		}
	}
}

func TestDeferredContextEndsItsChildren(t *testing.T) {
	t.Parallel()
	for name, touch := range touches() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel, _ := runner.NewDeferredContext(0)
			touch(ctx)
			child, stop := context.WithTimeout(ctx, time.Hour)
			defer stop()
			cancel(errWhy)
			<-child.Done()
			if !errors.Is(context.Cause(child), errWhy) {
				t.Errorf("the cause of the child is %v, want %v", context.Cause(child), errWhy)
			}
		})
	}
}

func TestDeferredContextTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel, causeOf := runner.NewDeferredContext(time.Minute)
		defer cancel(nil)
		began := time.Now()
		if deadline, ok := ctx.Deadline(); !ok || deadline.Sub(began) != time.Minute {
			t.Errorf("Deadline = %s, %t, want a minute from now", deadline, ok)
		}
		<-ctx.Done()
		if took := time.Since(began); took != time.Minute || !errors.Is(causeOf(), domain.ErrTimeout) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("it ended after %s with %v (%v), want %s, %v (%v)", took, causeOf(), ctx.Err(), time.Minute, domain.ErrTimeout, context.DeadlineExceeded)
		}
	})
}

func TestDeferredContextCostsNothingUntouched(t *testing.T) {
	allocations := testing.AllocsPerRun(100, func() {
		ctx, cancel, causeOf := runner.NewDeferredContext(0)
		_ = ctx.Err()
		cancel(errWhy)
		_ = causeOf()
	})
	if allocations > 3 {
		t.Errorf("%v allocations, want the context and the two functions of this test at most", allocations)
	}
}

// Those who print contexts must not look into one that another goroutine ends.
func TestDeferredContextIsPrintedAsOthersAre(t *testing.T) {
	ctx, cancel, _ := runner.NewDeferredContext(0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(errWhy)
	}()
	if got, want := fmt.Sprintf("%v %+v", ctx, ctx), "context of an attempt context of an attempt"; got != want {
		t.Errorf("the context is printed as %q, want %q", got, want)
	}
	<-ended
}
