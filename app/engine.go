package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/adapters/cron"
	"github.com/taktwork/takt/core/runner"
)

// engine is the assembled worker.
type engine struct {
	settings Settings
	registry *registry
	stores   *stores
	runner   *runner.Runner
	log      *slog.Logger
	// begun tells that the worker has begun to start, driven that its hooks are
	// done and the runner follows.
	begun, driven atomic.Bool
	// readyAt is when the worker was ready, in nanoseconds since the Unix
	// epoch; zero before.
	readyAt atomic.Int64
	// withheld are the features whose conditions are not met; nil before a
	// start.
	withheld  atomic.Pointer[map[string]bool]
	strangers strangers
}

// newEngine joins the features, the stores and the waker into a runner.
func newEngine(s Settings, reg *registry, open *stores, log *slog.Logger) (*engine, error) {
	var jobs []runner.ScheduledJob
	if !s.SchedulerDisabled {
		jobs = reg.scheduledJobs()
	}
	var queues []runner.Queue
	if s.Queueing() {
		queues = reg.workedQueues()
	}
	keeps := s.historyKept()
	r, err := runner.New(runner.Config{
		Namespace: s.Namespace, Replica: s.Replica, DeployID: s.DeployID,
		Unknown: s.Unknown, MaxPayload: s.MaxPayload, Timing: s.Timing,
		HistoryCount: keeps.count, HistoryAge: keeps.age,
	}, runner.Ports{
		Ledger: open.ledger, Dispatcher: open.dispatcher, Waker: cron.New(log),
		OpenConsumer: open.consumers, Runs: open.runs,
		Log: log, Now: time.Now, Dice: s.Dice,
	}, jobs, queues)
	if err != nil {
		return nil, err
	}
	return &engine{settings: s, registry: reg, stores: open, runner: r, log: log}, nil
}

func (e *engine) listJobs() []JobInfo {
	var live map[string]runner.JobStatus
	if e.readyAt.Load() != 0 {
		live = e.runner.Jobs()
	}
	var withheld map[string]bool
	if features := e.withheld.Load(); features != nil {
		withheld = *features
	}
	return e.registry.listJobs(live, withheld, e.settings.Now())
}

// uptime is the time since the worker was ready.
func (e *engine) uptime() time.Duration {
	ready := e.readyAt.Load()
	if ready == 0 {
		return 0
	}
	return time.Since(time.Unix(0, ready))
}

// stopping reports whether the stop has begun, or is over.
func (e *engine) stopping() bool {
	state := e.runner.Health().State
	return state == runner.StateDraining || state == runner.StateStopped
}

// start starts the runner and says in the log what runs.
func (e *engine) start(ctx context.Context) error {
	began := time.Now()
	for _, warning := range e.registry.warnings {
		e.log.WarnContext(ctx, "registration", "warning", warning)
	}
	if err := e.withhold(ctx); err != nil {
		return err
	}
	e.warnOfNeighbours(ctx)
	e.announceJobs(ctx)
	e.driven.Store(true)
	if err := e.runner.Start(ctx); err != nil {
		return err
	}
	ready := time.Now()
	e.readyAt.Store(ready.UnixNano())
	e.announceReady(ctx, ready.Sub(began))
	return nil
}

// announceJobs is what a worker says of its jobs before the first one runs.
func (e *engine) announceJobs(ctx context.Context) {
	if e.settings.SilentRegistration {
		return
	}
	for _, job := range e.listJobs() {
		e.log.InfoContext(ctx, "scheduled job registered", describeJob(&job)...)
	}
}

// announceReady is what a worker says when it ticks and works its queues.
func (e *engine) announceReady(ctx context.Context, took time.Duration) {
	health := e.runner.Health()
	attrs := []any{
		"replica", e.settings.Replica, "namespace", e.settings.Namespace,
		"backend", string(e.settings.Backend), "ledger", string(e.stores.ledgerKind(e.settings)), "ledger_scope", string(health.Scope),
		"timezone", e.settings.Timezone, "jobs", len(e.registry.jobs), "queues", len(health.Queues),
		"duration_ms", float64(took.Microseconds()) / 1000,
	}
	if e.stores.databases.own.Load() != nil {
		attrs = append(attrs, "storage", e.settings.Storage.String())
	}
	if e.settings.usesRedis() {
		attrs = append(attrs, "redis", e.settings.Redis.String())
	}
	e.log.InfoContext(ctx, "worker ready", attrs...)
}

func describeJob(job *JobInfo) []any {
	attrs := []any{"job", job.ID, "schedule", job.schedule(), "target", job.target(), "enabled", job.Enabled}
	if job.NextTick != nil {
		attrs = append(attrs, "next_tick", *job.NextTick)
	}
	return attrs
}

// schedule returns the schedule in words.
func (i *JobInfo) schedule() string {
	switch i.ScheduleType {
	case scheduleCron:
		return i.Cron + " " + i.Timezone
	case scheduleInterval:
		return "every " + (time.Duration(*i.IntervalMS) * time.Millisecond).String()
	}
	return i.ScheduleType
}

func (i *JobInfo) target() string {
	if i.QueueName == "" {
		return i.ExecutionTarget
	}
	return "queue " + i.QueueName + ", job " + i.QueueJobName
}
