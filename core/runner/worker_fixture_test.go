package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/core/runner"
)

const mail = domain.QueueName("mail")

var errDown = errors.New("store is down")

// logBook keeps log lines.
type logBook struct {
	mu    sync.Mutex
	lines []logLine
}

type logLine struct {
	at      time.Time
	level   slog.Level
	message string
	attrs   map[string]string
}

func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }
func (b *logBook) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b *logBook) WithGroup(string) slog.Handler            { return b }

func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	line := logLine{at: time.Now(), level: r.Level, message: r.Message, attrs: map[string]string{}}
	r.Attrs(func(a slog.Attr) bool {
		line.attrs[a.Key] = a.Value.String()
		return true
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
	return nil
}

// with returns the lines whose message holds the text.
func (b *logBook) with(text string) []logLine {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []logLine
	for _, line := range b.lines {
		if strings.Contains(line.message, text) {
			found = append(found, line)
		}
	}
	return found
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprint(b.lines)
}

// desk is a runner that works the queue mail of an in-memory backend which
// can be made to fail.
type desk struct {
	t       *testing.T
	backend *inmemqueue.Backend
	faults  *porttest.Faults
	log     *logBook
	runs    *inmemqueue.RunStore
	runner  *runner.Runner

	config      runner.Config
	ports       runner.Ports
	concurrency int
	stopped     bool
}

type handlers map[string]runner.Route

// open starts a runner; change may adapt it before.
func open(t *testing.T, routes handlers, change func(*desk)) *desk {
	t.Helper()
	d := prepare(t, routes, change)
	if err := d.runner.Start(t.Context()); err != nil {
		t.Fatalf("Start() = %v, want none", err)
	}
	t.Cleanup(func() { d.stop(runner.StopBudget{Drain: time.Minute, Cancel: time.Second, Release: time.Second}) })
	return d
}

// prepare is open without the start.
func prepare(t *testing.T, routes handlers, change func(*desk)) *desk {
	t.Helper()
	d := &desk{
		t: t, backend: inmemqueue.New(inmemqueue.Config{}), faults: &porttest.Faults{}, log: &logBook{},
		runs: inmemqueue.NewRunStore(10_000), concurrency: 4, config: runner.Config{Replica: "w1"},
	}
	d.ports = runner.Ports{
		OpenConsumer: porttest.FaultyConsumers(d.backend.OpenConsumer, d.faults),
		Runs:         d.runs, Log: slog.New(d.log), Now: time.Now, Dice: func() float64 { return 0.5 },
	}
	if change != nil {
		change(d)
	}
	r, err := runner.New(d.config, d.ports, nil, []runner.Queue{{Name: mail, Concurrency: d.concurrency, Routes: routes}})
	if err != nil {
		t.Fatalf("New() = %v, want none", err)
	}
	d.runner = r
	t.Cleanup(func() { _ = d.backend.Close() })
	return d
}

func (d *desk) stop(budget runner.StopBudget) runner.StopReport {
	d.stopped = true
	return d.runner.Stop(context.Background(), budget)
}

// put enqueues jobs of the name and returns their ids.
func (d *desk) put(name string, n int, options domain.JobOptions) []domain.JobID {
	d.t.Helper()
	jobs := make([]domain.NewJob, n)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: mail, Name: name, Data: []byte(`{}`), Options: options}
	}
	return d.enqueue(jobs...)
}

func (d *desk) enqueue(jobs ...domain.NewJob) []domain.JobID {
	d.t.Helper()
	results, err := d.backend.Enqueue(context.Background(), jobs...)
	if err != nil {
		d.t.Fatalf("Enqueue() = %v, want none", err)
	}
	ids := make([]domain.JobID, len(results))
	for i := range results {
		ids[i] = results[i].ID
	}
	return ids
}

func (d *desk) view(id domain.JobID) domain.JobView {
	d.t.Helper()
	views, err := d.backend.Jobs(context.Background(), mail, domain.JobFilter{ID: id})
	if err != nil || len(views) != 1 {
		d.t.Fatalf("Jobs(%s) = %v, %v, want one job", id, views, err)
	}
	return views[0]
}

func (d *desk) wantState(id domain.JobID, state domain.State) domain.JobView {
	d.t.Helper()
	view := d.view(id)
	if view.State != state {
		d.t.Errorf("job %s is %s, want %s; log: %s", id, view.State, state, d.log)
	}
	return view
}

// wantCounts checks all decisions made so far, and that each has its log line.
func (d *desk) wantCounts(want map[domain.Event]int) {
	d.t.Helper()
	if got := d.runner.Counts(); !maps.Equal(got, want) {
		d.t.Errorf("Counts() = %v, want %v; log: %s", got, want, d.log)
	}
}

// records returns the decisions about jobs.
func (d *desk) records(events ...domain.Event) []domain.Record {
	d.t.Helper()
	records, err := d.runs.Query(context.Background(), domain.RunFilter{Queue: "mail", Events: events, Limit: 20_000})
	if err != nil {
		d.t.Fatalf("Query() = %v, want none", err)
	}
	return records
}

// pass lets virtual time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func route(fn runner.HandlerFunc) runner.Route { return runner.Route{Handler: fn} }

// returns is a handler that returns err.
func returns(err error) runner.Route {
	return route(func(context.Context, *domain.Job) ([]byte, error) { return nil, err })
}

// until is a handler that goes on until its context ends, and tells the cause.
func until(causes chan<- error) runner.Route {
	return route(func(ctx context.Context, _ *domain.Job) ([]byte, error) {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, ctx.Err()
	})
}

var _ ports.Handler = runner.HandlerFunc(nil)
