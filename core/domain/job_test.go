package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func TestNewJobIsCheckedWhole(t *testing.T) {
	t.Parallel()
	valid := func() domain.NewJob {
		return domain.NewJob{Queue: "mail", Name: "send", Data: []byte(`{}`)}
	}
	for name, c := range map[string]struct {
		spoil func(*domain.NewJob)
		want  error
	}{
		"valid":             {func(*domain.NewJob) {}, nil},
		"largest":           {func(j *domain.NewJob) { j.Data = make([]byte, 10) }, nil},
		"too large":         {func(j *domain.NewJob) { j.Data = make([]byte, 11) }, domain.ErrTooLarge},
		"bad queue":         {func(j *domain.NewJob) { j.Queue = "a:b" }, domain.ErrInvalid},
		"bad name":          {func(j *domain.NewJob) { j.Name = "" }, domain.ErrInvalid},
		"bad id":            {func(j *domain.NewJob) { j.Options.ID = "7" }, domain.ErrInvalid},
		"negative delay":    {func(j *domain.NewJob) { j.Options.Delay = -1 }, domain.ErrInvalid},
		"negative priority": {func(j *domain.NewJob) { j.Options.Priority = -1 }, domain.ErrInvalid},
		"priority":          {func(j *domain.NewJob) { j.Options.Priority = domain.MaxPriority }, nil},
		"priority too high": {func(j *domain.NewJob) { j.Options.Priority = domain.MaxPriority + 1 }, domain.ErrInvalid},
		"negative attempts": {func(j *domain.NewJob) { j.Options.Attempts = -1 }, domain.ErrInvalid},
		"many attempts":     {func(j *domain.NewJob) { j.Options.Attempts = domain.MaxAttempts + 1 }, domain.ErrInvalid},
		"bad backoff":       {func(j *domain.NewJob) { j.Options.Backoff.Jitter = 2 }, domain.ErrInvalid},
		"negative TTL":      {func(j *domain.NewJob) { j.Options.Deduplication.TTL = -1 }, domain.ErrInvalid},
		"negative count":    {func(j *domain.NewJob) { j.Options.KeepCompleted = domain.KeepLast(-1) }, domain.ErrInvalid},
		"negative age":      {func(j *domain.NewJob) { j.Options.KeepFailed = domain.KeepFor(-1) }, domain.ErrInvalid},
		"age in slices":     {func(j *domain.NewJob) { j.Options.KeepFailed = domain.Retention{Limited: true, Age: 1, PerFinish: 1} }, nil},
		"negative slices":   {func(j *domain.NewJob) { j.Options.KeepFailed = domain.Retention{Limited: true, Age: 1, PerFinish: -1} }, domain.ErrInvalid},
		"slices of no age":  {func(j *domain.NewJob) { j.Options.KeepFailed = domain.Retention{Limited: true, PerFinish: 1} }, domain.ErrInvalid},
	} {
		job := valid()
		c.spoil(&job)
		if err := job.Validate(10); !errors.Is(err, c.want) {
			t.Errorf("%s: Validate() = %v, want %v", name, err, c.want)
		}
	}
}

func TestAttemptsLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attempts, made, want int }{{0, 0, 0}, {1, 0, 0}, {3, 0, 2}, {3, 1, 1}, {3, 2, 0}, {3, 9, 0}} {
		job := domain.Job{Options: domain.JobOptions{Attempts: c.attempts}, AttemptsMade: c.made}
		if got := job.AttemptsLeft(); got != c.want {
			t.Errorf("AttemptsLeft() of %d, %d made = %d, want %d", c.attempts, c.made, got, c.want)
		}
	}
}

func TestRetentionsSayWhatTheyKeep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want domain.Retention }{
		{domain.KeepLast(5), domain.Retention{Limited: true, Count: 5}},
		{domain.KeepNone(), domain.Retention{Limited: true}},
		{domain.KeepFor(time.Hour), domain.Retention{Limited: true, Age: time.Hour}},
	} {
		if c.got != c.want {
			t.Errorf("retention = %+v, want %+v", c.got, c.want)
		}
	}
}

