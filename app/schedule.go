package app

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// Run is what the function of a scheduled job learns about its run.
type Run = runner.Run

// RunFunc is the function of a scheduled job. What it returns becomes the
// payload, as JSON, if the job has a queue target; otherwise it is dropped.
// The errors made by [Permanent], [RetryAfter] and [Skip] steer what follows.
type RunFunc func(ctx context.Context, run Run) (any, error)

// ScheduledJob is the definition of a scheduled job, made by [Schedule].
type ScheduledJob struct {
	name        string
	description string
	run         RunFunc
	feature     string

	crons     []string
	intervals []time.Duration
	zone      string
	phase     *time.Duration

	toQueue   bool
	queue     string
	jobName   string
	jobOpts   domain.JobOptions
	enabled   *bool
	retries   *int
	backoff   *domain.Backoff
	timeout   *time.Duration
	jitter    *time.Duration
	overlap   domain.OverlapPolicy
	scope     domain.OverlapScope
	onStart   domain.StartPolicy
	onAbandon domain.AbandonPolicy
	misfire   schedule.Misfire
	fast      bool
}

// JobOption sets one option of a scheduled job. What is not set takes the
// worker's defaults ([Settings]).
type JobOption func(*ScheduledJob)

// Schedule returns the definition of a scheduled job. Without [Cron] and
// [Every] the job is manual: it runs on start, if it says so, and when it is
// triggered. The name is unique in the worker; white space around it is cut.
func Schedule(name string, run RunFunc, options ...JobOption) ScheduledJob {
	job := ScheduledJob{name: name, run: run}
	for _, option := range options {
		option(&job)
	}
	return job
}

// Cron runs the job by a cron expression of five fields, or six with leading
// seconds, in the worker's zone unless [Zone] names another.
func Cron(expression string) JobOption {
	return func(j *ScheduledJob) { j.crons = append(j.crons, expression) }
}

// Every runs the job at a constant interval, from 100 ms to 366 days. The
// ticks lie on a grid that all replicas compute alike; they do not count from
// the worker's start.
func Every(interval time.Duration) JobOption {
	return func(j *ScheduledJob) { j.intervals = append(j.intervals, interval) }
}

// EveryFast is [Every] for intervals down to 1 ms.
func EveryFast(interval time.Duration) JobOption {
	return func(j *ScheduledJob) { j.intervals, j.fast = append(j.intervals, interval), true }
}

// Phase moves the grid of [Every]; without it the grid is moved by a hash of
// the job's name, so that jobs of equal interval do not all run at once.
func Phase(phase time.Duration) JobOption {
	return func(j *ScheduledJob) { j.phase = &phase }
}

// Zone is the IANA name of the zone that the cron expression is read in.
func Zone(name string) JobOption { return func(j *ScheduledJob) { j.zone = name } }

// Description is shown by listings.
func Description(text string) JobOption { return func(j *ScheduledJob) { j.description = text } }

// Enabled says whether the job runs at all.
func Enabled(enabled bool) JobOption {
	return func(j *ScheduledJob) { j.enabled = &enabled }
}

// Retries is how many attempts may follow a failed one, and Backoff how long
// each waits.
func Retries(count int) JobOption { return func(j *ScheduledJob) { j.retries = &count } }

// RetryDelay waits the same time before each retry.
func RetryDelay(delay time.Duration) JobOption {
	return Backoff(domain.Backoff{Kind: domain.BackoffFixed, Delay: delay})
}

// Backoff says how long to wait before each retry.
func Backoff(backoff domain.Backoff) JobOption {
	return func(j *ScheduledJob) { j.backoff = &backoff }
}

// Timeout ends the context of an attempt that runs longer.
func Timeout(timeout time.Duration) JobOption {
	return func(j *ScheduledJob) { j.timeout = &timeout }
}

// Jitter spreads each tick over up to most: the delay is a hash of the job
// and the tick, equal on all replicas.
func Jitter(most time.Duration) JobOption { return func(j *ScheduledJob) { j.jitter = &most } }

// Overlap says what a run does while another run of the job is under way.
func Overlap(policy domain.OverlapPolicy) JobOption {
	return func(j *ScheduledJob) { j.overlap = policy }
}

// UntilCompletion makes a run with a queue target count as under way until
// its queue job is done.
func UntilCompletion() JobOption {
	return func(j *ScheduledJob) { j.scope = domain.ScopeCompletion }
}

// OnStart also runs the job when a worker starts.
func OnStart(policy domain.StartPolicy) JobOption {
	return func(j *ScheduledJob) { j.onStart = policy }
}

// OnAbandon says what becomes of an inline run whose worker died under it.
func OnAbandon(policy domain.AbandonPolicy) JobOption {
	return func(j *ScheduledJob) { j.onAbandon = policy }
}

// Misfire says what becomes of ticks that were missed, for instance because
// no worker ran.
func Misfire(policy schedule.Misfire) JobOption {
	return func(j *ScheduledJob) { j.misfire = policy }
}

// ToQueue puts the function's result on a queue instead of dropping it; an
// empty name is the worker's default queue.
func ToQueue(queue string) JobOption {
	return func(j *ScheduledJob) { j.toQueue, j.queue = true, queue }
}

// QueueJobName is the name of the queue job; by default that of the
// scheduled job. It implies [ToQueue].
func QueueJobName(name string) JobOption {
	return func(j *ScheduledJob) { j.toQueue, j.jobName = true, name }
}

// QueueJobOptions are the options of the queue job. It implies [ToQueue].
func QueueJobOptions(options domain.JobOptions) JobOption {
	return func(j *ScheduledJob) { j.toQueue, j.jobOpts = true, options }
}
