package app_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// oneJob is a feature of one scheduled job.
func oneJob(run app.RunFunc, options ...app.JobOption) app.Option {
	return app.Feature("example", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{app.Schedule("job", run, options...)}}
	})
}

func doNothing(context.Context, app.Run) (any, error) { return nil, nil }

// printTicks prints the next ticks of a worker's only job.
func printTicks(worker *app.App, from time.Time, count int) {
	planned, err := worker.PlannedJobs("job")
	if err != nil {
		panic(err)
	}
	for tick := range planned[0].Ticks(from) {
		fmt.Println(tick.At.Format("Mon 2006-01-02 15:04:05 MST"))
		if count--; count == 0 {
			return
		}
	}
}

// A cron expression is read in the zone's civil time. On 29 March the clocks
// of Berlin skip the hour from two to three.
func ExampleCron() {
	worker := start(oneJob(doNothing, app.Cron("30 2 * * *"), app.Zone("Europe/Berlin")))
	defer worker.Stop(context.Background())
	printTicks(worker, time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC), 3)
	// Output:
	// Sat 2026-03-28 02:30:00 CET
	// Sun 2026-03-29 03:30:00 CEST
	// Mon 2026-03-30 02:30:00 CEST
}

// The ticks of an interval lie on a grid that is the same on every replica.
func ExampleEvery() {
	worker := start(oneJob(doNothing, app.Every(90*time.Minute), app.Phase(5*time.Minute)))
	defer worker.Stop(context.Background())
	printTicks(worker, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 3)
	// Output:
	// Thu 2026-01-01 00:05:00 UTC
	// Thu 2026-01-01 01:35:00 UTC
	// Thu 2026-01-01 03:05:00 UTC
}

// A job without a schedule is manual: it runs when it is triggered.
func ExampleSchedulerService_TriggerNow() {
	worker := start(oneJob(func(_ context.Context, run app.Run) (any, error) {
		fmt.Println(run.Key.Origin, "run, attempt", run.Attempt)
		return nil, nil
	}))
	defer worker.Stop(context.Background())
	report, err := worker.Service().TriggerNow(context.Background(), "job")
	fmt.Println(report.Event, err)
	_, err = worker.Service().TriggerNow(context.Background(), "jub")
	fmt.Println(err)
	// Output:
	// manual run, attempt 1
	// completed <nil>
	// unknown scheduled job "jub"; known are: job
}

// A failed attempt is repeated as often as the job says, after a backoff.
func ExampleRetries() {
	worker := start(oneJob(func(_ context.Context, run app.Run) (any, error) {
		fmt.Println("attempt", run.Attempt)
		if run.Attempt < 3 {
			return nil, errors.New("not yet")
		}
		return nil, nil
	}, app.Retries(5), app.Backoff(domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Millisecond, Jitter: 0.5})))
	defer worker.Stop(context.Background())
	report := trigger(worker, "job")
	fmt.Println(report.Event, "after", report.Attempts, "attempts")
	// Output:
	// attempt 1
	// attempt 2
	// attempt 3
	// completed after 3 attempts
}

// A timeout ends the context of an attempt. The next attempt, if there is one,
// begins only when the handler has returned.
func ExampleTimeout() {
	worker := start(oneJob(func(ctx context.Context, _ app.Run) (any, error) {
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
		return nil, ctx.Err()
	}, app.Timeout(time.Millisecond)))
	defer worker.Stop(context.Background())
	report := trigger(worker, "job")
	fmt.Println(report.Event, report.Reason)
	// Output:
	// attempt timed out
	// failed attempt timed out
}

// While a run is under way another one is skipped, unless the job says
// otherwise.
func ExampleOverlap() {
	for _, policy := range []domain.OverlapPolicy{domain.OverlapSkip, domain.OverlapAllow} {
		var worker *app.App
		var runs atomic.Int32
		worker = start(oneJob(func(ctx context.Context, _ app.Run) (any, error) {
			if runs.Add(1) == 1 {
				second, err := worker.Service().TriggerNow(ctx, "job")
				fmt.Println(policy, "-", second.Event, second.Reason)
				return nil, err
			}
			return nil, nil
		}, app.Overlap(policy)))
		trigger(worker, "job")
		worker.Stop(context.Background())
	}
	// Output:
	// skip - skipped overlap
	// allow - completed
}

