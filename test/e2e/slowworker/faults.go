package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

// faultRecords names the file that the feature adds a line to for each run and
// each job; without one the worker does not have the feature.
const faultRecords = "FAULT_RECORDS"

// faultJobs is how many scheduled jobs tick each second, beside the one that
// goes to the queue.
const faultJobs = 5

// faultWork is how long each run and each job takes, so that faults meet some.
const faultWork = 100 * time.Millisecond

// faultModule is a feature with ticks of every second, inline and into a queue,
// for workers whose database is ill.
func faultModule(path string) app.Option {
	// A file that may not grow is an error of a write, and not the end of the process.
	signal.Ignore(syscall.SIGXFSZ)
	note := func(ctx context.Context, run app.Run) (any, error) {
		return noteLater(ctx, path, run.Key.Job, run.Key.Planned().Format(time.RFC3339))
	}
	payload := func(_ context.Context, run app.Run) (any, error) {
		return "tick-" + run.Key.Planned().Format(time.RFC3339), nil
	}
	handle := func(ctx context.Context, job app.Job[string]) (any, error) {
		return noteLater(ctx, path, job.Name, job.Data)
	}
	everySecond := []app.JobOption{app.Cron("* * * * * *"), app.Overlap(domain.OverlapAllow)}
	var jobs []app.ScheduledJob
	for n := range faultJobs {
		jobs = append(jobs, app.Schedule(fmt.Sprint("faults.tick-", n), note, everySecond...))
	}
	jobs = append(jobs, app.Schedule("faults.queued", payload, append(everySecond, app.ToQueue("faults"), app.QueueJobName("faults.job"))...))
	return app.Feature("faults", func() app.Contribution {
		return app.Contribution{Queues: []string{"faults"}, Jobs: jobs, Handlers: []app.Handler{app.Handle("faults", "faults.job", handle)}}
	})
}

// noteLater adds the line after the time that the work takes.
func noteLater(ctx context.Context, path, job, subject string) (any, error) {
	select {
	case <-time.After(faultWork):
		return addLine(path, job, subject)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
