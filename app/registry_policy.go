package app

import (
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// policyOf completes the job's policy with the worker's defaults.
func (r *registry) policyOf(job *ScheduledJob) domain.RunPolicy {
	defaults := r.settings.Jobs
	policy := domain.RunPolicy{
		Retries: domain.Retries{Count: defaults.Retries, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: defaults.RetryDelay}},
		Timeout: defaults.Timeout, MaxJitter: defaults.MaxJitter,
		Overlap: domain.OverlapSkip, Scope: domain.ScopeTrigger,
		OnStart: job.onStart, OnAbandon: domain.AbandonRerun,
	}
	if defaults.AllowOverlap {
		policy.Overlap = domain.OverlapAllow
	}
	override(&policy.Retries.Count, job.retries)
	override(&policy.Retries.Backoff, job.backoff)
	override(&policy.Timeout, job.timeout)
	override(&policy.MaxJitter, job.jitter)
	if job.overlap != "" {
		policy.Overlap = job.overlap
	}
	if job.scope != "" {
		policy.Scope = job.scope
	}
	if job.onAbandon != "" {
		policy.OnAbandon = job.onAbandon
	}
	return policy
}

func override[T any](value *T, with *T) {
	if with != nil {
		*value = *with
	}
}

// checkTimeout refuses a timeout of zero: no timeout is had by not setting one.
func checkTimeout(job *ScheduledJob) error {
	if job.timeout != nil && *job.timeout == 0 {
		return badTimeout(0)
	}
	return nil
}

func badTimeout(timeout time.Duration) error {
	return fmt.Errorf("timeout %s; it must be positive, leave it out for none", timeout)
}

// checkPolicy refuses words that no policy has.
func checkPolicy(job *runner.ScheduledJob) error {
	policy, misfire := job.Policy, job.Misfire
	switch policy.Overlap {
	case domain.OverlapSkip, domain.OverlapQueueOne, domain.OverlapAllow, domain.OverlapCancelPrevious:
	default:
		return fmt.Errorf("unknown overlap policy %s", domain.Quote(string(policy.Overlap)))
	}
	switch policy.OnStart {
	case domain.StartNever, domain.StartEachReplica, domain.StartOncePerDeploy:
	default:
		return fmt.Errorf("unknown policy %s of runs on start", domain.Quote(string(policy.OnStart)))
	}
	switch policy.OnAbandon {
	case domain.AbandonRerun, domain.AbandonLost:
	default:
		return fmt.Errorf("unknown policy %s of abandoned runs", domain.Quote(string(policy.OnAbandon)))
	}
	if _, err := schedule.ParseMisfirePolicy(misfire.Policy.String()); err != nil {
		return err
	}
	if misfire.Policy == schedule.MisfireAll && policy.Overlap != domain.OverlapAllow {
		return fmt.Errorf("misfire %q runs all missed ticks at once, which overlap %q does not let it; set overlap %q",
			misfire.Policy.String(), policy.Overlap, domain.OverlapAllow)
	}
	if misfire.After < 0 || misfire.Grace < 0 {
		return fmt.Errorf("misfire after %s with a grace of %s: neither may be negative", misfire.After, misfire.Grace)
	}
	return nil
}
