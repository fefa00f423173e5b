package app_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Order is a payload.
type Order struct {
	Number int `json:"number"`
}

// A scheduled job with a queue target makes the payload; a typed handler, on
// this worker or another, does the work.
func ExampleToQueue() {
	done := make(chan struct{})
	plan := func(context.Context, app.Run) (any, error) { return Order{Number: 7}, nil }
	pack := func(_ context.Context, job app.Job[Order]) (any, error) {
		defer close(done)
		fmt.Println("pack order", job.Data.Number)
		return "packed", nil
	}
	worker := start(app.Feature("shop", func() app.Contribution {
		return app.Contribution{
			Queues:   []string{"orders"},
			Jobs:     []app.ScheduledJob{app.Schedule("shop.nightly", plan, app.Cron("0 3 * * *"), app.ToQueue("orders"), app.QueueJobName("pack"))},
			Handlers: []app.Handler{app.Handle("orders", "pack", pack)},
		}
	}))
	report := trigger(worker, "shop.nightly")
	<-done
	worker.Stop(context.Background())
	fmt.Println(report.Event)
	// Output:
	// pack order 7
	// fired
}

// handled is a feature of one handler on the default queue.
func handled(fn func(context.Context, app.Job[Order]) (any, error), options ...app.HandlerOption) app.Option {
	return app.Feature("example", func() app.Contribution {
		return app.Contribution{Handlers: []app.Handler{app.Handle("", "pack", fn, options...)}}
	})
}

// A queue job is tried as often as its options say.
func ExampleHandle() {
	done := make(chan struct{})
	worker := start(handled(func(_ context.Context, job app.Job[Order]) (any, error) {
		fmt.Println("order", job.Data.Number, "attempt", job.AttemptsMade+1)
		if job.AttemptsLeft() > 0 {
			return nil, errors.New("out of boxes")
		}
		close(done)
		return nil, nil
	}, app.AttemptTimeout(time.Minute)))
	_, err := worker.Service().Enqueue(context.Background(), "", "pack", Order{Number: 7},
		domain.JobOptions{Attempts: 3, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Millisecond}})
	if err != nil {
		fmt.Println(err)
	}
	<-done
	worker.Stop(context.Background())
	// Output:
	// order 7 attempt 1
	// order 7 attempt 2
	// order 7 attempt 3
}

// Snooze puts a job off without charging an attempt.
func ExampleSnooze() {
	done := make(chan struct{})
	worker := start(handled(func(_ context.Context, job app.Job[Order]) (any, error) {
		fmt.Println("started", job.AttemptsStarted, "charged", job.AttemptsMade)
		if job.AttemptsStarted == 1 {
			return nil, app.Snooze(time.Millisecond)
		}
		close(done)
		return nil, nil
	}))
	if _, err := worker.Service().Enqueue(context.Background(), "", "pack", Order{Number: 7}); err != nil {
		fmt.Println(err)
	}
	<-done
	worker.Stop(context.Background())
	// Output:
	// started 1 charged 0
	// started 2 charged 0
}

// A handler that works long says how far it is, and saves what its next
// attempt needs not do again.
func ExampleProgress() {
	written, seen := make(chan struct{}), make(chan struct{})
	worker := start(handled(func(ctx context.Context, job app.Job[Order]) (any, error) {
		err := errors.Join(
			app.Progress(ctx, 50),
			app.LogLine(ctx, "half of the boxes are packed"),
			app.UpdateData(ctx, Order{Number: job.Data.Number + 1}),
		)
		close(written)
		<-seen
		return nil, err
	}))
	ctx := context.Background()
	if _, err := worker.Service().Enqueue(ctx, "", "pack", Order{Number: 7}); err != nil {
		fmt.Println(err)
	}
	<-written
	queues, _ := worker.Service().Queues()
	jobs, _ := queues.Jobs(ctx, "default", domain.JobFilter{State: domain.StateActive})
	for _, job := range jobs {
		fmt.Printf("%s%% %q %s\n", job.Progress, job.Log, job.Job.Data)
	}
	close(seen)
	worker.Stop(ctx)
	// Output: 50% ["half of the boxes are packed"] {"number":8}
}

