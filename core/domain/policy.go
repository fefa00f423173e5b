package domain

import (
	"time"
)

// OverlapPolicy says what a run does while another run of its job is under way.
type OverlapPolicy string

const (
	// OverlapSkip skips the new run.
	OverlapSkip OverlapPolicy = "skip"
	// OverlapQueueOne lets one run wait and skips the others.
	OverlapQueueOne OverlapPolicy = "queue-one"
	// OverlapAllow runs both.
	OverlapAllow OverlapPolicy = "allow"
	// OverlapCancelPrevious cancels the run under way and starts when it has
	// ended; for inline jobs only.
	OverlapCancelPrevious OverlapPolicy = "cancel-previous"
)

// OverlapScope says how long a run is under way.
type OverlapScope string

const (
	// ScopeTrigger ends when the run is done or its job is on the queue.
	ScopeTrigger OverlapScope = "trigger"
	// ScopeCompletion ends when the queued job is done, on whatever worker.
	ScopeCompletion OverlapScope = "completion"
)

// StartPolicy says whether a job also runs when a worker starts.
type StartPolicy string

const (
	// StartNever leaves starting to the schedule.
	StartNever StartPolicy = ""
	// StartEachReplica runs once for every worker that starts.
	StartEachReplica StartPolicy = "each-replica"
	// StartOncePerDeploy runs once for each deploy id in the fleet.
	StartOncePerDeploy StartPolicy = "once-per-deploy"
)

// AbandonPolicy says what becomes of an inline run whose worker died after
// its handler had started.
type AbandonPolicy string

const (
	// AbandonRerun runs it again; the crash is counted.
	AbandonRerun AbandonPolicy = "rerun"
	// AbandonLost records it as lost.
	AbandonLost AbandonPolicy = "lost"
)

// Retries says how often and when an attempt is repeated. The zero value
// never repeats.
type Retries struct {
	// Count is how many attempts may follow the first.
	Count   int
	Backoff Backoff
}

// MaxRetries bounds Retries.Count.
const MaxRetries = 1000

// Validate reports what is wrong with the retries, or nil.
func (r Retries) Validate() error {
	if r.Count < 0 || r.Count > MaxRetries {
		return Invalidf("retries %d is out of range; at least 0, at most %d", r.Count, MaxRetries)
	}
	return r.Backoff.Validate()
}

// MaxCrashes is how many crashes of its workers a run or job survives; one
// more puts it into quarantine.
const MaxCrashes = 2

// Target is the queue that a scheduled job's result goes to. The zero value
// is an inline job.
type Target struct {
	Queue   QueueName
	JobName string
	Options JobOptions
}

// Inline reports whether the job does its work itself.
func (t *Target) Inline() bool { return t.Queue == "" }

// RunPolicy is how the runs of a scheduled job are driven.
type RunPolicy struct {
	Retries Retries
	// Timeout ends an attempt; zero sets no limit.
	Timeout time.Duration
	Overlap OverlapPolicy
	Scope   OverlapScope
	// MaxJitter is the largest delay that a tick is spread over.
	MaxJitter time.Duration
	OnStart   StartPolicy
	OnAbandon AbandonPolicy
}

// Validate reports what is wrong with the policy for a job with the target,
// or nil.
func (p *RunPolicy) Validate(target *Target) error {
	if err := p.Retries.Validate(); err != nil {
		return err
	}
	switch {
	case p.Timeout < 0:
		return Invalidf("timeout %s is negative", p.Timeout)
	case p.MaxJitter < 0 || p.MaxJitter > MaxDelay:
		return Invalidf("jitter %s is out of range; at least 0s, at most %s", p.MaxJitter, MaxDelay)
	case p.Overlap == OverlapCancelPrevious && !target.Inline():
		return Invalidf("overlap %q is for inline jobs; a job that goes to a queue can skip, queue one or allow", p.Overlap)
	case p.Scope == ScopeCompletion && target.Inline():
		return Invalidf("overlap scope %q needs a queue", p.Scope)
	case p.Scope == ScopeCompletion && p.Overlap != OverlapSkip:
		return Invalidf("overlap scope %q goes with overlap %q only", p.Scope, OverlapSkip)
	}
	return nil
}
