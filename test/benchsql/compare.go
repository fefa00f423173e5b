package main

import (
	"context"
	"errors"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/test/figures"
)

// comparison is what the rounds yielded: percentages, and the rates without
// history.
type comparison struct {
	slower, costlier, costlierInAll, kept, without []float64
}

// compare works jobs without and with history, so many pairs of turns a round.
func (b *bench) compare(ctx context.Context, pairs int, off jobRun, open opener) (c comparison, err error) {
	db, err := open(ctx, "jobs_"+off.queue.name)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	on := off
	on.runs = db.RunStore("")
	if _, err := on.measure(ctx); err != nil { // makes plans
		return c, err
	}
	for range b.rounds {
		before, err := recordsIn(ctx, db)
		if err != nil {
			return c, err
		}
		r, err := inTurns(pairs, func(history bool) (jobCost, error) {
			if history {
				return on.measure(ctx)
			}
			return off.measure(ctx)
		})
		if err != nil {
			return c, err
		}
		after, err := recordsIn(ctx, db)
		if err != nil {
			return c, err
		}
		c.add(r, float64(pairs*off.jobs), after-before)
	}
	return c, nil
}

// add notes a round of so many jobs on each side. What others do on the machine
// changes within seconds, and lengthens some turns by much: so turns are short, one
// with history is compared with the one without beside it, and the median of
// these pairs counts, which a few such turns do not move. Processor time
// depends on others far less, so of that all turns count: there is what history takes
// in a few of them.
func (c *comparison) add(r round, jobs float64, records int64) {
	c.slower = append(c.slower, figures.Median(r.slower))
	c.costlier = append(c.costlier, more(r.without.own, r.with.own))
	c.costlierInAll = append(c.costlierInAll, more(r.without.own+r.without.servers, r.with.own+r.with.servers))
	c.kept = append(c.kept, 100*float64(records)/jobs)
	c.without = append(c.without, jobs/r.without.elapsed.Seconds())
}

// round is some pairs of turns.
type round struct {
	// slower is by how many percent the turn with history of each pair took longer.
	slower []float64
	// without and with are the sums.
	without, with jobCost
}

// inTurns measures pairs without and with history; which of them is first
// changes from pair to pair.
func inTurns(pairs int, measure func(history bool) (jobCost, error)) (r round, err error) {
	for pair := range pairs {
		var costs [2]jobCost
		for turn := range costs {
			which := (pair + turn) % 2
			if costs[which], err = measure(which == 1); err != nil {
				return r, err
			}
		}
		r.slower = append(r.slower, more(costs[0].elapsed, costs[1].elapsed))
		r.without.add(costs[0])
		r.with.add(costs[1])
	}
	return r, nil
}

// more returns by how many percent the second is longer than the first.
func more(first, second time.Duration) float64 {
	return 100 * (float64(second)/float64(first) - 1)
}

// recordsIn counts the records of all namespaces.
func recordsIn(ctx context.Context, db *storage.DB) (int64, error) {
	return db.Bun().NewSelect().TableExpr("history_records").Count(ctx)
}