// Middleware surrounds handlers: that of the worker lies outside that of a
// single handler.
func ExampleUse() {
	say := func(what string) app.Middleware {
		return func(next ports.Handler) ports.Handler {
			return app.MiddlewareFunc(func(ctx context.Context, job *domain.Job) ([]byte, error) {
				fmt.Println("before", job.Name, what)
				result, err := next.Handle(ctx, job)
				fmt.Println("after", job.Name, what)
				return result, err
			})
		}
	}
	done := make(chan struct{})
	last := func(next ports.Handler) ports.Handler {
		return app.MiddlewareFunc(func(ctx context.Context, job *domain.Job) ([]byte, error) {
			defer close(done)
			return next.Handle(ctx, job)
		})
	}
	worker := start(app.Use(last, say("of all")), handled(func(context.Context, app.Job[Order]) (any, error) {
		fmt.Println("pack")
		return nil, nil
	}, app.Wrap(say("alone"))))
	if _, err := worker.Service().Enqueue(context.Background(), "", "pack", Order{}); err != nil {
		fmt.Println(err)
	}
	<-done
	worker.Stop(context.Background())
	// Output:
	// before pack of all
	// before pack alone
	// pack
	// after pack alone
	// after pack of all
}

// Priorities, delays and deduplication are options of each job.
func ExampleSchedulerService_Enqueue() {
	worker := start()
	defer worker.Stop(context.Background())
	ctx, service := context.Background(), worker.Service()
	for _, options := range []domain.JobOptions{
		{ID: "late", Priority: 10},
		{ID: "soon", Priority: 1},
		{ID: "later", Delay: time.Hour},
		{ID: "once", Deduplication: domain.Deduplication{Key: "order-7"}},
		{ID: "twice", Deduplication: domain.Deduplication{Key: "order-7"}},
		{ID: "soon"},
	} {
		result, err := service.Enqueue(ctx, "", "pack", Order{Number: 7}, options)
		fmt.Println(options.ID, "-", result.Status, "as", result.ID, err)
	}
	queues, _ := service.Queues()
	for _, state := range []domain.State{domain.StateWait, domain.StatePrioritized, domain.StateDelayed} {
		jobs, _ := queues.Jobs(ctx, "default", domain.JobFilter{State: state})
		for _, job := range jobs {
			fmt.Println(state, job.Job.ID)
		}
	}
	_, err := service.Enqueue(ctx, "ordres", "pack", nil)
	fmt.Println(err)
	// Output:
	// late - accepted as late <nil>
	// soon - accepted as soon <nil>
	// later - accepted as later <nil>
	// once - accepted as once <nil>
	// twice - deduplicated as once <nil>
	// soon - duplicate id as soon <nil>
	// wait once
	// prioritized soon
	// prioritized late
	// delayed later
	// enqueue: unknown queue: queue "ordres" is declared by no feature; declared are: default
}

// The listing tells what is registered and how it does.
func ExampleSchedulerService_ListJobs() {
	worker := start(oneJob(doNothing, app.Description("Does nothing."), app.Every(time.Hour), app.ToQueue("")))
	defer worker.Stop(context.Background())
	trigger(worker, "job")
	for _, job := range worker.Service().ListJobs() {
		fmt.Println(job.ID, job.ScheduleType, job.ExecutionTarget, job.QueueName, job.LastOutcome, *job.Running)
	}
	// Output: job interval queue default fired false
}

// Without queues a job that goes to one runs inline; its result is dropped.
func ExampleSettings_backendNone() {
	worker := startWith(app.Settings{Backend: config.BackendNone}, oneJob(doNothing, app.ToQueue("")))
	defer worker.Stop(context.Background())
	fmt.Println(trigger(worker, "job").Event)
	_, err := worker.Service().Enqueue(context.Background(), "", "pack", nil)
	fmt.Println(err)
	// Output:
	// completed
	// enqueue: queueing is off
}

// A paused job does not tick until it is resumed; triggers still run it.
func ExampleSchedulerService_PauseJob() {
	worker := start(oneJob(doNothing, app.Every(time.Hour)))
	defer worker.Stop(context.Background())
	ctx := context.Background()
	fmt.Println(worker.Service().PauseJob(ctx, "job"))
	fmt.Println(trigger(worker, "job").Event)
	fmt.Println(worker.Service().ResumeJob(ctx, "job"))
	fmt.Println(worker.Service().ResumeJob(ctx, "jub"))
	// Output:
	// <nil>
	// completed
	// <nil>
	// unknown scheduled job "jub"
}

// The history holds every decision about runs and jobs.
func ExampleSchedulerService_Runs() {
	worker := start(oneJob(func(context.Context, app.Run) (any, error) { return nil, app.Skip("no new orders") }))
	trigger(worker, "job")
	worker.Stop(context.Background()) // The last records are written by the stop.
	records, err := worker.Service().Runs(context.Background(), domain.RunFilter{
		Job: "job", Origins: []domain.Origin{domain.OriginManual},
	})
	for _, record := range records {
		fmt.Printf("%s %q\n", record.Event, record.Reason)
	}
	fmt.Println(err)
	// Output:
	// skipped "skipped: no new orders"
	// started ""
	// claimed ""
	// <nil>
}
