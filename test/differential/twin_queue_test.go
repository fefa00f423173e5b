package differential_test

import (
	"context"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// queueTwins are for what is done to a queue.
func queueTwins() map[string]twin {
	return map[string]twin{
		"queue pause": {
			call:  func(c *call, ctx context.Context) (any, error) { return nothing(c.queue.Pause(ctx)) },
			alike: (*world).pausesAlike,
		},
		"queue resume": {
			call:  func(c *call, ctx context.Context) (any, error) { return nothing(c.queue.Resume(ctx)) },
			alike: (*world).resumesAlike,
		},
		"queue trimEvents": {call: func(c *call, ctx context.Context) (any, error) {
			return c.queue.TrimEvents(ctx, argument[int](c.step, 0))
		}},
		"queue removeDeduplicationKey": {call: (*call).freeKey},
		"queue removeDebounceKey":      {call: (*call).freeKey},
		"queue removeDeprecatedPriorityKey": {call: func(c *call, ctx context.Context) (any, error) {
			return nothing(c.queue.RemovePriorityKey(ctx))
		}},
	}
}

func (c *call) freeKey(ctx context.Context) (any, error) {
	freed, err := c.queue.FreeDeduplication(ctx, argument[string](c.step, 0))
	return count(freed), err
}

// eventTwins are for producers of events.
func eventTwins() map[string]twin {
	return map[string]twin{"events publishEvent": {call: func(c *call, ctx context.Context) (any, error) {
		fields := argument[map[string]string](c.step, 0)
		name := fields["eventName"]
		delete(fields, "eventName")
		return unanswered(c.queue.PublishEvent(ctx, name, fields))
	}}}
}

// count is a yes or no as Node answers it now and then.
func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// bulkTwins are for what is done to many jobs of a queue.
func bulkTwins() map[string]twin {
	return map[string]twin{
		"queue drain": {
			call: func(c *call, ctx context.Context) (any, error) {
				return unanswered(c.queue.Drain(ctx, redisqueue.DrainOptions{Delayed: argument[bool](c.step, 0)}))
			},
			alike: (*world).releasesAlike,
		},
		"queue clean":      {call: (*call).clean, alike: (*world).cleansAlike, unordered: true},
		"queue obliterate": {call: (*call).obliterate, alike: (*world).obliteratesAlike},
		"queue retryJobs":  {call: (*call).retryAll, alike: (*world).retriesAllAlike},
		"queue promoteJobs": {
			call: func(c *call, ctx context.Context) (any, error) {
				return unanswered(c.queue.PromoteAll(ctx, redisqueue.Bulk{}))
			},
			alike: (*world).promotesAllAlike, even: (*world).forgetDelays,
		},
		"queue removeOrphanedJobs": {call: func(c *call, ctx context.Context) (any, error) {
			return c.queue.RemoveOrphans(ctx, redisqueue.Bulk{})
		}},
	}
}

func (c *call) clean(ctx context.Context) (any, error) {
	ids := []domain.JobID{}
	_, err := c.queue.Clean(ctx, redisqueue.CleanOptions{
		State: domain.State(argument[string](c.step, 2)), OlderThan: millis(argument[int64](c.step, 0)),
		Bulk: redisqueue.Bulk{
			Limit: argument[int](c.step, 1), Each: func(some []domain.JobID) { ids = append(ids, some...) },
		},
	})
	return ids, err
}

func (c *call) obliterate(ctx context.Context) (any, error) {
	if err := c.queue.Pause(ctx); err != nil {
		return nil, err
	}
	options := argument[struct{ Force bool }](c.step, 0)
	return unanswered(c.queue.Obliterate(ctx, redisqueue.ObliterateOptions{Force: options.Force}))
}

func (c *call) retryAll(ctx context.Context) (any, error) {
	options := argument[struct {
		State     string
		Timestamp *moment
	}](c.step, 0)
	return unanswered(c.queue.RetryAll(ctx, redisqueue.RetryAllOptions{
		From: domain.State(options.State), Until: options.Timestamp.time(),
	}))
}

// limitTwins are for what changes limits, which ours does behind a port.
func limitTwins() map[string]twin {
	concurrency := func(c *call, ctx context.Context) (any, error) {
		return nothing(c.backend.LimitConcurrency(ctx, c.name(), argument[int](c.step, 0)))
	}
	rate := func(c *call, ctx context.Context) (any, error) {
		limit := domain.Rate{Max: argument[int](c.step, 0), Per: millis(argument[int64](c.step, 1))}
		return nothing(c.backend.LimitRate(ctx, c.name(), limit))
	}
	hold := func(c *call, ctx context.Context) (any, error) {
		return nothing(c.backend.Hold(ctx, c.name(), millis(argument[int64](c.step, 0))))
	}
	// Without arguments they are taken away.
	return map[string]twin{
		"queue setGlobalConcurrency": {call: concurrency}, "queue removeGlobalConcurrency": {call: concurrency},
		"queue setGlobalRateLimit": {call: rate}, "queue removeGlobalRateLimit": {call: rate},
		"queue rateLimit": {call: hold}, "queue removeRateLimitKey": {call: hold},
	}
}