// Jitter spreads the ticks of a job; a tick's delay is the same on every
// replica and however often it is computed.
func ExampleJitter() {
	worker := start(oneJob(doNothing, app.Cron("0 3 * * *"), app.Jitter(10*time.Minute)))
	defer worker.Stop(context.Background())
	for day := 1; day <= 3; day++ {
		tick := time.Date(2026, 1, day, 3, 0, 0, 0, time.UTC)
		fmt.Println(tick.Add(domain.Jitter("default", "job", tick, 10*time.Minute)).Format("2006-01-02 15:04:05.000"))
	}
	// Output:
	// 2026-01-01 03:00:05.719
	// 2026-01-02 03:05:23.825
	// 2026-01-03 03:03:41.173
}

// A job may also run when a worker starts.
func ExampleOnStart() {
	ran := make(chan app.Run)
	worker := start(oneJob(func(_ context.Context, run app.Run) (any, error) {
		ran <- run
		return nil, nil
	}, app.OnStart(domain.StartEachReplica)))
	defer worker.Stop(context.Background())
	fmt.Println((<-ran).Key.Origin)
	// Output: start
}

// Ticks that were missed, here because the clock jumped ahead, are decided by
// the misfire policy: once, the default, runs the latest of them.
func ExampleMisfire() {
	var clock atomic.Pointer[time.Time]
	set := func(hour, minute int) {
		now := time.Date(2026, 1, 1, hour, minute, 0, 0, time.UTC)
		clock.Store(&now)
	}
	set(0, 1)
	ran := make(chan app.Run, 1)
	settings := app.Settings{Now: func() time.Time { return *clock.Load() }}
	settings.Timing.Sync = 10 * time.Millisecond
	worker := startWith(settings, oneJob(func(_ context.Context, run app.Run) (any, error) {
		ran <- run
		return nil, nil
	}, app.Cron("0 * * * *"), app.Misfire(schedule.Misfire{Policy: schedule.MisfireOnce, Grace: time.Hour})))
	defer worker.Stop(context.Background())
	set(5, 30)
	fmt.Println((<-ran).Key)
	// Output: job@2026-01-01T05:00:00Z
}

// Errors of a kind of their own steer what follows.
func ExamplePermanent() {
	worker := start(oneJob(func(context.Context, app.Run) (any, error) {
		return nil, app.Permanent(errors.New("no such account"))
	}, app.Retries(5)))
	defer worker.Stop(context.Background())
	report := trigger(worker, "job")
	fmt.Println(report.Event, "after", report.Attempts, "attempt:", report.Reason)
	// Output: failed after 1 attempt: no such account
}

// RetryAfter overrides the backoff for once.
func ExampleRetryAfter() {
	worker := start(oneJob(func(_ context.Context, run app.Run) (any, error) {
		if run.Attempt == 1 {
			return nil, app.RetryAfter(time.Millisecond, errors.New("the server is busy"))
		}
		return nil, nil
	}, app.Retries(1), app.RetryDelay(time.Hour)))
	defer worker.Stop(context.Background())
	report := trigger(worker, "job")
	fmt.Println(report.Event, "after", report.Attempts, "attempts")
	// Output: completed after 2 attempts
}

// Skip ends a run that has nothing to do; a job with a queue target then puts
// nothing on its queue.
func ExampleSkip() {
	worker := start(oneJob(func(context.Context, app.Run) (any, error) {
		return nil, app.Skip("no new orders")
	}, app.ToQueue("")))
	defer worker.Stop(context.Background())
	report := trigger(worker, "job")
	fmt.Printf("%s, job %q\n", report.Event, report.JobID)
	// Output: skipped, job ""
}
