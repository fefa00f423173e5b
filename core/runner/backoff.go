package runner

import (
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// BackoffFunc returns how long a job waits for its next attempt after so many
// failed ones, the latest with err. A negative wait means that none follows.
// It is called while the job's slot is taken, by several goroutines at a time.
type BackoffFunc func(attempts int, job *domain.Job, err error) time.Duration

// wait returns how long the job waits for its next attempt, or why none
// follows.
func (r *Route) wait(job *domain.Job, err error, dice float64) (time.Duration, error) {
	backoff, attempts := job.Options.Backoff, job.AttemptsMade+1
	if backoff.Kind.Known() || asksForWait(err) {
		return retryDelay(err, backoff, attempts, dice), nil
	}
	named, kind := r.Backoffs[backoff.Kind], domain.Quote(string(backoff.Kind))
	if named == nil {
		return 0, fmt.Errorf("unknown backoff %s after: %s", kind, reasonOf(err))
	}
	after, problem := named.ask(attempts, job, err)
	switch {
	case problem != nil:
		return 0, fmt.Errorf("backoff %s: %w after: %s", kind, problem, reasonOf(err))
	case after < 0:
		return 0, err
	}
	return clampDelay(after), nil
}

// ask calls the function where it can do no harm: it may panic, and it may end
// its goroutine, which must not be that of the attempt.
func (f BackoffFunc) ask(attempts int, job *domain.Job, err error) (after time.Duration, problem error) {
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		protect(func() ([]byte, error) {
			after = f(attempts, job, err)
			return nil, nil
		}, func(_ []byte, err error) { problem = err })
	}()
	<-asked
	if errors.Is(problem, errGoexit) {
		problem = errors.New("ended its goroutine")
	}
	return after, problem
}

// asksForWait reports whether the error itself says when to try again.
func asksForWait(err error) bool {
	after, isAfter := errors.AsType[*domain.RetryAfterError](err)
	snooze, isSnooze := errors.AsType[*domain.SnoozeError](err)
	limit, isLimit := errors.AsType[*domain.RateLimitError](err)
	return isAfter && after != nil || isSnooze && snooze != nil || isLimit && limit != nil
}
