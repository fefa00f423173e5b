package app

import (
	"time"

	"github.com/taktwork/takt/core/runner"
)

// The values of JobInfo.ScheduleType and JobInfo.ExecutionTarget.
const (
	scheduleCron     = "cron"
	scheduleInterval = "interval"
	scheduleManual   = "manual"
	targetInline     = "inline"
	targetQueue      = "queue"
)

// JobInfo describes a scheduled job, in the form of the reference's
// listJobs() with what Takt knows beside it.
type JobInfo struct {
	ID string `json:"id"`
	// ProviderName is the feature, MethodName the function.
	ProviderName string `json:"providerName"`
	MethodName   string `json:"methodName"`
	Description  string `json:"description,omitempty"`
	Enabled      bool   `json:"enabled"`
	RunOnStart   bool   `json:"runOnStart"`
	// ScheduleType is cron, interval or manual; ExecutionTarget inline or queue.
	ScheduleType    string `json:"scheduleType"`
	ExecutionTarget string `json:"executionTarget"`
	Cron            string `json:"cron,omitempty"`
	IntervalMS      *int64 `json:"intervalMs,omitempty"`
	QueueName       string `json:"queueName,omitempty"`
	QueueJobName    string `json:"queueJobName,omitempty"`
	// Running tells whether a run is under way on this replica; nil when
	// there is no running worker to ask.
	Running *bool `json:"running"`

	Timezone string `json:"timezone,omitempty"`
	// PhaseMS is by how much the grid of an interval is moved.
	PhaseMS  *int64     `json:"phaseMs,omitempty"`
	Paused   bool       `json:"paused,omitempty"`
	NextTick *time.Time `json:"nextTick"`
	// LastTick is the planned instant of the latest run, unless something
	// else than the schedule made it.
	LastTick *time.Time `json:"lastTick"`
	// LastOutcome is what became of the latest run, LastReason why.
	LastOutcome string     `json:"lastOutcome,omitempty"`
	LastReason  string     `json:"lastReason,omitempty"`
	LastAt      *time.Time `json:"lastAt,omitempty"`
}

// listJobs returns all jobs with their live state. Without one, next ticks
// are computed from now. Those of withheld features are disabled.
func (r *registry) listJobs(live map[string]runner.JobStatus, withheld map[string]bool, now time.Time) []JobInfo {
	all := make([]JobInfo, 0, len(r.jobs))
	for i := range r.jobs {
		job := &r.jobs[i]
		info := job.info
		info.Enabled = info.Enabled && !r.settings.SchedulerDisabled && !withheld[info.ProviderName]
		if status, ok := live[job.Name]; ok {
			describeLive(&info, status)
		} else if info.Enabled && job.Schedule != nil {
			info.NextTick = timeOrNil(job.Schedule.Next(now))
		}
		all = append(all, info)
	}
	return all
}

func describeLive(info *JobInfo, status runner.JobStatus) {
	running := status.Running > 0
	info.Running, info.Paused = &running, status.Paused
	if info.Enabled {
		info.NextTick = timeOrNil(status.Next)
	}
	info.LastOutcome, info.LastReason = string(status.Last.Event), status.Last.Reason
	info.LastAt = timeOrNil(status.Last.At)
	info.LastTick = timeOrNil(status.LastTick)
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
