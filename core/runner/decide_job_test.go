package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

var errBoom = errors.New("boom")

func TestDecideJobTellsWhatFollowsAnAttempt(t *testing.T) {
	t.Parallel()
	backoff := domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second}
	first := domain.Job{Options: domain.JobOptions{Attempts: 3, Backoff: backoff}}
	second := domain.Job{Options: first.Options, AttemptsMade: 1}
	last := domain.Job{Options: first.Options, AttemptsMade: 2}
	never := domain.Job{Options: domain.JobOptions{Attempts: 3, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: domain.NoRetry, Jitter: 0.5}}}
	panicked := &domain.PanicError{Value: "boom", Stack: "main.go"}
	for _, c := range []struct {
		name  string
		job   domain.Job
		err   error
		cause error
		want  domain.Outcome
	}{
		{"success", first, nil, nil, domain.Outcome{Kind: domain.Completed, Result: []byte(`1`)}},
		{"success while the worker stops", first, nil, domain.ErrShutdown, domain.Outcome{Kind: domain.Completed, Result: []byte(`1`)}},
		{"first failure", first, errBoom, nil, domain.Outcome{Kind: domain.Retry, After: time.Second, Reason: "boom"}},
		{"second failure", second, errBoom, nil, domain.Outcome{Kind: domain.Retry, After: 2 * time.Second, Reason: "boom"}},
		{"last failure", last, errBoom, nil, domain.Outcome{Kind: domain.Failed, Reason: "boom"}},
		{"failure that no retry is to follow", never, errBoom, nil, domain.Outcome{Kind: domain.Failed, Reason: "boom"}},
		{"retry after, though none is to follow", never, domain.RetryAfter(time.Minute, errBoom), nil, domain.Outcome{Kind: domain.Failed, Reason: "boom (retry after 1m0s)"}},
		{"snooze, though no retry is to follow", never, domain.Snooze(time.Minute), nil, domain.Outcome{Kind: domain.Snoozed, After: time.Minute, Reason: "snoozed for 1m0s"}},
		{"panic", first, panicked, nil, domain.Outcome{Kind: domain.Retry, After: time.Second, Reason: "panic: boom", Stack: "main.go"}},
		{"panic at last", last, panicked, nil, domain.Outcome{Kind: domain.Failed, Reason: "panic: boom", Stack: "main.go"}},
		{"permanent", first, fmt.Errorf("send: %w", domain.Permanent(errBoom)), nil, domain.Outcome{Kind: domain.Failed, Reason: "send: boom"}},
		{"retry after", first, domain.RetryAfter(time.Minute, errBoom), nil, domain.Outcome{Kind: domain.Retry, After: time.Minute, Reason: "boom (retry after 1m0s)"}},
		{"retry after at last", last, domain.RetryAfter(time.Minute, errBoom), nil, domain.Outcome{Kind: domain.Failed, Reason: "boom (retry after 1m0s)"}},
		{"retry after the past", first, domain.RetryAfter(-time.Minute, nil), nil, domain.Outcome{Kind: domain.Retry, Reason: "retry after -1m0s"}},
		{"skip", first, domain.Skip("no mail"), nil, domain.Outcome{Kind: domain.Completed, Reason: "skipped: no mail"}},
		{"snooze", last, domain.Snooze(time.Minute), nil, domain.Outcome{Kind: domain.Snoozed, After: time.Minute, Reason: "snoozed for 1m0s"}},
		{"snooze for years", last, domain.Snooze(1 << 62), nil, domain.Outcome{Kind: domain.Snoozed, After: domain.MaxDelay, Reason: domain.Snooze(1 << 62).Error()}},
		{"children", last, domain.WaitForChildren(), nil, domain.Outcome{Kind: domain.WaitingForChildren, Reason: "waits for its children"}},
		{"rate limit", last, domain.RateLimit(time.Minute), nil, domain.Outcome{Kind: domain.RateLimited, After: time.Minute, Reason: "rate limited for 1m0s"}},
		{"too large", first, fmt.Errorf("enqueue: %w", domain.ErrTooLarge), nil, domain.Outcome{Kind: domain.Failed, Reason: "enqueue: too large"}},
		{"no result", first, runner.ResultError(errBoom), nil, domain.Outcome{Kind: domain.Completed, Reason: "boom"}},
		{"no result while the worker stops", first, runner.ResultError(errBoom), domain.ErrShutdown, domain.Outcome{Kind: domain.Completed, Reason: "boom"}},
		{"timeout", first, context.DeadlineExceeded, domain.ErrTimeout, domain.Outcome{Kind: domain.Retry, After: time.Second, Reason: "attempt timed out"}},
		{"timeout with a reason", first, errBoom, domain.ErrTimeout, domain.Outcome{Kind: domain.Retry, After: time.Second, Reason: "attempt timed out: boom"}},
		{"success after the timeout", last, nil, domain.ErrTimeout, domain.Outcome{Kind: domain.Failed, Reason: "attempt timed out"}},
		{"permanent after the timeout", first, domain.Permanent(errBoom), domain.ErrTimeout, domain.Outcome{Kind: domain.Retry, After: time.Second, Reason: "attempt timed out: boom"}},
		{"stopped", last, context.Canceled, domain.ErrShutdown, domain.Outcome{Kind: domain.Returned, Reason: "worker is shutting down"}},
	} {
		result := []byte(`1`)
		if c.err != nil {
			result = nil
		}
		got, ok := runner.DecideJob(&c.job, runner.AttemptEnd(result, c.err, c.cause), 0.5)
		if diff := cmp.Diff(c.want, got); diff != "" || !ok {
			t.Errorf("%s: decided %t (-want +got):\n%s", c.name, ok, diff)
		}
	}
}

