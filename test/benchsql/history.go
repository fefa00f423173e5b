package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/figures"
)

// journalBatch is how many records the journal of the runner writes at once.
const journalBatch = 4096

// historyOn measures how many records a second one process appends: outcomes
// of queue jobs, in the batches of the journal.
func (b *bench) historyOn(open opener, goal float64) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) (taken []figures.Figure, err error) {
		db, err := open(ctx, "history")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		store, next := db.RunStore(""), 0
		var rates []float64
		for round := range b.rounds + 1 {
			began, first := time.Now(), next
			if next, err = appendOutcomes(ctx, store, first, b.ticks); err != nil {
				return nil, err
			}
			if round > 0 { // the first one fills caches and makes plans
				rates = append(rates, float64(next-first)/time.Since(began).Seconds())
			}
		}
		return []figures.Figure{figures.New("outcomes of queue jobs appended", "records/s", rates, figures.AtLeast(goal))}, nil
	}
}

// appendOutcomes appends whole batches, at least so many records from the
// number first on, and returns the number after the last.
func appendOutcomes(ctx context.Context, store *storage.RunStore, first, least int) (next int, err error) {
	batch := make([]domain.Record, journalBatch)
	for next = first; next-first < least; {
		for i := range batch {
			batch[i] = outcome(next)
			next++
		}
		if err := store.Append(ctx, batch); err != nil {
			return next, err
		}
	}
	return next, nil
}

// outcome is that of the nth queue job; one of a hundred failed.
func outcome(n int) domain.Record {
	r := domain.Record{
		At: pastBegins.Add(time.Duration(n) * 200 * time.Microsecond), Replica: fmt.Sprint("replica-", n/5%replicas),
		Event: domain.EventCompleted, Queue: domain.QueueName(fmt.Sprint("queue-", n/7%5)), JobID: domain.JobID(fmt.Sprint(n)),
		JobName: fmt.Sprint("name-", n/11%20), Attempt: 1, Took: time.Duration(n%1000) * time.Microsecond,
	}
	if n/13%100 == 99 {
		r.Event, r.Reason = domain.EventFailed, "the other side did not answer in time"
	}
	return r
}
