package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/taktwork/takt/adapters/cron"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
	"github.com/taktwork/takt/test/figures"
)

const (
	replicas = 3
	// warmUp is left out: plans are made, and replicas learn of one another.
	warmUp = 5 * time.Second
)

// timing is how the ticks of the jobs lie within the second.
type timing string

const (
	// spread is how intervals lie: each job has the phase that its name gives.
	spread timing = "spread"
	// atOnce is how cron expressions lie: all at full seconds.
	atOnce timing = "at_once"
)

func (t timing) phase(job string) time.Duration {
	if t == atOnce {
		return 0
	}
	return schedule.Phase(domain.DefaultNamespace, job, time.Second)
}

// fleet measures how late three replicas begin the ticks of 10,000 schedules
// that are due each second, and how many of the ticks they begin.
func (b *bench) fleet(at timing) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) ([]figures.Figure, error) { return b.measureFleet(ctx, at) }
}

func (b *bench) measureFleet(ctx context.Context, at timing) (taken []figures.Figure, err error) {
	w := &fleetWork{at: at}
	var stops []func() error
	defer func() {
		for _, stop := range stops {
			err = errors.Join(err, stop())
		}
	}()
	for n := range replicas {
		stop, err := b.startReplica(ctx, n, w)
		if err != nil {
			return nil, err
		}
		stops = append(stops, stop)
	}
	if err := rest(ctx, warmUp); err != nil {
		return nil, err
	}
	w.begin()
	if err := rest(ctx, time.Duration(b.seconds)*time.Second); err != nil {
		return nil, err
	}
	late := w.end()
	return fleetFigures("replicas", late, b.seconds)
}

// fleetFigures are those of the ticks that three of them began.
func fleetFigures(who string, late []float64, seconds int) ([]figures.Figure, error) {
	if len(late) == 0 {
		return nil, errors.New("no tick was begun")
	}
	share := 100 * float64(len(late)) / float64(benchJobs*seconds)
	return []figures.Figure{
		figures.New("ticks of three "+who+", begun", "% of those due", []float64{share}, figures.AtLeast(99)),
		figures.New("ticks of three "+who+", late (p50)", "ms", []float64{figures.Percentile(late, 50)}, nil),
		figures.New("ticks of three "+who+", late (p99)", "ms", []float64{figures.Percentile(late, 99)}, figures.AtMost(250)),
	}, nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// startReplica starts a replica with a pool of its own.
func (b *bench) startReplica(ctx context.Context, n int, w *fleetWork) (stop func() error, err error) {
	db, err := b.postgres(ctx, "fleet_"+string(w.at))
	if err != nil {
		return nil, err
	}
	r, err := newReplica(db, fmt.Sprint("replica-", n), w)
	if err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error {
		r.Stop(context.WithoutCancel(ctx), runner.StopBudget{Drain: 5 * time.Second, Cancel: time.Second, Release: time.Second})
		return db.Close()
	}, nil
}

func newReplica(db *storage.DB, name string, w *fleetWork) (*runner.Runner, error) {
	jobs := make([]runner.ScheduledJob, benchJobs)
	for i := range jobs {
		job := fmt.Sprintf("job-%05d", i)
		every, err := schedule.NewEvery(time.Second, w.at.phase(job))
		if err != nil {
			return nil, err
		}
		jobs[i] = runner.ScheduledJob{
			Name: job, Schedule: every, Fingerprint: fingerprint, Handler: w,
			Policy: domain.RunPolicy{Overlap: domain.OverlapAllow},
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	return runner.New(runner.Config{Replica: name}, runner.Ports{
		Ledger: db.Ledger(""), Dispatcher: inline{}, Waker: cron.New(log), Log: log, Now: time.Now, Dice: rand.Float64,
	}, jobs, nil)
}

// inline is the dispatcher of jobs that put nothing on a queue.
type inline struct{}

// Dispatch implements ports.Dispatcher.
func (inline) Dispatch(context.Context, []domain.Dispatch) ([]domain.DispatchResult, error) {
	return nil, errors.New("all runs are inline")
}

// fleetWork is the handler of all replicas: it notes how late it is called.
type fleetWork struct {
	at timing

	mu    sync.Mutex
	notes bool
	late  []float64
}

// HandleRun implements ports.ScheduledHandler.
func (w *fleetWork) HandleRun(_ context.Context, run domain.RunKey, _ int) ([]byte, error) {
	late := milliseconds(time.Since(run.Planned()))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notes {
		w.late = append(w.late, late)
	}
	return nil, nil
}

func (w *fleetWork) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = true
}

func (w *fleetWork) end() []float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = false
	return w.late
}
