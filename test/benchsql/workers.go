package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/figures"
)

const (
	// workerCommand is the argument with which the program is one of the
	// workers.
	workerCommand = "worker"
	// workersWarmUp is for processes to start and to learn of one another.
	workersWarmUp = 12 * time.Second
	// lateTicks is how long after the last tick its begin is waited for.
	lateTicks = 3 * time.Second
)

// workerOrder is what a worker reads from its standard input.
type workerOrder struct {
	URI, Schema, Replica string
	At                   timing
	// From and Until bound the ticks that count.
	From, Until time.Time
}

// workerReport is what it writes to its standard output: how late each tick
// that it began was, in ms.
type workerReport struct {
	Late []float64
}

// workers measures the same as fleet with three whole workers, each in a process
// of its own, that keep their history.
func (b *bench) workers(at timing) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) ([]figures.Figure, error) {
		schema := "workers_" + string(at)
		db, err := b.postgres(ctx, schema)
		if err == nil {
			err = db.Close()
		}
		if err != nil {
			return nil, err
		}
		from := time.Now().Add(workersWarmUp).Truncate(time.Second)
		order := workerOrder{
			URI: b.server.URI.Reveal(), Schema: schema, At: at, From: from, Until: from.Add(time.Duration(b.seconds) * time.Second),
		}
		late, err := runWorkers(ctx, order)
		if err != nil {
			return nil, err
		}
		return fleetFigures("workers", late, b.seconds)
	}
}

// runWorkers runs the workers to their end, and returns how late they were.
func runWorkers(ctx context.Context, order workerOrder) (late []float64, err error) {
	var all sync.WaitGroup
	reports, errs := make([]workerReport, replicas), make([]error, replicas)
	for n := range replicas {
		own := order
		own.Replica = fmt.Sprint("worker-", n)
		all.Go(func() { reports[n], errs[n] = runWorker(ctx, own) })
	}
	all.Wait()
	for _, report := range reports {
		late = append(late, report.Late...)
	}
	return late, errors.Join(errs...)
}

func runWorker(ctx context.Context, order workerOrder) (report workerReport, err error) {
	self, err := os.Executable()
	if err != nil {
		return report, err
	}
	input, err := json.Marshal(order)
	if err != nil {
		return report, err
	}
	var output bytes.Buffer
	process := exec.CommandContext(ctx, self, workerCommand) //nolint:gosec // this program itself
	process.Stdin, process.Stdout, process.Stderr = bytes.NewReader(input), &output, os.Stderr
	if err := process.Run(); err != nil {
		return report, fmt.Errorf("%s: %w", order.Replica, err)
	}
	return report, json.Unmarshal(output.Bytes(), &report)
}

// work is the program when it is a worker.
func work(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var order workerOrder
	if err := json.NewDecoder(stdin).Decode(&order); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	notes := &lateness{from: order.From, until: order.Until}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	worker, err := app.New(app.Settings{
		Replica: order.Replica, SilentRegistration: true, Ledger: config.LedgerSQL,
		Storage: storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: domain.NewSecret(order.URI), Schema: order.Schema}},
	}, log, app.Feature("bench", func() app.Contribution { return app.Contribution{Jobs: perSecond(order.At, notes)} }))
	if err != nil {
		return err
	}
	if err := worker.Start(ctx); err != nil {
		return err
	}
	err = rest(ctx, time.Until(order.Until.Add(lateTicks)))
	if err = errors.Join(err, worker.Stop(context.WithoutCancel(ctx)).Err); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(workerReport{Late: notes.all()})
}

// perSecond are the jobs of a worker.
func perSecond(at timing, notes *lateness) []app.ScheduledJob {
	jobs := make([]app.ScheduledJob, benchJobs)
	for i := range jobs {
		name := fmt.Sprintf("bench.job-%05d", i)
		jobs[i] = app.Schedule(name, func(_ context.Context, run app.Run) (any, error) {
			notes.note(run.Key.Planned(), time.Now())
			return nil, nil
		}, app.Every(time.Second), app.Phase(at.phase(name)), app.Overlap(domain.OverlapAllow))
	}
	return jobs
}

// lateness notes how late ticks begin.
type lateness struct {
	from, until time.Time

	mu   sync.Mutex
	late []float64
}

func (l *lateness) note(tick, begun time.Time) {
	if tick.Before(l.from) || !tick.Before(l.until) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = append(l.late, milliseconds(begun.Sub(tick)))
}

func (l *lateness) all() []float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.late
}
