package redisqueue_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// calling is a call that returns an error alone.
func calling(call func(context.Context, *clusterScene) error) func(context.Context, *clusterScene) (any, error) {
	return func(ctx context.Context, s *clusterScene) (any, error) { return done{}, call(ctx, s) }
}

func operationRows() map[string]clusterRow {
	return map[string]clusterRow{
		"Queue.AddLog": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.AddLog(ctx, "one", "line", 0)
		}, want: 1},
		"Queue.ClearLog": {prepare: logged, act: calling(func(ctx context.Context, s *clusterScene) error { return s.queue.ClearLog(ctx, "one", 0) }), want: done{}},
		"Queue.ChangeDelay": {prepare: later, act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.queue.ChangeDelay(ctx, "one", time.Minute)
		}), want: done{}},
		"Queue.ChangePriority": {prepare: one, act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.queue.ChangePriority(ctx, "one", redisqueue.PriorityChange{Priority: 3})
		}), want: done{}},
		"Queue.Pause":   {prepare: one, act: calling(func(ctx context.Context, s *clusterScene) error { return s.queue.Pause(ctx) }), want: done{}},
		"Queue.Resume":  {prepare: paused, act: calling(func(ctx context.Context, s *clusterScene) error { return s.queue.Resume(ctx) }), want: done{}},
		"Queue.Promote": {prepare: later, act: calling(func(ctx context.Context, s *clusterScene) error { return s.queue.Promote(ctx, "one") }), want: done{}},
		"Queue.Remove": {prepare: one, act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.queue.Remove(ctx, "one", redisqueue.RemoveOptions{})
		}), want: done{}},
		"Queue.RemovePriorityKey": {prepare: one, act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.queue.RemovePriorityKey(ctx)
		}), want: done{}},
		"Queue.Retry": {prepare: failed, act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.queue.Retry(ctx, "one", redisqueue.RetryOptions{})
		}), want: done{}},
		"Queue.UpdateData": {prepare: one, act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.queue.UpdateData(ctx, "one", []byte(`8`))
		}), want: done{}},
		"Queue.UpdateProgress": {prepare: one, act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.queue.UpdateProgress(ctx, "one", []byte(`8`))
		}), want: done{}},
	}
}

func bulkRows() map[string]clusterRow {
	return map[string]clusterRow{
		"Queue.Clean": {prepare: completed, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.Clean(ctx, redisqueue.CleanOptions{State: domain.StateCompleted})
		}, want: 1},
		"Queue.Drain": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.Drain(ctx, redisqueue.DrainOptions{})
		}, want: 1},
		"Queue.Obliterate": {prepare: paused, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.Obliterate(ctx, redisqueue.ObliterateOptions{})
		}, want: 1},
		"Queue.Operate": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.Operate(ctx, domain.Operation{Kind: domain.OpDrain}, nil)
		}, want: 1},
		"Queue.PromoteAll": {prepare: later, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.PromoteAll(ctx, redisqueue.Bulk{})
		}, want: 1},
		"Queue.RetryAll": {prepare: failed, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.RetryAll(ctx, redisqueue.RetryAllOptions{})
		}, want: 1},
		"Queue.RemoveOrphans": {prepare: func(s *clusterScene) {
			one(s)
			// A job that is in no list, as a removal half done leaves it.
			key := s.prefix + ":" + string(s.queue.Name()) + ":orphan"
			s.need(s.cluster.Client().HSet(s.Context(), key, "name", "n", "data", "{}", "opts", "{}", "timestamp", "1").Err())
		}, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.RemoveOrphans(ctx, redisqueue.Bulk{})
		}, want: 1},
	}
}

