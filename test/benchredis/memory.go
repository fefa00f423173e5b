package main

import (
	"context"
	"time"

	"github.com/taktwork/takt/test/figures"
)

// measureMemory looks at the memory of workers under load with a long
// backlog. They work for some seconds, the same backlog in turns.
func (b *bench) measureMemory(ctx context.Context) ([]figures.Figure, error) {
	if err := b.server.empty(ctx); err != nil {
		return nil, err
	}
	// Theirs would take minutes.
	if _, err := produce(ctx, b.takt, b.server.spec(b.options.backlog)); err != nil {
		return nil, err
	}
	var d duel
	for _, next := range []struct {
		side side
		runs *[]turn
	}{{b.takt, &d.takt}, {b.bullmq, &d.bullmq}} {
		what := b.server.spec(b.options.backlog)
		what.Concurrency = manyAtATime
		found, err := b.worked(ctx, next.side, what, func(_ int, enough func() error) error {
			if err := pause(ctx, time.Duration(b.options.seconds)*time.Second); err != nil {
				return err
			}
			return enough()
		})
		if err != nil {
			return nil, err
		}
		*next.runs = append(*next.runs, turn{report: found})
	}
	return d.both("resident memory, peak, "+figures.Number(float64(b.options.backlog))+" jobs waiting", "MiB", figures.AtMost(40), peakOf), nil
}
