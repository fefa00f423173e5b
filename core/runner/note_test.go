package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/core/runner"
)

// noting is a handler that writes a note each and returns what that returned.
func noting(write func(context.Context) error) runner.Route {
	return route(func(ctx context.Context, _ *domain.Job) ([]byte, error) { return nil, write(ctx) })
}

// notes are the ways to write one, by what they call it.
func notes() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"progress": func(ctx context.Context) error { return runner.Progress(ctx, 50) },
		"log line": func(ctx context.Context) error { return runner.LogLine(ctx, "half way") },
		"data":     func(ctx context.Context) error { return runner.UpdateData(ctx, "new") },
	}
}

func TestHandlersWriteNotes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": noting(func(ctx context.Context) error {
			return errors.Join(
				runner.Progress(ctx, 10), runner.Progress(ctx, map[string]int{"of": 20}),
				runner.LogLine(ctx, "one"), runner.LogLine(ctx, "two\x00\xff"),
				runner.UpdateData(ctx, []int{1, 2}),
			)
		})}, nil)
		id := d.put("send", 1, domain.JobOptions{})[0]
		synctest.Wait()
		view := d.wantState(id, domain.StateCompleted)
		if string(view.Progress) != `{"of":20}` || string(view.Job.Data) != `[1,2]` || !slices.Equal(view.Log, []string{"one", "two"}) {
			t.Errorf("progress %s, data %s, log %q, want what was written last, and both lines", view.Progress, view.Job.Data, view.Log)
		}
	})
}

func TestDataThatAHandlerWroteReachTheNextAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		d := open(t, handlers{"send": route(func(ctx context.Context, job *domain.Job) ([]byte, error) {
			defer func() { got = append(got, string(job.Data)) }()
			if job.AttemptsMade > 0 {
				return nil, nil
			}
			return nil, errors.Join(errBoom, runner.UpdateData(ctx, 2))
		})}, nil)
		d.put("send", 1, domain.JobOptions{Attempts: 2})
		pass(time.Second)
		if want := []string{"{}", "2"}; !slices.Equal(got, want) {
			t.Errorf("data of the attempts = %q, want %q", got, want)
		}
	})
}

func TestNotesNeedTheContextOfAQueueHandler(t *testing.T) {
	t.Parallel()
	for what, write := range notes() {
		want := what + ": the context is not that of a queue handler"
		if err := write(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%s outside of a handler = %v, want %s", what, err, want)
		}
	}
}

func TestNotesAreWrittenWithContextsMadeFromThatOfTheHandler(t *testing.T) {
	t.Parallel()
	type key struct{}
	for name, from := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"a value": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithValue(ctx, key{}, 1), func() {}
		},
		"a cancel": context.WithCancel,
		"without it": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithoutCancel(ctx), func() {}
		},
		"a timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		},
		"the very same": func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
	} {
		synctest.Test(t, func(t *testing.T) {
			handler := noting(func(ctx context.Context) error {
				child, stop := from(ctx)
				defer stop()
				return runner.Progress(child, 1)
			})
			handler.Timeout = time.Minute
			d := open(t, handlers{"send": handler}, nil)
			id := d.put("send", 1, domain.JobOptions{})[0]
			synctest.Wait()
			if view := d.wantState(id, domain.StateCompleted); string(view.Progress) != "1" {
				t.Errorf("with %s: progress = %s, want 1", name, view.Progress)
			}
		})
	}
}

func TestNotesUnderALostLeaseAreRefusedAndEndTheAttempt(t *testing.T) {
	t.Parallel()
	for what, write := range notes() {
		synctest.Test(t, func(t *testing.T) {
			lease := leaseOf(domain.JobOptions{Attempts: 5})
			errs := make(chan error, 3)
			consumer, d := mocked(t, lease, route(func(ctx context.Context, _ *domain.Job) ([]byte, error) {
				errs <- write(ctx)
				<-ctx.Done()
				errs <- write(ctx)
				errs <- write(context.WithoutCancel(ctx))
				return nil, nil
			}))
			consumer.EXPECT().Annotate(gomock.Any(), gomock.Any()).Return([]domain.LeaseRef{lease.Ref()}, nil).Times(1)
			consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Times(0)
			d.start()
			synctest.Wait()
			for range 3 {
				if err := <-errs; !errors.Is(err, domain.ErrLeaseLost) {
					t.Errorf("%s = %v, want ErrLeaseLost", what, err)
				}
			}
			d.wantCounts(map[domain.Event]int{domain.EventLost: 1, domain.EventLate: 1})
		})
	}
}

