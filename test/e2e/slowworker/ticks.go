package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

// tickRecords names the file that the feature adds a line to for each run;
// without one the worker does not have the feature.
const tickRecords = "TICK_RECORDS"

// tickModule is a feature of scheduled jobs that leave a record of their own:
// what ran when, whatever the worker itself says.
func tickModule(path string) app.Option {
	note := func(_ context.Context, run app.Run) (any, error) {
		return addLine(path, run.Key.Job, run.Key.Planned().Format(time.RFC3339))
	}
	return app.Feature("ticks", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("ticks.second", note, app.Cron("* * * * * *"), app.Overlap(domain.OverlapAllow)),
			app.Schedule("ticks.minute", note, app.Cron("* * * * *")),
			app.Schedule("ticks.deploy", note, app.OnStart(domain.StartOncePerDeploy)),
		}}
	})
}

// addLine notes that the job did its work, and returns on what.
func addLine(path, job, subject string) (any, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // a file of the test
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // one write
	_, err = fmt.Fprintln(file, job, subject, "worker-"+os.Getenv("WORKER_INSTANCE"), time.Now().UTC().Format(time.RFC3339Nano))
	return subject, err
}
