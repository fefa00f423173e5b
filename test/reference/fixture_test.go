package reference_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/takttest"
)

// configuration is that of the binary in the environment.
func configuration(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	loaded, report := config.Load(config.Source{Environ: append(environ, "HOME=/dev/null"), PID: 7})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return loaded
}

func settings(t *testing.T, environ ...string) app.Settings {
	t.Helper()
	return app.SettingsFrom(configuration(t, environ...))
}

// feature is one that contributes what it is given.
func feature(c app.Contribution) app.Option {
	return app.Feature("feature", func() app.Contribution { return c })
}

func jobs(all ...app.ScheduledJob) app.Option { return feature(app.Contribution{Jobs: all}) }

// handles is a feature of one handler for jobs named "send".
func handles(queue string, fn func() error) app.Option {
	return feature(app.Contribution{Handlers: []app.Handler{
		app.Handle(queue, "send", func(context.Context, app.Job[any]) (any, error) { return nil, fn() }),
	}})
}

func nothing() error { return nil }

// run is the function of a scheduled job, without what it does not need.
type run func(ctx context.Context) error

func quick(context.Context) error { return nil }

var errPaper = errors.New("no paper")

func fails(context.Context) error { return errPaper }

// lasts works for d and then fails or not; the end of its context is one too.
func lasts(d time.Duration, then error) run {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return then
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notebook knows when attempts began, counted from its own beginning.
type notebook struct {
	origin time.Time

	mu     sync.Mutex
	starts []string
}

// begun are the times, such as "1h0m0s 1h0m5s".
func (n *notebook) begun() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.starts, " ")
}

// job is a scheduled job called "job" whose attempts are noted.
func (n *notebook) job(fn run, options ...app.JobOption) app.ScheduledJob {
	return app.Schedule("job", func(ctx context.Context, _ app.Run) (any, error) {
		n.mu.Lock()
		n.starts = append(n.starts, time.Since(n.origin).String())
		n.mu.Unlock()
		return nil, fn(ctx)
	}, options...)
}

// logTo is a log that calls with each message and drops it.
type logTo func(message string)

func (logTo) Enabled(context.Context, slog.Level) bool { return true }
func (l logTo) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l logTo) WithGroup(string) slog.Handler          { return l }

func (l logTo) Handle(_ context.Context, record slog.Record) error {
	l(record.Message)
	return nil
}

// started is a worker with a log of the test's; it is stopped with the test.
func started(t *testing.T, s app.Settings, log logTo, options ...app.Option) *app.App {
	t.Helper()
	s.StateDir = ""
	s.Storage = storage.Config{} // it knows nothing of the bubble's time
	worker, err := app.New(s, slog.New(log), options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Stop(context.Background()) })
	return worker
}

// startsOf are the times at which the attempts of a job begin within three
// hours and three quarters.
func startsOf(t *testing.T, s app.Settings, fn run, options ...app.JobOption) string {
	t.Helper()
	notes := &notebook{origin: time.Now()}
	w := takttest.StartWith(t, takttest.Config{Settings: s}, jobs(notes.job(fn, options...)))
	w.Advance(3*time.Hour + 45*time.Minute)
	w.Stop()
	return notes.begun()
}