func TestNotesAfterTheEndOfTheContextAreRefused(t *testing.T) {
	t.Parallel()
	for what, write := range notes() {
		synctest.Test(t, func(t *testing.T) {
			errs := make(chan error, 1)
			handler := route(func(ctx context.Context, _ *domain.Job) ([]byte, error) {
				<-ctx.Done()
				errs <- write(ctx)
				return nil, nil
			})
			handler.Timeout = time.Second
			consumer, d := mocked(t, leaseOf(domain.JobOptions{}), handler)
			consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Return(settled, nil)
			d.start()
			pass(time.Second)
			if err := <-errs; !errors.Is(err, domain.ErrTimeout) {
				t.Errorf("%s = %v, want ErrTimeout", what, err)
			}
		})
	}
}

// A handler that was told to end may still save how far it came.
func TestNotesOfAHandlerThatEndsAreWrittenWithoutItsCancellation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": noting(func(ctx context.Context) error {
			<-ctx.Done()
			return runner.UpdateData(context.WithoutCancel(ctx), 7)
		})}, nil)
		id := d.put("send", 1, domain.JobOptions{})[0]
		synctest.Wait()
		d.stop(patience)
		if view := d.view(id); string(view.Job.Data) != "7" {
			t.Errorf("data = %s, want what the handler saved", view.Job.Data)
		}
	})
}

func TestNotesOfAHandlerThatHasReturnedAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := make(chan context.Context, 1)
		d := open(t, handlers{"send": noting(func(ctx context.Context) error {
			kept <- ctx
			return nil
		})}, nil)
		id := d.put("send", 1, domain.JobOptions{})[0]
		synctest.Wait()
		ctx := <-kept
		for _, ctx := range []context.Context{ctx, context.WithoutCancel(ctx)} {
			if err := runner.Progress(ctx, 1); !errors.Is(err, context.Canceled) {
				t.Errorf("Progress after the end = %v, want Canceled", err)
			}
		}
		if view := d.wantState(id, domain.StateCompleted); view.Progress != nil {
			t.Errorf("progress = %s, want none", view.Progress)
		}
	})
}

func TestNotesThatAreTooLargeFailTheJobForGood(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 100)
	for what, write := range map[string]func(context.Context) error{
		"progress": func(ctx context.Context) error { return runner.Progress(ctx, large) },
		"log line": func(ctx context.Context) error { return runner.LogLine(ctx, large) },
		"data":     func(ctx context.Context) error { return runner.UpdateData(ctx, large) },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, handlers{"send": noting(write)}, func(d *desk) { d.config.MaxPayload = 99 })
			id := d.put("send", 1, domain.JobOptions{Attempts: 5})[0]
			synctest.Wait()
			view := d.wantState(id, domain.StateFailed)
			if !strings.HasPrefix(view.Reason, what) || !strings.HasSuffix(view.Reason, "at most 99 are allowed: too large") {
				t.Errorf("reason = %q, want that the %s is too large", view.Reason, what)
			}
		})
	}
}

type marshalPanics struct{}

func (marshalPanics) MarshalJSON() ([]byte, error) { panic("no") }

func TestNotesThatAreNoJSONAreRefused(t *testing.T) {
	t.Parallel()
	for _, value := range []any{make(chan int), marshalPanics{}} {
		ctx := runner.WithAnnotator(t.Context(), nil)
		if err := runner.Progress(ctx, value); err == nil || !strings.HasPrefix(err.Error(), "progress of type ") {
			t.Errorf("Progress(%T) = %v, want an error that names the type", value, err)
		}
		if err := runner.UpdateData(ctx, value); err == nil || !strings.HasPrefix(err.Error(), "data of type ") {
			t.Errorf("UpdateData(%T) = %v, want an error that names the type", value, err)
		}
	}
}

func TestErrorsOfTheStoreComeBackFromNotes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errs := make(chan error, 2)
		d := open(t, handlers{"send": noting(func(ctx context.Context) error {
			errs <- runner.Progress(ctx, 1)
			errs <- runner.Progress(ctx, 2)
			return nil
		})}, func(d *desk) { d.faults.Fail(porttest.CallAnnotate, 1, errDown) })
		id := d.put("send", 1, domain.JobOptions{})[0]
		synctest.Wait()
		if first, second := <-errs, <-errs; !errors.Is(first, errDown) || second != nil {
			t.Errorf("Progress = %v, then %v, want that the store is down, then none", first, second)
		}
		d.wantState(id, domain.StateCompleted)
	})
}
