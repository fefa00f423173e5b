package takttest

import (
	"context"
	"log/slog"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	configuration "github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

// Config says how the worker of a test differs from one with default settings.
type Config struct {
	// Settings are the worker's. The control socket stays closed whatever they
	// say, for a bubble's time would stand still while it is open. Unless set,
	// Replica is "test", Dice always draws 0.5, and the ledger is asked for news
	// every 5 s, which is how long a pause takes to be seen, and HistorySize is
	// 1,000,000 records. What needs the history fails the test if more were made.
	Settings app.Settings
	// At is when the worker starts; the bubble's time is moved there. Zero
	// starts at once.
	At time.Time
	// Level is the least level of log lines that go to the test's log; the
	// zero value is info. A test that fails prints the last 200, with -v all.
	Level slog.Level
}

// patience is how long handlers that were left behind may take to end.
const patience = 24 * time.Hour

// syncPause is how often the worker of a test asks its ledger for news.
const syncPause = 5 * time.Second

// historySize is how many decisions the worker of a test remembers: enough for
// a year of ticks every three minutes.
const historySize = 1_000_000

// Worker is a worker that runs in a bubble. Its methods are to be called from
// the goroutine of the test, and fail the test at once if they cannot do what
// they say; those that begin with Want report and go on.
type Worker struct {
	tb      testing.TB
	app     *app.App
	stopped bool
	// history is how many records are kept, lost how many could not be.
	history int
	lost    *losses
}

// Start starts a worker with default settings and the given features, values
// and middleware. It is called within a bubble. What the worker does when it
// starts is done when Start returns.
func Start(tb testing.TB, options ...app.Option) *Worker {
	tb.Helper()
	return StartWith(tb, Config{}, options...)
}

// StartWith is [Start] with a Config.
func StartWith(tb testing.TB, config Config, options ...app.Option) *Worker {
	tb.Helper()
	reach(tb, config.At)
	settings := settingsOf(config)
	log, lost := logTo(tb, config.Level)
	worker, err := app.New(settings, log, options...)
	if err != nil {
		tb.Fatalf("the worker cannot be built: %v", err)
	}
	w := &Worker{tb: tb, app: worker, history: settings.HistorySize, lost: lost}
	if err := worker.Start(tb.Context()); err != nil {
		tb.Fatalf("the worker does not start: %v", err)
	}
	tb.Cleanup(w.cleanup)
	synctest.Wait()
	return w
}

// reach moves the bubble's time to at.
func reach(tb testing.TB, at time.Time) {
	tb.Helper()
	if at.IsZero() {
		return
	}
	left := time.Until(at)
	if left < 0 {
		tb.Fatalf("the worker cannot start at %s: in this bubble it is %s", at.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	}
	pass(left)
}

// pass lets the bubble's time go on.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func settingsOf(config Config) app.Settings {
	settings := config.Settings
	settings.StateDir = ""
	// A database knows nothing of the bubble's time.
	settings.Storage, settings.Platform = storage.Config{}, storage.Config{}
	if settings.Ledger == configuration.LedgerSQL {
		settings.Ledger = configuration.LedgerMemory
	}
	if settings.Replica == "" {
		settings.Replica = "test"
	}
	if settings.Timing.Sync == 0 {
		// Nobody else shares the ledger: there is little to ask it for.
		settings.Timing.Sync = syncPause
	}
	switch {
	case settings.HistorySize == 0:
		settings.HistorySize = historySize + 1
	case settings.HistorySize > 0 && settings.HistorySize < math.MaxInt:
		// Room for one more tells a history that is full from one that was.
		settings.HistorySize++
	}
	if settings.Dice == nil {
		settings.Dice = func() float64 { return 0.5 }
	}
	return settings
}

// Service returns the worker's service, for what the kit has no method for.
func (w *Worker) Service() *app.SchedulerService { return w.app.Service() }

// Trigger runs the scheduled job now, lets time pass until its end, and
// returns what became of it.
func (w *Worker) Trigger(job string) app.RunReport {
	w.tb.Helper()
	report, err := w.Service().TriggerNow(context.Background(), job)
	if err != nil {
		w.tb.Fatalf("Trigger(%q): %v", job, err)
	}
	synctest.Wait()
	return report
}

// Enqueue puts a job on a queue, an empty one meaning the default queue, and
// lets it be worked as far as that goes without time passing.
func (w *Worker) Enqueue(queue, name string, data any, options ...domain.JobOptions) domain.EnqueueResult {
	w.tb.Helper()
	result, err := w.Service().Enqueue(context.Background(), queue, name, data, options...)
	if err != nil {
		w.tb.Fatalf("Enqueue(%q, %q): %v", queue, name, err)
	}
	synctest.Wait()
	return result
}

// Advance lets d pass, and whatever is due meanwhile happen.
func (w *Worker) Advance(d time.Duration) {
	w.tb.Helper()
	if d < 0 {
		w.tb.Fatalf("Advance(%s): time does not go back", d)
	}
	pass(d)
}

// Stop stops the worker before the end of the test and returns what was left
// undone, about which the test then has to judge by itself.
func (w *Worker) Stop() app.StopReport {
	w.stopped = true
	return w.app.Stop(context.Background())
}

func (w *Worker) cleanup() {
	if w.stopped {
		return
	}
	report := w.Stop()
	if report.Jobs > 0 || report.Runs > 0 {
		w.tb.Errorf("the worker gave back %d jobs and %d runs whose handlers did not end in time", report.Jobs, report.Runs)
		// A handler that is left behind would end the bubble with a panic that
		// hides this error; most end by themselves.
		pass(patience)
	}
	for queue, jobs := range report.Dropped {
		w.tb.Errorf("the worker left %d unfinished jobs on queue %s", jobs, queue)
	}
	if report.Err != nil {
		w.tb.Errorf("the worker did not stop well: %v", report.Err)
	}
}
