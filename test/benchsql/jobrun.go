package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/figures"
)

const jobConcurrency = 100

// jobRun is some jobs that are worked.
type jobRun struct {
	queue jobQueue
	// servers are the processes whose processor time is looked at.
	servers     []int
	jobs, steps int
	// runs is nil without history.
	runs ports.RunStore
}

// jobCost is what the jobs took, and their records: time, and that of processors.
type jobCost struct {
	elapsed, own, servers time.Duration
}

func (c *jobCost) add(more jobCost) {
	c.elapsed, c.own, c.servers = c.elapsed+more.elapsed, c.own+more.own, c.servers+more.servers
}

// measure works the jobs on a queue of their own.
func (j jobRun) measure(ctx context.Context) (cost jobCost, err error) {
	queue, err := j.queue.open()
	if err != nil {
		return cost, err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	f := newFeed(queue, j.jobs, j.queue.ahead)
	r, err := j.runner(queue, f)
	if err != nil {
		return cost, err
	}
	if err := f.fill(ctx); err != nil {
		return cost, err
	}
	// What the turn before left behind is not to be collected in this one.
	runtime.GC()
	return j.costOf(func() error {
		if err := r.Start(ctx); err != nil {
			return err
		}
		err := f.run(ctx)
		r.Stop(context.WithoutCancel(ctx), runner.StopBudget{Drain: time.Minute, Cancel: time.Second, Release: time.Minute})
		return err
	})
}

// costOf returns what working took.
func (j jobRun) costOf(work func() error) (cost jobCost, err error) {
	own, err := figures.OwnCPU()
	servers, err2 := j.serversCPU()
	began := time.Now()
	if err := errors.Join(err, err2, work()); err != nil {
		return cost, err
	}
	cost.elapsed = time.Since(began)
	ownNow, err := figures.OwnCPU()
	serversNow, err2 := j.serversCPU()
	cost.own, cost.servers = ownNow-own, serversNow-servers
	return cost, errors.Join(err, err2)
}

func (j jobRun) serversCPU() (sum time.Duration, err error) {
	for _, pid := range j.servers {
		spent, err := figures.CPUOfFamily(pid)
		if err != nil {
			return 0, err
		}
		sum += spent
	}
	return sum, nil
}

// runner returns one that works the queue.
func (j jobRun) runner(queue backend, f *feed) (*runner.Runner, error) {
	handler := runner.Handle(func(context.Context, runner.Job[struct{}]) (any, error) {
		if compute(j.steps) == 0 {
			return nil, errors.New("a xorshift came to zero")
		}
		f.worked()
		return nil, nil
	})
	return runner.New(runner.Config{Replica: "bench"}, runner.Ports{
		OpenConsumer: queue.OpenConsumer, Runs: j.runs, Log: slog.New(slog.DiscardHandler),
		Now: time.Now, Dice: func() float64 { return 0 },
	}, nil, []runner.Queue{{Name: benchQueue, Concurrency: jobConcurrency, Routes: map[string]runner.Route{benchJob: {Handler: handler}}}})
}
