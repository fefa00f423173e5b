package differential_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// getterTwins are for what is read, in the form in which driver/getters.js
// answers.
func getterTwins() map[string]twin {
	return map[string]twin{
		"get counts":     {call: (*call).counts},
		"get priorities": {call: (*call).priorities},
		"get jobs":       {call: (*call).jobs, alike: (*world).showsParents},
		"get job":        {call: (*call).job, alike: (*world).showsParents},
		"get log":        {call: (*call).readLog},
		"get children":   {call: (*call).children},
		"get flow":       {call: (*call).flow},
		"get schedulers": {call: (*call).schedulers},
		"get metrics":    {call: (*call).metrics},
		"get limits":     {call: (*call).limits},
		"get owner":      {call: (*call).owner},
		"get prometheus": {call: (*call).prometheus},
	}
}

func (c *call) counts(ctx context.Context) (any, error) {
	counts, err := c.queue.Counts(ctx)
	return map[string]int{
		"waiting": counts.Wait, "paused": counts.Paused, "prioritized": counts.Prioritized, "delayed": counts.Delayed,
		"active": counts.Active, "waiting-children": counts.WaitingChildren, "completed": counts.Completed, "failed": counts.Failed,
		"ahead": counts.Ahead(), "some": counts.Of(domain.StateWait, domain.StateFailed),
	}, err
}

func (c *call) priorities(ctx context.Context) (any, error) {
	return c.queue.CountsByPriority(ctx, argument[[]int](c.step, 0)...)
}

// stateNames are the names that Node's getters have for the states.
func stateNames() map[domain.State]string {
	return map[domain.State]string{
		"": "unknown", domain.StateWait: "waiting", domain.StateActive: "active", domain.StateDelayed: "delayed",
		domain.StatePrioritized: "prioritized", domain.StateWaitingChildren: "waiting-children",
		domain.StateCompleted: "completed", domain.StateFailed: "failed",
	}
}

// shown is what is compared of a job.
type shown struct {
	ID        domain.JobID    `json:"id"`
	Name      string          `json:"name"`
	Data      json.RawMessage `json:"data"`
	Result    json.RawMessage `json:"result"`
	Progress  json.RawMessage `json:"progress"`
	Reason    string          `json:"reason"`
	Worker    string          `json:"worker"`
	Parent    string          `json:"parent"`
	Scheduler string          `json:"scheduler"`
	Dedup     string          `json:"dedup"`
	Made      int             `json:"made"`
	Started   int             `json:"started"`
	Crashes   int             `json:"crashes"`
	Priority  int             `json:"priority"`
	Stacks    int             `json:"stacks"`
	Created   int64           `json:"created"`
	Processed int64           `json:"processed"`
	Finished  int64           `json:"finished"`
	Delay     int64           `json:"delay"`
}

func shownOf(view *redisqueue.JobView) shown {
	s := shown{
		ID: view.Job.ID, Name: view.Job.Name, Data: view.Job.Data, Progress: json.RawMessage("0"),
		Reason: view.Reason, Worker: view.Worker, Parent: view.ParentKey, Scheduler: view.Scheduler, Dedup: view.Deduplication,
		Made: view.Job.AttemptsMade, Started: view.Job.AttemptsStarted, Crashes: view.Job.Crashes,
		Priority: view.Job.Options.Priority, Stacks: len(view.Stacks), Created: millisOf(view.Job.CreatedAt),
		Processed: millisOf(view.StartedAt), Finished: millisOf(view.FinishedAt),
	}
	if view.State == domain.StateCompleted {
		s.Result = view.Result
	}
	if view.Progress != nil {
		s.Progress = view.Progress
	}
	if view.Scheduler == "" {
		s.Delay = view.Delay.Milliseconds()
	}
	return s
}

