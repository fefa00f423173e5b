package main

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/test/figures"
)

const (
	// pacedRate is how many jobs a second a producer adds to an idle worker.
	pacedRate = 200
	// pacedConcurrency is the worker's: room for every job that comes.
	pacedConcurrency = 10
)

// measureLatency looks at how long a job waits for a worker that has nothing
// to do: from the call that adds it, in one process, to its handler in
// another. Each side has its own producer. The runs are percentiles of a
// round.
func (b *bench) measureLatency(ctx context.Context) ([]figures.Figure, error) {
	d, err := b.duel(ctx, b.options.rounds, b.pace)
	if err != nil {
		return nil, err
	}
	all := d.both("add to handler, p50", "ms", figures.AtMost(0.4), latencyAt(50))
	return append(all, d.both("add to handler, p99", "ms", figures.AtMost(1.2), latencyAt(99))...), nil
}

func latencyAt(p float64) func(turn) float64 {
	return func(r turn) float64 { return figures.Percentile(r.Latencies, p) }
}

func (b *bench) pace(ctx context.Context, s side) (turn, error) {
	if err := b.server.empty(ctx); err != nil {
		return turn{}, err
	}
	warm := pacedRate
	jobs := warm + pacedRate*b.options.seconds
	working := b.server.spec(jobs)
	working.Concurrency, working.Latency = pacedConcurrency, true
	producing := b.server.spec(jobs)
	producing.Rate = pacedRate
	found, err := b.worked(ctx, s, working, func(int, func() error) error {
		_, err := produce(ctx, s, producing)
		return err
	})
	if err != nil {
		return turn{}, err
	}
	if len(found.Latencies) != jobs {
		return turn{}, fmt.Errorf("%d latencies, want %d", len(found.Latencies), jobs)
	}
	found.Latencies = found.Latencies[warm:]
	return turn{report: found, jobs: jobs}, nil
}
