package app

import (
	"errors"
	"fmt"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// Jobs made by ticks are kept by these numbers unless they say otherwise.
const (
	keepCompleted = 1000
	keepFailed    = 5000
)

// target makes the job's target, and checks the policy against it. Without
// queueing the job runs inline.
func (r *registry) target(job *ScheduledJob, done *runner.ScheduledJob, info *JobInfo) []error {
	if !job.toQueue {
		return []error{done.Policy.Validate(&done.Target)}
	}
	if job.queue == "" {
		job.queue = r.settings.DefaultQueue
	}
	if job.jobName == "" {
		job.jobName = job.name
	}
	target := domain.Target{Queue: domain.QueueName(job.queue), JobName: job.jobName, Options: withRetention(job.jobOpts)}
	wrong := []error{done.Policy.Validate(&target)}
	if err := checkTarget(&target); err != nil {
		wrong = append(wrong, err)
	}
	if !r.known[job.queue] {
		wrong = append(wrong, errors.New(r.undeclared(job.queue)))
	}
	if !r.settings.Queueing() {
		return append(wrong, r.runInline(job, done))
	}
	done.Target = target
	info.ExecutionTarget, info.QueueName, info.QueueJobName = targetQueue, job.queue, job.jobName
	return wrong
}

func checkTarget(target *domain.Target) error {
	if target.Options.ID != "" {
		return fmt.Errorf("its queue job has the constant id %s: every run after the first would be taken for a duplicate; leave the id out", domain.Quote(string(target.Options.ID)))
	}
	if err := domain.ValidateJobName(target.JobName); err != nil {
		return err
	}
	if err := target.Options.Validate(); err != nil {
		return fmt.Errorf("queue job options: %w", err)
	}
	return nil
}

func (r *registry) runInline(job *ScheduledJob, done *runner.ScheduledJob) error {
	if r.settings.StrictQueues && !done.Disabled {
		return fmt.Errorf("goes to queue %s, but queueing is off", domain.Quote(job.queue))
	}
	done.Policy.Scope = domain.ScopeTrigger
	r.warn(done, "goes to queue %s, but queueing is off: it runs inline and its result is discarded", domain.Quote(job.queue))
	return nil
}

func withRetention(options domain.JobOptions) domain.JobOptions {
	if !options.KeepCompleted.Limited {
		options.KeepCompleted = domain.KeepLast(keepCompleted)
	}
	if !options.KeepFailed.Limited {
		options.KeepFailed = domain.KeepLast(keepFailed)
	}
	return options
}