func familyRows() map[string]clusterRow {
	family := func(s *clusterScene) { s.family("") }
	ended := func(onFailure redisqueue.OnFailure, outcome domain.Outcome) func(*clusterScene) {
		return func(s *clusterScene) {
			s.family(onFailure)
			s.end(s.parts, outcome)
		}
	}
	busy := domain.Outcome{Kind: domain.Failed, Reason: "busy"}
	return map[string]clusterRow{
		"Queue.ChildrenValues": {
			prepare: ended("", domain.Outcome{Kind: domain.Completed, Result: []byte(`7`)}),
			act: func(ctx context.Context, s *clusterScene) (any, error) {
				values, err := s.queue.ChildrenValues(ctx, "one")
				return values[redisqueue.JobRef{Queue: s.parts.Name(), ID: "part"}], err
			}, want: json.RawMessage(`7`),
		},
		"Queue.IgnoredFailures": {prepare: ended(redisqueue.IgnoreFailure, busy), act: func(ctx context.Context, s *clusterScene) (any, error) {
			reasons, err := s.queue.IgnoredFailures(ctx, "one")
			return len(reasons), err
		}, want: 1},
		"Queue.FailedChildren": {prepare: ended(redisqueue.FailParent, busy), act: func(ctx context.Context, s *clusterScene) (any, error) {
			failed, err := s.queue.FailedChildren(ctx, "one")
			return len(failed), err
		}, want: 1},
		"Queue.Dependencies": {prepare: family, act: func(ctx context.Context, s *clusterScene) (any, error) {
			page, err := s.queue.Dependencies(ctx, "one", redisqueue.ChildQuery{Kind: redisqueue.ChildUnprocessed})
			return len(page.Children), err
		}, want: 1},
		"Queue.DependenciesCount": {prepare: family, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.DependenciesCount(ctx, "one")
		}, want: redisqueue.ChildCounts{Unprocessed: 1}},
		"Queue.RemoveChildLink": {prepare: family, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.parts.RemoveChildLink(ctx, "part")
		}, want: true},
		"Queue.RemoveUnprocessedChildren": {prepare: family, act: func(ctx context.Context, s *clusterScene) (any, error) {
			removed, err := s.queue.RemoveUnprocessedChildren(ctx, "one")
			return len(removed), err
		}, want: 1},
	}
}

func limitRows() map[string]clusterRow {
	return map[string]clusterRow{
		"Backend.Hold": {act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.backend.Hold(ctx, s.queue.Name(), time.Hour)
		}), want: done{}},
		"Backend.LimitConcurrency": {act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.backend.LimitConcurrency(ctx, s.queue.Name(), 3)
		}), want: done{}},
		"Backend.LimitRate": {act: calling(func(ctx context.Context, s *clusterScene) error {
			return s.backend.LimitRate(ctx, s.queue.Name(), domain.Rate{Max: 3, Per: time.Hour})
		}), want: done{}},
		"Backend.Limits": {prepare: maxed, act: func(ctx context.Context, s *clusterScene) (any, error) {
			limits, err := s.backend.Limits(ctx, s.queue.Name())
			return limits.Full(), err
		}, want: true},
		"Backend.SetLimit": {act: calling(func(_ context.Context, s *clusterScene) error {
			return s.backend.SetLimit(s.queue.Name(), domain.Rate{Max: 3, Per: time.Hour})
		}), want: done{}},
		"Queue.IsMaxed": {prepare: maxed, act: func(ctx context.Context, s *clusterScene) (any, error) { return s.queue.IsMaxed(ctx) }, want: true},
		"Queue.RateLimitTTL": {prepare: func(s *clusterScene) {
			s.need(s.backend.Hold(s.Context(), s.queue.Name(), time.Hour))
		}, act: func(ctx context.Context, s *clusterScene) (any, error) {
			left, err := s.queue.RateLimitTTL(ctx, 0)
			return left > 0, err
		}, want: true},
	}
}

// maxed limits the queue to the one job that is under way.
func maxed(s *clusterScene) {
	one(s)
	s.need(s.backend.LimitConcurrency(s.Context(), s.queue.Name(), 1))
	s.take(s.queue)
}
