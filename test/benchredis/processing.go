package main

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/test/figures"
)

// warmShare is the share of the jobs that a worker has worked before the
// clock starts: both runtimes are warm then.
const warmShare = 10

// measureProcessing lets workers of the concurrency drain a queue.
func (b *bench) measureProcessing(ctx context.Context) ([]figures.Figure, error) {
	d, err := b.drains(ctx, b.options.jobs, manyAtATime)
	if err != nil {
		return nil, err
	}
	all := []figures.Figure{d.ratio("jobs/s", figures.AtLeast(3.3), rateOf)}
	all = append(all, d.both("throughput", "jobs/s", nil, rateOf)...)
	all = append(all, d.both("Redis commands a job", "", figures.AtMost(9), callsOf)...)
	all = append(all, d.both("Redis processor time a job", "µs", figures.AtMost(14), redisCPUOf)...)
	all = append(all, figures.New("allocations a job, Takt", "", each(d.takt, func(r turn) float64 { return r.allocations() }), figures.AtMost(30)))
	all = append(all, d.both("worker's processor time a job", "µs", nil, func(r turn) float64 { return r.cpuMicros() })...)
	return append(all, d.both("worker's memory, peak", "MiB", nil, peakOf)...), nil
}

// measureSingly does the same one job at a time.
func (b *bench) measureSingly(ctx context.Context) ([]figures.Figure, error) {
	d, err := b.drains(ctx, b.options.jobs/10, 1)
	if err != nil {
		return nil, err
	}
	all := []figures.Figure{d.ratio("jobs/s", figures.AtLeast(1), rateOf)}
	all = append(all, d.both("throughput", "jobs/s", nil, rateOf)...)
	all = append(all, d.both("Redis commands a job", "", nil, callsOf)...)
	return append(all, d.both("Redis processor time a job", "µs", nil, redisCPUOf)...), nil
}

func (b *bench) drains(ctx context.Context, jobs, concurrency int) (duel, error) {
	return b.duel(ctx, b.options.rounds, func(ctx context.Context, s side) (turn, error) {
		return b.drain(ctx, s, jobs, concurrency)
	})
}

// drain fills the queue with jobs of BullMQ's producer and lets the side's
// worker drain it.
func (b *bench) drain(ctx context.Context, s side, jobs, concurrency int) (turn, error) {
	if err := b.fill(ctx, jobs); err != nil {
		return turn{}, err
	}
	return b.work(ctx, s, jobs, concurrency)
}

// fill empties the server and puts jobs on the queue.
func (b *bench) fill(ctx context.Context, jobs int) error {
	if err := b.server.empty(ctx); err != nil {
		return err
	}
	_, err := produce(ctx, b.bullmq, b.server.spec(jobs))
	return err
}

// work lets the side's worker drain the queue.
func (b *bench) work(ctx context.Context, s side, jobs, concurrency int) (turn, error) {
	what := b.server.spec(jobs)
	what.Concurrency, what.Warm = concurrency, jobs/warmShare
	before, err := b.server.usage(ctx)
	if err != nil {
		return turn{}, err
	}
	found, err := b.worked(ctx, s, what, func(int, func() error) error { return nil })
	if err != nil {
		return turn{}, err
	}
	after, err := b.server.usage(ctx)
	if err != nil {
		return turn{}, err
	}
	if found.Jobs != jobs {
		return turn{}, fmt.Errorf("worked %d jobs, want %d", found.Jobs, jobs)
	}
	return turn{report: found, redis: after.since(before), jobs: jobs}, b.server.drained(ctx, jobs)
}

func rateOf(r turn) float64     { return r.rate() }
func callsOf(r turn) float64    { return float64(r.redis.calls) / float64(r.jobs) }
func redisCPUOf(r turn) float64 { return r.redis.cpu * 1e6 / float64(r.jobs) }
func peakOf(r turn) float64     { return mebibytes(r.peak) }

func mebibytes(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
