// Package app assembles a Takt worker and is what features are written
// against.
//
// A feature is a value made by [Feature]: a name and a constructor that is
// given what it asks for and returns a [Contribution] of scheduled jobs,
// queue handlers and queues:
//
//	var Module = app.Feature("reports", func(r *Reports) app.Contribution {
//		return app.Contribution{
//			Queues:   []string{"reports"},
//			Jobs:     []app.ScheduledJob{app.Schedule("reports.nightly", r.Plan, app.Cron("0 3 * * *"), app.ToQueue("reports"))},
//			Handlers: []app.Handler{app.Handle("reports", "reports.nightly", r.Render)},
//		}
//	}, app.Provide(NewReports))
//
// A feature that opens something asks for a [Lifecycle] and appends a [Hook];
// one that enqueues or triggers asks for a *[SchedulerService].
//
// [New] checks all features at once and builds the worker; [App.Start] and
// [App.Stop] run it. The package's subpackages hold the configuration
// (config), the command line (cli), the control socket (control), the
// built-in feature (lifecycle) and a kit for tests (takttest).
package app