func millisOf(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// jobs lists a page of the jobs of one state.
func (c *call) jobs(ctx context.Context) (any, error) {
	start, end := argument[int](c.step, 1), argument[int](c.step, 2)
	query := redisqueue.JobQuery{Offset: start, Limit: end - start + 1, Backward: !argument[bool](c.step, 3)}
	for state, name := range stateNames() {
		if name == argument[string](c.step, 0) {
			query.States = []domain.State{state}
		}
	}
	views, err := c.queue.Jobs(ctx, query)
	list := []shown{}
	for i := range views {
		if !views[i].Job.CreatedAt.IsZero() {
			list = append(list, shownOf(&views[i]))
		}
	}
	return list, err
}

func (c *call) job(ctx context.Context) (any, error) {
	view, err := c.queue.Job(ctx, c.id())
	if errors.Is(err, ports.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ended, err := c.queue.Ended(ctx, c.id())
	return struct {
		shown

		State     string `json:"state"`
		Completed bool   `json:"completed"`
		Failed    bool   `json:"failed"`
	}{shownOf(&view), stateNames()[view.State], ended.Finished && !ended.Failed, ended.Failed}, err
}

func (c *call) readLog(ctx context.Context) (any, error) {
	page := redisqueue.LogPage{Offset: argument[int](c.step, 0), Newest: !argument[bool](c.step, 2)}
	if end := argument[int](c.step, 1); end >= 0 {
		page.Limit = end - page.Offset + 1
	}
	log, err := c.queue.Log(ctx, c.id(), page)
	return map[string]any{"logs": append([]string{}, log.Lines...), "count": log.Count}, err
}

// children answers what the job knows of its children, nothing if it is gone.
func (c *call) children(ctx context.Context) (any, error) {
	if _, err := c.queue.State(ctx, c.id()); errors.Is(err, ports.ErrNotFound) {
		return nil, nil
	}
	counts, err := c.queue.DependenciesCount(ctx, c.id())
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"counts": map[string]int{
		"processed": counts.Processed, "unprocessed": counts.Unprocessed, "ignored": counts.Ignored, "failed": counts.Failed,
	}}
	values, err := c.queue.ChildrenValues(ctx, c.id())
	if err != nil {
		return nil, err
	}
	reasons, err := c.queue.IgnoredFailures(ctx, c.id())
	if err != nil {
		return nil, err
	}
	answer["values"], answer["reasons"] = byKey(values), byKey(reasons)
	for _, kind := range []redisqueue.ChildKind{redisqueue.ChildProcessed, redisqueue.ChildUnprocessed, redisqueue.ChildIgnored, redisqueue.ChildFailed} {
		page, err := c.queue.Dependencies(ctx, c.id(), redisqueue.ChildQuery{Kind: kind})
		if err != nil {
			return nil, err
		}
		keys := []string{}
		for i := range page.Children {
			keys = append(keys, "bull:"+page.Children[i].String())
		}
		slices.Sort(keys)
		answer[string(kind)] = keys
	}
	return answer, nil
}

func byKey[V any](children map[redisqueue.JobRef]V) map[string]V {
	keys := map[string]V{}
	for ref, value := range children {
		keys["bull:"+ref.String()] = value
	}
	return keys
}

// flow answers the names of the jobs of a flow.
func (c *call) flow(ctx context.Context) (any, error) {
	tree, err := c.backend.Flow(ctx, redisqueue.JobRef{Queue: c.name(), ID: c.id()}, redisqueue.FlowLimits{})
	if err != nil && !errors.Is(err, ports.ErrNotFound) {
		return nil, err
	}
	names := []string{}
	var gather func(*redisqueue.FlowTree)
	gather = func(node *redisqueue.FlowTree) {
		if node.Job != nil {
			names = append(names, string(node.Queue)+" "+string(node.ID))
		}
		for i := range node.Children {
			gather(&node.Children[i])
		}
	}
	gather(&tree)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// shownScheduler is what is compared of a job scheduler.
type shownScheduler struct {
	Key        string          `json:"key"`
	Name       string          `json:"name"`
	Next       int64           `json:"next"`
	Iterations int64           `json:"iterations"`
	Every      int64           `json:"every"`
	Pattern    string          `json:"pattern"`
	Zone       string          `json:"tz"`
	Limit      int             `json:"limit"`
	End        int64           `json:"end"`
	Data       json.RawMessage `json:"data"`
}

func (c *call) schedulers(ctx context.Context) (any, error) {
	count, err := c.queue.CountSchedulers(ctx)
	if err != nil {
		return nil, err
	}
	states, err := c.queue.Schedulers(ctx, redisqueue.SchedulerRange{Ascending: true})
	list := []shownScheduler{}
	for i := range states {
		s := &states[i]
		list = append(list, shownScheduler{
			Key: s.ID, Name: s.Template.Name, Next: millisOf(s.Next), Iterations: s.Iterations, Every: s.Every.Milliseconds(),
			Pattern: s.Pattern, Zone: s.Zone, Limit: s.Limit, End: millisOf(s.EndDate), Data: s.Template.Data,
		})
	}
	slices.SortFunc(list, func(a, b shownScheduler) int { return strings.Compare(a.Key, b.Key) })
	return map[string]any{"count": count, "list": list}, err
}

func (c *call) metrics(ctx context.Context) (any, error) {
	start, limit := argument[int](c.step, 1), 0
	if end := argument[int](c.step, 2); end >= 0 {
		limit = end - start + 1
	}
	m, err := c.queue.Metrics(ctx, domain.State(argument[string](c.step, 0)), start, limit)
	return map[string]any{
		"count": m.Count, "prevTS": millisOf(m.Latest), "prevCount": m.LatestCount, "data": append([]int{}, m.Points...), "kept": m.Kept,
	}, err
}

func (c *call) limits(ctx context.Context) (any, error) {
	limits, err := c.backend.Limits(ctx, c.name())
	if err != nil {
		return nil, err
	}
	left, err := c.queue.RateLimitTTL(ctx, 0)
	if err != nil {
		return nil, err
	}
	leftOfThree, err := c.queue.RateLimitTTL(ctx, 3)
	if err != nil {
		return nil, err
	}
	full, err := c.queue.IsMaxed(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := c.queue.IsPaused(ctx)
	hours := func(d time.Duration) int { return int(math.Round(d.Hours())) }
	return map[string]any{
		"concurrency": limits.Concurrency, "max": limits.Rate.Max, "duration": limits.Rate.Per.Milliseconds(),
		"full": full, "paused": paused, "left": hours(left), "leftOfThree": hours(leftOfThree),
	}, err
}

func (c *call) owner(ctx context.Context) (any, error) {
	owner, err := c.queue.DeduplicationOwner(ctx, argument[string](c.step, 0))
	if errors.Is(err, ports.ErrNotFound) {
		return nil, nil
	}
	return owner, err
}

func (c *call) prometheus(ctx context.Context) (any, error) {
	var text strings.Builder
	err := c.queue.WritePrometheus(ctx, &text, nil)
	return strings.Split(strings.TrimSpace(text.String()), "\n"), err
}
