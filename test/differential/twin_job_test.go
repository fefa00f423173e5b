package differential_test

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// jobTwins are for what moves one job.
func jobTwins() map[string]twin {
	return map[string]twin{
		"job promote":        {call: (*call).promote},
		"job retry":          {call: (*call).retry, alike: (*world).retriesAlike},
		"job remove":         {call: (*call).remove, releases: true},
		"job changeDelay":    {call: (*call).changeDelay},
		"job changePriority": {call: (*call).changePriority},
		"job removeChildDependency": {call: func(c *call, ctx context.Context) (any, error) {
			return c.queue.RemoveChildLink(ctx, c.id())
		}, alike: (*world).unlinksAlike},
		"job removeUnprocessedChildren": {
			call: func(c *call, ctx context.Context) (any, error) {
				return unanswered(c.queue.RemoveUnprocessedChildren(ctx, c.id()))
			},
			releases: true,
		},
		"job removeDeduplicationKey": {call: func(c *call, ctx context.Context) (any, error) {
			return c.queue.FreeDeduplicationOf(ctx, c.id())
		}},
	}
}

func (c *call) promote(ctx context.Context) (any, error) {
	if c.Apply {
		return c.apply(ctx, domain.OpPromote)
	}
	return nothing(c.queue.Promote(ctx, c.id()))
}

var errPassedOver = errors.New("passed over")

// apply does it to the jobs of a list, where what cannot be done is passed over.
func (c *call) apply(ctx context.Context, kind domain.OperationKind) (any, error) {
	changed, err := c.backend.Apply(ctx, c.name(), domain.Operation{Kind: kind, IDs: []domain.JobID{c.id()}})
	if err == nil && len(changed) == 0 {
		err = errPassedOver
	}
	return nil, err
}

func (c *call) retry(ctx context.Context) (any, error) {
	if c.Apply {
		return c.apply(ctx, domain.OpRetry)
	}
	reset := argument[struct{ ResetAttemptsMade, ResetAttemptsStarted bool }](c.step, 1)
	return nothing(c.queue.Retry(ctx, c.id(), redisqueue.RetryOptions{
		From: domain.State(argument[string](c.step, 0)), ResetAttempts: reset.ResetAttemptsMade, ResetStarted: reset.ResetAttemptsStarted,
	}))
}

func (c *call) remove(ctx context.Context) (any, error) {
	if c.Apply {
		return c.apply(ctx, domain.OpRemove)
	}
	options := argument[struct{ RemoveChildren *bool }](c.step, 0)
	keep := options.RemoveChildren != nil && !*options.RemoveChildren
	return nothing(c.queue.Remove(ctx, c.id(), redisqueue.RemoveOptions{KeepChildren: keep}))
}

func (c *call) changeDelay(ctx context.Context) (any, error) {
	return nothing(c.queue.ChangeDelay(ctx, c.id(), millis(argument[int64](c.step, 0))))
}

func (c *call) changePriority(ctx context.Context) (any, error) {
	change := argument[struct {
		Priority int
		LIFO     bool
	}](c.step, 0)
	return nothing(c.queue.ChangePriority(ctx, c.id(), redisqueue.PriorityChange(change)))
}

// byQueueTwins are for what a queue does to one of its jobs.
func byQueueTwins() map[string]twin {
	return map[string]twin{
		"queue remove": {call: (*call).removeOf, releases: true},
		"queue updateJobProgress": {call: func(c *call, ctx context.Context) (any, error) {
			return nothing(c.queue.UpdateProgress(ctx, argument[domain.JobID](c.step, 0), raw(c.step, 1)))
		}},
		"queue addJobLog": {call: func(c *call, ctx context.Context) (any, error) {
			return c.queue.AddLog(ctx, argument[domain.JobID](c.step, 0), argument[string](c.step, 1), argument[int](c.step, 2))
		}},
	}
}

// removeOf answers as Node's queue does: nothing is wrong with a job that is
// not there.
func (c *call) removeOf(ctx context.Context) (any, error) {
	onJob := *c.step
	onJob.ID, onJob.Args = argument[string](c.step, 0), c.Args[1:]
	_, err := (&call{step: &onJob, backend: c.backend, queue: c.queue}).remove(ctx)
	switch {
	case errors.Is(err, redisqueue.ErrLocked):
		return 0, nil
	case err == nil || errors.Is(err, ports.ErrNotFound):
		return 1, nil
	}
	return nil, err
}

// writeTwins are for what is written to a job where it is.
func writeTwins() map[string]twin {
	return map[string]twin{
		"job updateData": {call: func(c *call, ctx context.Context) (any, error) {
			return nothing(c.queue.UpdateData(ctx, c.id(), raw(c.step, 0)))
		}},
		"job updateProgress": {call: func(c *call, ctx context.Context) (any, error) {
			return nothing(c.queue.UpdateProgress(ctx, c.id(), raw(c.step, 0)))
		}},
		"job log": {call: (*call).log},
		"job clearLogs": {call: func(c *call, ctx context.Context) (any, error) {
			return nothing(c.queue.ClearLog(ctx, c.id(), argument[int](c.step, 0)))
		}},
	}
}

// log adds a line, as Node's Job does it: its option says how many are kept.
func (c *call) log(ctx context.Context) (any, error) {
	job, err := c.queue.Job(ctx, c.id())
	if err != nil {
		return nil, err
	}
	var options struct {
		Keep int `json:"kl"`
	}
	if err := json.Unmarshal(job.Options, &options); err != nil {
		return nil, err
	}
	return c.queue.AddLog(ctx, c.id(), argument[string](c.step, 0), options.Keep)
}

// scheduledTwins are for what is done to the job that a scheduler waits for.
func scheduledTwins() map[string]twin {
	return map[string]twin{
		"scheduled promote":        {call: pending((*call).promote)},
		"scheduled remove":         {call: pending((*call).remove)},
		"scheduled changePriority": {call: pending((*call).changePriority)},
	}
}

// pending does it to the job that the step's scheduler waits for.
func pending(do func(*call, context.Context) (any, error)) func(*call, context.Context) (any, error) {
	return func(c *call, ctx context.Context) (any, error) {
		scheduler, err := c.queue.Scheduler(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		// Node's side reads the job before it does something to it.
		if _, err := c.queue.State(ctx, scheduler.Pending); err != nil {
			return nil, err
		}
		onJob := *c.step
		onJob.ID = string(scheduler.Pending)
		return do(&call{step: &onJob, backend: c.backend, queue: c.queue}, ctx)
	}
}