func TestPolicyIsCheckedAgainstItsTarget(t *testing.T) {
	t.Parallel()
	inline, queued := domain.Target{}, domain.Target{Queue: "mail"}
	for name, c := range map[string]struct {
		policy domain.RunPolicy
		target domain.Target
		valid  bool
	}{
		"zero":                           {domain.RunPolicy{}, inline, true},
		"negative timeout":               {domain.RunPolicy{Timeout: -1}, inline, false},
		"negative jitter":                {domain.RunPolicy{MaxJitter: -1}, inline, false},
		"jitter over a day":              {domain.RunPolicy{MaxJitter: domain.MaxDelay + 1}, inline, false},
		"negative retries":               {domain.RunPolicy{Retries: domain.Retries{Count: -1}}, inline, false},
		"too many retries":               {domain.RunPolicy{Retries: domain.Retries{Count: domain.MaxRetries + 1}}, inline, false},
		"bad backoff":                    {domain.RunPolicy{Retries: domain.Retries{Backoff: domain.Backoff{Delay: -1}}}, inline, false},
		"cancel previous inline":         {domain.RunPolicy{Overlap: domain.OverlapCancelPrevious}, inline, true},
		"cancel previous queued":         {domain.RunPolicy{Overlap: domain.OverlapCancelPrevious}, queued, false},
		"until completion":               {domain.RunPolicy{Scope: domain.ScopeCompletion, Overlap: domain.OverlapSkip}, queued, true},
		"until completion, inline":       {domain.RunPolicy{Scope: domain.ScopeCompletion, Overlap: domain.OverlapSkip}, inline, false},
		"until completion, queueing one": {domain.RunPolicy{Scope: domain.ScopeCompletion, Overlap: domain.OverlapQueueOne}, queued, false},
	} {
		err := c.policy.Validate(&c.target)
		if c.valid && err != nil || !c.valid && !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: Validate() = %v, want valid %t", name, err, c.valid)
		}
	}
}

func TestKindsHaveWords(t *testing.T) {
	t.Parallel()
	words := map[string]bool{}
	for kind := domain.Completed; kind <= domain.Failed; kind++ {
		words[kind.String()] = true
	}
	for status := domain.Accepted; status <= domain.Deduplicated; status++ {
		words[status.String()] = true
	}
	for kind := domain.Granted; kind <= domain.Lost; kind++ {
		words[kind.String()] = true
	}
	if len(words) != 8+4+8 || words["unknown"] || words[""] {
		t.Errorf("words = %v, want one for each kind", words)
	}
	for _, unknown := range []string{domain.OutcomeKind(99).String(), domain.EnqueueStatus(99).String(), domain.VerdictKind(99).String()} {
		if unknown != "unknown" {
			t.Errorf("String() = %s, want unknown", unknown)
		}
	}
}

func TestSteeringErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such mailbox")
	if err := domain.Permanent(cause); !errors.Is(err, cause) || err.Error() != cause.Error() {
		t.Errorf("Permanent() = %v, want it to read as its cause", err)
	}
	if err := domain.Permanent(nil); err != nil {
		t.Errorf("Permanent(nil) = %v, want none", err)
	}
	if err := domain.RetryAfter(time.Second, cause); !errors.Is(err, cause) || err.Error() != "no such mailbox (retry after 1s)" {
		t.Errorf("RetryAfter() = %v, want wait and cause", err)
	}
	for text, err := range map[string]error{
		"retry after 1s":      domain.RetryAfter(time.Second, nil),
		"skipped: no mail":    domain.Skip("no mail"),
		"snoozed for 1s":      domain.Snooze(time.Second),
		"rate limited for 1s": domain.RateLimit(time.Second),
		"panic: boom":         &domain.PanicError{Value: "boom"},
	} {
		if err.Error() != text {
			t.Errorf("Error() = %q, want %q", err, text)
		}
	}
}
