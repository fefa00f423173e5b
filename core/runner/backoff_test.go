package runner_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// ownBackoffs are a handler's.
func ownBackoffs() *runner.Route {
	return &runner.Route{Backoffs: map[domain.BackoffKind]runner.BackoffFunc{
		"linear": func(attempts int, job *domain.Job, _ error) time.Duration {
			return time.Duration(attempts) * job.Options.Backoff.Delay
		},
		"never": func(int, *domain.Job, error) time.Duration { return -1 },
		"picky": func(_ int, _ *domain.Job, err error) time.Duration {
			return time.Duration(len(err.Error())) * time.Second
		},
		"ages":  func(int, *domain.Job, error) time.Duration { return 1 << 62 },
		"panic": func(int, *domain.Job, error) time.Duration { panic("no idea") },
		"leave": func(int, *domain.Job, error) time.Duration { runtime.Goexit(); return 0 },
	}}
}

func TestNamedBackoffTellsTheWait(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  domain.BackoffKind
		err   error
		cause error
		want  domain.Outcome
	}{
		{"linear", errBoom, nil, domain.Outcome{Kind: domain.Retry, After: 2 * time.Second, Reason: "boom"}},
		{"linear", errBoom, domain.ErrTimeout, domain.Outcome{Kind: domain.Retry, After: 2 * time.Second, Reason: "attempt timed out: boom"}},
		{"picky", errBoom, nil, domain.Outcome{Kind: domain.Retry, After: 4 * time.Second, Reason: "boom"}},
		{"ages", errBoom, nil, domain.Outcome{Kind: domain.Retry, After: domain.MaxDelay, Reason: "boom"}},
		{"never", errBoom, nil, domain.Outcome{Kind: domain.Failed, Reason: "boom"}},
		{"panic", errBoom, nil, domain.Outcome{Kind: domain.Failed, Reason: `backoff "panic": panic: no idea after: boom`}},
		{"leave", errBoom, nil, domain.Outcome{Kind: domain.Failed, Reason: `backoff "leave": ended its goroutine after: boom`}},
		{"moon", errBoom, nil, domain.Outcome{Kind: domain.Failed, Reason: `unknown backoff "moon" after: boom`}},
		{"moon", domain.RetryAfter(time.Minute, errBoom), nil, domain.Outcome{Kind: domain.Retry, After: time.Minute, Reason: "boom (retry after 1m0s)"}},
		{"moon", domain.Snooze(time.Minute), nil, domain.Outcome{Kind: domain.Snoozed, After: time.Minute, Reason: "snoozed for 1m0s"}},
		{"moon", domain.Permanent(errBoom), nil, domain.Outcome{Kind: domain.Failed, Reason: "boom"}},
		{"exponential", errBoom, nil, domain.Outcome{Kind: domain.Retry, After: 2 * time.Second, Reason: "boom"}},
	} {
		job := domain.Job{AttemptsMade: 1, Options: domain.JobOptions{Attempts: 3, Backoff: domain.Backoff{Kind: c.kind, Delay: time.Second}}}
		got, ok := runner.DecideJobOf(ownBackoffs(), &job, runner.AttemptEnd(nil, c.err, c.cause), 0)
		if diff := cmp.Diff(c.want, got); diff != "" || !ok {
			t.Errorf("%s after %v: decided %t (-want +got):\n%s", c.kind, c.err, ok, diff)
		}
	}
}

func TestUnknownBackoffOfAnyLengthLeavesAShortReason(t *testing.T) {
	t.Parallel()
	job := domain.Job{Options: domain.JobOptions{Attempts: 3, Backoff: domain.Backoff{Kind: domain.BackoffKind(strings.Repeat("\x00moon", 1<<16))}}}
	got, _ := runner.DecideJob(&job, runner.AttemptEnd(nil, errBoom, nil), 0)
	if got.Kind != domain.Failed || !strings.HasPrefix(got.Reason, "unknown backoff") || len(got.Reason) > domain.MaxReason {
		t.Errorf("decided %s with a reason of %d bytes, want a failure with a short one", got.Kind, len(got.Reason))
	}
}

func TestNoRetryFollowsTheLastStart(t *testing.T) {
	t.Parallel()
	route := &runner.Route{MaxStarts: 3}
	for started, want := range map[int]domain.OutcomeKind{1: domain.Retry, 2: domain.Retry, 3: domain.Failed, 4: domain.Failed} {
		job := domain.Job{AttemptsStarted: started, Options: domain.JobOptions{Attempts: 9}}
		if got, _ := runner.DecideJobOf(route, &job, runner.AttemptEnd(nil, errBoom, nil), 0); got.Kind != want || got.Reason != "boom" {
			t.Errorf("decided %s (%s) about start %d of 3, want %s (boom)", got.Kind, got.Reason, started, want)
		}
	}
}

func TestJobThatStartedTooOftenIsFailedWithoutItsHandler(t *testing.T) {
	t.Parallel()
	for started, want := range map[int]domain.Outcome{
		2: {Kind: domain.Completed},
		3: {Kind: domain.Failed, Reason: "job started more than allowable limit"},
	} {
		synctest.Test(t, func(t *testing.T) {
			lease := leaseOf(domain.JobOptions{Attempts: 9})
			lease.Job.AttemptsStarted = started
			handled := false
			bounded := route(func(context.Context, *domain.Job) ([]byte, error) {
				handled = true
				return nil, nil
			})
			bounded.MaxStarts = 2
			consumer, d := mocked(t, lease, bounded)
			consumer.EXPECT().Settle(gomock.Any(), settlement(want), 1).Return(settled, nil)
			d.start()
			synctest.Wait()
			if handled != (want.Kind == domain.Completed) {
				t.Errorf("start %d of 2: handled = %t", started, handled)
			}
		})
	}
}