func TestDecideJobWritesNothingUnderALostLease(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errBoom, domain.Permanent(errBoom), domain.Snooze(1)} {
		if got, ok := runner.DecideJob(&domain.Job{}, runner.AttemptEnd(nil, err, domain.ErrLeaseLost), 0.5); ok {
			t.Errorf("decided %v after %v, want nothing", got, err)
		}
	}
}

func FuzzDecideJob(f *testing.F) {
	f.Add(uint8(0), uint8(0), "boom", int64(time.Second), 3, 1, 0.5, 0.5, true)
	f.Add(uint8(3), uint8(1), "\xff\x00", int64(-1), -5, 9000, -1.0, 7.0, false)
	f.Add(uint8(5), uint8(3), strings.Repeat("ü", 5000), int64(1)<<62, 1001, 1000, 1.5, 0.0, true)
	f.Fuzz(func(t *testing.T, kind, cause uint8, text string, delay int64, attempts, made int, jitter, dice float64, exponential bool) {
		wait := time.Duration(delay)
		errs := []error{
			nil, errors.New(text), domain.Permanent(errors.New(text)), domain.RetryAfter(wait, errors.New(text)), domain.RetryAfter(wait, nil),
			domain.Skip(text), domain.Snooze(wait), domain.RateLimit(wait), runner.ResultError(errors.New(text)),
			&domain.PanicError{Value: text, Stack: text}, fmt.Errorf("%s: %w", text, domain.ErrTooLarge),
			fmt.Errorf("%s: %w", text, context.DeadlineExceeded), &domain.PermanentError{},
		}
		causes := []error{nil, domain.ErrTimeout, domain.ErrShutdown, domain.ErrLeaseLost, domain.ErrPreempted, context.Canceled}
		job := domain.Job{AttemptsMade: made, Options: domain.JobOptions{
			Attempts: attempts, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: wait, Jitter: jitter},
		}}
		if exponential {
			job.Options.Backoff.Kind = domain.BackoffExponential
		}
		end := runner.AttemptEnd([]byte(text), errs[int(kind)%len(errs)], causes[int(cause)%len(causes)])
		got, ok := runner.DecideJob(&job, end, dice)
		switch {
		case !ok && got.Kind != 0, ok && got.Kind.String() == "unknown":
			t.Errorf("decided %v, %t", got, ok)
		case got.After < 0 || got.After > domain.MaxDelay:
			t.Errorf("After = %s, want it in [0s, %s]", got.After, domain.MaxDelay)
		case !utf8.ValidString(got.Reason) || len(got.Reason) > domain.MaxReason:
			t.Errorf("Reason of %d bytes = %q", len(got.Reason), got.Reason)
		case len(got.Result) > 0 && got.Kind != domain.Completed:
			t.Errorf("a %s job has result %q", got.Kind, got.Result)
		case got.Kind == domain.Retry && job.AttemptsLeft() == 0:
			t.Error("retried, though no attempt is left")
		}
	})
}
