package main

import (
	"context"
	"fmt"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/figures"
)

const (
	// pageJobs is how many jobs a page has, pages how often it is read in a turn.
	pageJobs = 1000
	pages    = 50
)

// measurePages lets both read a page of a thousand waiting jobs, as tools do.
func (b *bench) measurePages(ctx context.Context) ([]figures.Figure, error) {
	d, err := b.duel(ctx, b.options.rounds, b.readPages)
	if err != nil {
		return nil, err
	}
	all := []figures.Figure{d.ratio("a page of 1,000 jobs, p50", nil, latencyAt(50))}
	all = append(all, d.both("a page of 1,000 jobs, p50", "ms", figures.AtMost(15), latencyAt(50))...)
	return append(all, d.both("a page of 1,000 jobs, p99", "ms", nil, latencyAt(99))...), nil
}

func (b *bench) readPages(ctx context.Context, s side) (turn, error) {
	what := b.server.spec(pageJobs)
	what.Pages = pages
	return b.producing(ctx, s, what)
}

// readPages reads all jobs of the queue in one page, as often as is asked for,
// and returns how many ms each page took.
func readPages(ctx context.Context, from *redisqueue.Backend, what spec) ([]float64, error) {
	queue, err := from.Queue(domain.QueueName(what.Queue))
	if err != nil {
		return nil, err
	}
	query := redisqueue.JobQuery{States: []domain.State{domain.StateWait}, Limit: what.Jobs}
	var took []float64
	for range what.Pages {
		began := time.Now()
		jobs, err := queue.Jobs(ctx, query)
		if err != nil {
			return nil, err
		}
		if len(jobs) != what.Jobs {
			return nil, fmt.Errorf("a page of %d jobs, want %d", len(jobs), what.Jobs)
		}
		took = append(took, time.Since(began).Seconds()*1000)
	}
	return took, nil
}
