package main

import (
	"context"

	"github.com/taktwork/takt/test/figures"
)

// measureEnqueueing lets the producers add jobs in bulk.
func (b *bench) measureEnqueueing(ctx context.Context) ([]figures.Figure, error) {
	d, err := b.duel(ctx, b.options.rounds, b.enqueue)
	if err != nil {
		return nil, err
	}
	all := []figures.Figure{d.ratio("jobs/s", figures.AtLeast(4), rateOf)}
	all = append(all, d.both("throughput", "jobs/s", nil, rateOf)...)
	all = append(all, d.both("Redis commands a job", "", nil, callsOf)...)
	return append(all, d.both("Redis processor time a job", "µs", nil, redisCPUOf)...), nil
}

func (b *bench) enqueue(ctx context.Context, s side) (turn, error) {
	what := b.server.spec(b.options.jobs)
	what.Warm = what.Jobs / warmShare
	return b.producing(ctx, s, what)
}

// producing lets the side's producer add jobs to a server that is empty.
func (b *bench) producing(ctx context.Context, s side, what spec) (turn, error) {
	if err := b.server.empty(ctx); err != nil {
		return turn{}, err
	}
	before, err := b.server.usage(ctx)
	if err != nil {
		return turn{}, err
	}
	found, err := produce(ctx, s, what)
	if err != nil {
		return turn{}, err
	}
	after, err := b.server.usage(ctx)
	return turn{report: found, redis: after.since(before), jobs: what.Jobs + what.Warm}, err
}
