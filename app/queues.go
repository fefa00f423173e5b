package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// QueueDesk answers what operators ask about queues.
type QueueDesk struct {
	Inspector ports.Inspector
	Limiter   ports.Limiter
}

// QueueState is how a queue does.
type QueueState struct {
	Queue  string `json:"queue"`
	Paused bool   `json:"paused"`
	// Jobs has the number of jobs in each state, zeros included.
	Jobs map[string]int `json:"jobs"`
	// OldestWaiting is when the oldest job that could be worked now was
	// enqueued; nil if none waits.
	OldestWaiting *time.Time      `json:"oldestWaiting"`
	Limits        QueueLimitState `json:"limits"`
}

// QueueLimitState are the limits of a queue; zero sets none.
type QueueLimitState struct {
	Concurrency int   `json:"concurrency"`
	RateMax     int   `json:"rateMax"`
	RatePerMS   int64 `json:"ratePerMs"`
	HeldForMS   int64 `json:"heldForMs"`
}

// JobStates are the states that jobs are counted in and listed by.
func JobStates() []domain.State {
	return []domain.State{
		domain.StateWait, domain.StatePrioritized, domain.StateDelayed, domain.StateParked,
		domain.StateActive, domain.StateWaitingChildren, domain.StateCompleted, domain.StateFailed,
	}
}

// States returns how the queues do, in their order. A queue that nobody has
// used is empty. Errors are [domain.ErrInvalid] and [ports.ErrUnavailable].
func (d QueueDesk) States(ctx context.Context, queues ...domain.QueueName) ([]QueueState, error) {
	for _, queue := range queues {
		if err := queue.Validate(); err != nil {
			return nil, err
		}
	}
	counts, err := d.Inspector.Counts(ctx, queues...)
	if err != nil {
		return nil, err
	}
	states := make([]QueueState, len(counts))
	for i, count := range counts {
		limits, err := d.Limiter.Limits(ctx, count.Queue)
		if err != nil {
			return nil, err
		}
		states[i] = QueueState{
			Queue: string(count.Queue), Paused: count.Paused, Jobs: map[string]int{}, OldestWaiting: moment(count.OldestWaiting),
			Limits: QueueLimitState{
				Concurrency: limits.Concurrency, RateMax: limits.Rate.Max, RatePerMS: limits.Rate.Per.Milliseconds(),
				HeldForMS: limits.HeldFor.Milliseconds(),
			},
		}
		for _, state := range JobStates() {
			states[i].Jobs[string(state)] = count.Jobs[state]
		}
	}
	return states, nil
}

// QueueJob is a job of a queue, as a listing shows it.
type QueueJob struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	State      string     `json:"state"`
	CreatedAt  *time.Time `json:"createdAt"`
	DueAt      *time.Time `json:"dueAt,omitempty"`
	StartedAt  *time.Time `json:"startedAt,omitempty"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// AttemptsMade counts the attempts that failed, Attempts is how many the
	// job has in all.
	AttemptsMade int `json:"attemptsMade"`
	Attempts     int `json:"attempts"`
	Crashes      int `json:"crashes,omitempty"`
	Priority     int `json:"priority,omitempty"`
	// Reason is why the job failed.
	Reason string `json:"reason,omitempty"`
	// Detail is there if one job was asked for.
	Detail *QueueJobDetail `json:"detail,omitempty"`
}

// QueueJobDetail is what else there is of a job.
type QueueJobDetail struct {
	// Data, Progress and Result are JSON; what is none, as others may have
	// written, is given as a string.
	Data     json.RawMessage `json:"data"`
	Progress json.RawMessage `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Backoff  string          `json:"backoff,omitempty"`
	// BackoffMS is the delay of the backoff.
	BackoffMS     int64    `json:"backoffMs,omitempty"`
	DelayMS       int64    `json:"delayMs,omitempty"`
	LIFO          bool     `json:"lifo,omitempty"`
	Deduplication string   `json:"deduplication,omitempty"`
	Stack         string   `json:"stack,omitempty"`
	Log           []string `json:"log"`
}

// DescribeJob returns the job as listings show it.
func DescribeJob(view *domain.JobView) QueueJob {
	job := &view.Job
	return QueueJob{
		ID: string(job.ID), Name: job.Name, State: string(view.State), CreatedAt: moment(job.CreatedAt), DueAt: moment(view.DueAt),
		StartedAt: moment(view.StartedAt), FinishedAt: moment(view.FinishedAt), AttemptsMade: job.AttemptsMade,
		Attempts: max(job.Options.Attempts, 1), Crashes: job.Crashes, Priority: job.Options.Priority, Reason: view.Reason,
	}
}

// DescribeJobWhole returns the job with its data and all else that there is.
func DescribeJobWhole(view *domain.JobView) QueueJob {
	whole, options := DescribeJob(view), &view.Job.Options
	whole.Detail = &QueueJobDetail{
		Data: RawJSON(view.Job.Data), Progress: RawJSON(view.Progress), Result: RawJSON(view.Result),
		Backoff: string(options.Backoff.Kind), BackoffMS: options.Backoff.Delay.Milliseconds(), DelayMS: options.Delay.Milliseconds(),
		LIFO: options.LIFO, Deduplication: options.Deduplication.Key, Stack: view.Stack, Log: append([]string{}, view.Log...),
	}
	return whole
}

// Jobs returns a page of the jobs of one state, without their data. Errors are
// [domain.ErrInvalid] and [ports.ErrUnavailable].
func (d QueueDesk) Jobs(ctx context.Context, queue domain.QueueName, filter domain.JobFilter) ([]QueueJob, error) {
	views, err := d.Inspector.Jobs(ctx, queue, filter)
	if err != nil {
		return nil, err
	}
	jobs := make([]QueueJob, len(views))
	for i := range views {
		jobs[i] = DescribeJob(&views[i])
	}
	return jobs, nil
}

// Job returns the job with all that there is of it. The error is
// [ports.ErrNotFound] if there is none.
func (d QueueDesk) Job(ctx context.Context, queue domain.QueueName, id domain.JobID) (QueueJob, error) {
	views, err := d.Inspector.Jobs(ctx, queue, domain.JobFilter{ID: id})
	if err != nil {
		return QueueJob{}, err
	}
	if len(views) == 0 {
		return QueueJob{}, fmt.Errorf("job %s of queue %s: %w", domain.Quote(string(id)), queue, ports.ErrNotFound)
	}
	return DescribeJobWhole(&views[0]), nil
}

func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

// RawJSON returns the text if it is JSON, and as a JSON string otherwise.
func RawJSON(text []byte) json.RawMessage {
	if len(text) == 0 || json.Valid(text) {
		return text
	}
	quoted, _ := json.Marshal(string(text)) // a string can always be written
	return quoted
}

// Queues returns the names of the queues that the worker knows, sorted: those
// that features declare or have handlers for, and the default queue.
func (a *App) Queues() []domain.QueueName {
	names := make([]domain.QueueName, len(a.engine.registry.queues))
	for i, name := range a.engine.registry.queues {
		names[i] = domain.QueueName(name)
	}
	return names
}
