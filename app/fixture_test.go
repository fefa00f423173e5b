package app_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with the file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// contribute is a feature without dependencies.
func contribute(name string, c app.Contribution) app.Option {
	return app.Feature(name, func() app.Contribution { return c })
}

// jobs is a feature of scheduled jobs.
func jobs(name string, all ...app.ScheduledJob) app.Option {
	return contribute(name, app.Contribution{Jobs: all})
}

func nothing(context.Context, app.Run) (any, error) { return nil, nil }

// constant is a back-off.
func constant(int, *domain.Job, error) time.Duration { return time.Second }

func ignore(context.Context, app.Job[any]) (any, error) { return nil, nil }

// build builds a worker that must be right.
func build(t *testing.T, settings app.Settings, options ...app.Option) *app.App {
	t.Helper()
	worker, err := app.New(settings, slog.New(slog.NewTextHandler(t.Output(), nil)), options...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return worker
}

// problems returns the mistakes that New reports.
func problems(t *testing.T, settings app.Settings, options ...app.Option) []string {
	t.Helper()
	_, err := app.New(settings, slog.New(slog.DiscardHandler), options...)
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*app.RegistrationError](err)
	if !ok {
		t.Fatalf("New = %v, want a RegistrationError", err)
	}
	return wrong.Problems
}

// logbook keeps log lines.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns the lines that hold all of the parts.
func (l *logbook) lines(parts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		holds := true
		for _, part := range parts {
			holds = holds && strings.Contains(line, part)
		}
		if holds {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// diary keeps what happened, in order.
type diary struct {
	mu     sync.Mutex
	events []string
}

func (d *diary) note(event string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, event)
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.events...)
}

// hook is a feature with start and stop hooks that do what they are given.
func hook(name string, start, stop func(context.Context) error) app.Option {
	return app.Feature(name, func(l app.Lifecycle) app.Contribution {
		l.Append(app.Hook{OnStart: start, OnStop: stop})
		return app.Contribution{}
	})
}
