package app_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/taktwork/takt/app"
)

// start starts a worker for an example; a program does the same with its own
// settings and logger, or leaves all of it to package cli.
func start(options ...app.Option) *app.App {
	return startWith(app.Settings{}, options...)
}

func startWith(settings app.Settings, options ...app.Option) *app.App {
	worker, err := app.New(settings, slog.New(slog.DiscardHandler), options...)
	if err != nil {
		panic(err)
	}
	if err := worker.Start(context.Background()); err != nil {
		panic(err)
	}
	return worker
}

// trigger runs a job and returns what became of it.
func trigger(worker *app.App, job string) app.RunReport {
	report, err := worker.Service().TriggerNow(context.Background(), job)
	if err != nil {
		panic(err)
	}
	return report
}

// The first job: a function, a name, a schedule.
func Example() {
	hello := func(context.Context, app.Run) (any, error) {
		fmt.Println("hello")
		return nil, nil
	}
	feature := app.Feature("greetings", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("greetings.hourly", hello, app.Cron("0 * * * *")),
		}}
	})

	worker := start(feature)
	defer worker.Stop(context.Background())

	report := trigger(worker, "greetings.hourly")
	fmt.Println(report.Event)
	// Output:
	// hello
	// completed
}

// A feature is given what it asks for: here the log and a value of its own.
func ExampleFeature() {
	type Reports struct{ title string }
	feature := app.Feature("reports", func(r *Reports, _ *slog.Logger) app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("reports.render", func(context.Context, app.Run) (any, error) {
				fmt.Println("render", r.title)
				return nil, nil
			}),
		}}
	}, app.Provide(func() *Reports { return &Reports{title: "sales"} }))

	worker := start(feature)
	defer worker.Stop(context.Background())
	trigger(worker, "reports.render")
	// Output: render sales
}

// What a feature opens it closes by a hook: after the last job has ended.
func ExampleHook() {
	type Store struct{}
	open := func(l app.Lifecycle) *Store {
		l.Append(app.Hook{
			OnStart: func(context.Context) error { fmt.Println("connect"); return nil },
			OnStop:  func(context.Context) error { fmt.Println("disconnect"); return nil },
		})
		return &Store{}
	}
	worker := start(app.Feature("storage", func(*Store) app.Contribution { return app.Contribution{} }, app.Provide(open)))
	fmt.Println("work")
	worker.Stop(context.Background())
	// Output:
	// connect
	// work
	// disconnect
}

// All mistakes are reported at once.
func ExampleNew() {
	nothing := func(context.Context, app.Run) (any, error) { return nil, nil }
	_, err := app.New(app.Settings{}, slog.New(slog.DiscardHandler),
		app.Feature("reports", func() app.Contribution {
			return app.Contribution{Jobs: []app.ScheduledJob{
				app.Schedule("reports.nightly", nothing, app.Cron("0 25 * * *")),
				app.Schedule("reports.weekly", nothing, app.ToQueue("reprots")),
			}}
		}))
	fmt.Println(err)
	// Output:
	// registration: feature reports: scheduled job "reports.nightly": cron "0 25 * * *": hour at column 3: 25 is out of range; use 0-23
	// registration: feature reports: scheduled job "reports.weekly": queue "reprots" is declared by no feature; declared are: default
}
