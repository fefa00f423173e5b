// Package lifecycle is the built-in feature: a worker that starts puts a
// startup job on the default queue, and every 30 seconds one replica of the
// fleet puts a heartbeat there. Names, schedules and payloads are those of
// the reference. The package is written as any user would write a feature,
// and may serve as an example.
package lifecycle

import (
	"context"
	"log/slog"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

// Names of the feature's scheduled jobs and queue jobs.
const (
	StartupJob      = "worker.startup.scheduler"
	HeartbeatJob    = "worker.heartbeat.scheduler"
	StartupEvent    = "worker.startup"
	HeartbeatEvent  = "worker.heartbeat"
	timestampLayout = "2006-01-02T15:04:05.000Z"
)

// Module is the feature. It needs a *[config.Config].
func Module() app.Option {
	return app.Feature("worker.lifecycle", register, app.Provide(newLifecycle))
}

// Payload is what startup and heartbeat jobs carry.
type Payload struct {
	// Timestamp is when the job was made: ISO 8601 in UTC with milliseconds.
	Timestamp string `json:"timestamp"`
}

// Result is what the handlers leave behind.
type Result struct {
	// Replica is the worker that handled the job.
	Replica string `json:"replica"`
}

type lifecycle struct {
	log     *slog.Logger
	replica string
	now     func() time.Time
}

func newLifecycle(log *slog.Logger, settings app.Settings) *lifecycle {
	return &lifecycle{log: log, replica: settings.Replica, now: settings.Now}
}

func register(l *lifecycle, settings app.Settings, configured *config.Config) app.Contribution {
	queueing := settings.Queueing()
	return app.Contribution{
		Jobs: []app.ScheduledJob{
			app.Schedule(StartupJob, l.announceStartup, app.Description("Announces that a worker has started."),
				app.Enabled(queueing), app.OnStart(domain.StartEachReplica), app.Overlap(domain.OverlapSkip),
				app.QueueJobName(StartupEvent)),
			app.Schedule(HeartbeatJob, l.heartbeat, app.Description("Tells that the worker is alive."),
				app.Enabled(queueing && configured.Scheduler.HeartbeatEnabled), app.Cron(configured.Scheduler.HeartbeatCron),
				app.Overlap(domain.OverlapAllow), app.QueueJobName(HeartbeatEvent)),
		},
		Handlers: []app.Handler{
			app.Handle("", StartupEvent, l.startup),
			app.Handle("", HeartbeatEvent, l.heartbeatProcessed),
		},
	}
}

func (l *lifecycle) announceStartup(ctx context.Context, _ app.Run) (any, error) {
	l.log.InfoContext(ctx, "Queueing worker startup job.")
	return l.newPayload(), nil
}

func (l *lifecycle) heartbeat(ctx context.Context, _ app.Run) (any, error) {
	l.log.InfoContext(ctx, "Queueing worker heartbeat job...")
	return l.newPayload(), nil
}

func (l *lifecycle) newPayload() Payload {
	return Payload{Timestamp: l.now().UTC().Format(timestampLayout)}
}

func (l *lifecycle) startup(ctx context.Context, job app.Job[Payload]) (any, error) {
	return l.processed(ctx, "Worker startup event processed at "+job.Data.Timestamp)
}

func (l *lifecycle) heartbeatProcessed(ctx context.Context, job app.Job[Payload]) (any, error) {
	return l.processed(ctx, "Worker heartbeat processed at "+job.Data.Timestamp)
}

func (l *lifecycle) processed(ctx context.Context, message string) (any, error) {
	l.log.InfoContext(ctx, message, "replica", l.replica) //nolint:sloglint // the reference's message holds the time
	return Result{Replica: l.replica}, nil
}
