// Command streamworker is Takt's own worker with one more handler, whose jobs take a while: a rollout has to wait for them.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"
	_ "time/tzdata" // as in Takt's own

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/lifecycle"
)

func main() {
	os.Exit(cli.Main(cli.Build{Version: "stream"}, lifecycle.Module(), app.Feature("stream", stream)))
}

// work is how long a job takes.
type work struct {
	MS int `json:"ms"`
}

func stream(log *slog.Logger) app.Contribution {
	return app.Contribution{
		Queues: []string{"stream"},
		Handlers: []app.Handler{app.Handle("stream", "stream.work", func(ctx context.Context, job app.Job[work]) (any, error) {
			select {
			case <-time.After(time.Duration(job.Data.MS) * time.Millisecond):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			log.InfoContext(ctx, "stream job done", "job_id", string(job.ID), "attempt", job.AttemptsStarted)
			return nil, nil
		})},
	}
}
