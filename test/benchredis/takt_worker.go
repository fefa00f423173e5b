package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/figures"
)

// stopBudget is the binary's.
func stopBudget() runner.StopBudget {
	return runner.StopBudget{Drain: 20 * time.Second, Cancel: 2 * time.Second, Release: 2 * time.Second}
}

// work works the queue as the binary does: a runner on a backend in Redis.
func work(ctx context.Context, what spec, t *talk) (err error) {
	if err := t.ready(ctx); err != nil {
		return err
	}
	backend, err := openBackend(what)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	count := newTally(what)
	r, err := runner.New(runner.Config{Replica: "bench"}, runner.Ports{
		OpenConsumer: backend.OpenConsumer, Now: time.Now, Dice: rand.Float64,
		Log: childLog(),
	}, nil, []runner.Queue{{
		Name: domain.QueueName(what.Queue), Concurrency: what.Concurrency,
		Routes: map[string]runner.Route{what.Name: {Handler: runner.Handle(count.handle)}},
	}})
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	err = t.say(message{Working: true})
	select {
	case <-count.all:
	case <-t.enough:
	case <-ctx.Done():
	}
	r.Stop(context.WithoutCancel(ctx), stopBudget())
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	return t.report(ctx, count.report())
}

// tally counts the jobs of a worker.
type tally struct {
	what    spec
	handled atomic.Int64
	all     chan struct{}

	mu         sync.Mutex
	began, end moment
	latencies  []float64
}

// moment is what the process has used by then.
type moment struct {
	at      time.Time
	cpu     time.Duration
	mallocs uint64
}

func newTally(what spec) *tally {
	t := &tally{what: what, all: make(chan struct{})}
	if what.Latency {
		t.latencies = make([]float64, 0, what.Jobs)
	}
	return t
}

// handle is the handler of every job.
func (t *tally) handle(_ context.Context, job runner.Job[payload]) (any, error) {
	if t.what.Latency {
		t.waited(job.Data.At)
	}
	switch int(t.handled.Add(1)) {
	case t.what.Warm:
		t.mark(&t.began)
	case t.what.Jobs:
		t.mark(&t.end)
		close(t.all)
	}
	return nil, nil
}

// waited notes how long a job has waited.
func (t *tally) waited(since int64) {
	waited := float64(monotonic()-since) / float64(time.Millisecond)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latencies = append(t.latencies, waited)
}

func (t *tally) mark(m *moment) {
	now := takeMoment()
	t.mu.Lock()
	defer t.mu.Unlock()
	*m = now
}

func takeMoment() moment {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	cpu, _ := figures.OwnCPU()
	return moment{at: time.Now(), cpu: cpu, mallocs: memory.Mallocs}
}

func (t *tally) report() report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := report{Jobs: int(t.handled.Load()), Latencies: t.latencies}
	if !t.began.at.IsZero() && !t.end.at.IsZero() {
		r.Window = t.what.Jobs - t.what.Warm
		r.Seconds, r.CPU = t.end.at.Sub(t.began.at).Seconds(), (t.end.cpu - t.began.cpu).Seconds()
		r.Mallocs = t.end.mallocs - t.began.mallocs
	}
	return r
}

// monotonic reads the machine's monotonic clock, which all processes share,
// in nanoseconds.
func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano()
}
