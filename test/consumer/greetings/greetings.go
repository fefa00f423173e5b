// Package greetings is a feature of the example worker: every morning it plans
// a greeting on a queue of its own, whose handler renders it.
package greetings

import (
	"context"
	"errors"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

// Greeting is the payload of a greeting job.
type Greeting struct {
	Name string `json:"name"`
}

// Card is what a greeting job leaves behind.
type Card struct {
	Text string `json:"text"`
}

var errPrinter = errors.New("the printer is warming up")

// Module is the feature.
func Module() app.Option {
	return app.Feature("greetings", func() app.Contribution {
		return app.Contribution{
			Queues: []string{"greetings"},
			Jobs: []app.ScheduledJob{
				app.Schedule("greetings.morning", plan, app.Cron("0 8 * * *"), app.Zone("Europe/Paris"),
					app.OnStart(domain.StartEachReplica), app.ToQueue("greetings"), app.QueueJobName("greet"),
					app.QueueJobOptions(domain.JobOptions{Attempts: 3, Backoff: domain.Backoff{Kind: domain.BackoffExponential, Delay: 50 * time.Millisecond}})),
			},
			Handlers: []app.Handler{app.Handle("greetings", "greet", greet)},
		}
	})
}

func plan(context.Context, app.Run) (any, error) { return Greeting{Name: "world"}, nil }

func greet(_ context.Context, job app.Job[Greeting]) (any, error) {
	if job.AttemptsMade == 0 {
		return nil, errPrinter // The first attempt always fails: the printer is cold.
	}
	return Card{Text: "Hello, " + job.Data.Name + "!"}, nil
}
