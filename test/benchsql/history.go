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

// historyOn measures how many records a second one process appends, in the
// batches of the journal: outcomes of queue jobs, and decisions about runs.
func (b *bench) historyOn(open opener, goal float64) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) (taken []figures.Figure, err error) {
		db, err := open(ctx, "history")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		for _, of := range []struct {
			what      string
			namespace string
			record    func(n int) domain.Record
		}{{"outcomes of queue jobs appended", "jobs", outcome}, {"decisions about runs appended", "runs", decision}} {
			rates, err := b.appended(ctx, db.RunStore(of.namespace), of.record)
			if err != nil {
				return nil, err
			}
			taken = append(taken, figures.New(of.what, "records/s", rates, figures.AtLeast(goal)))
		}
		return taken, nil
	}
}

// appended returns how many records a second are appended in each round.
func (b *bench) appended(ctx context.Context, store *storage.RunStore, record func(n int) domain.Record) (rates []float64, err error) {
	batch, next := make([]domain.Record, journalBatch), 0
	for round := range b.rounds + 1 {
		began, first := time.Now(), next
		for next-first < b.ticks {
			for i := range batch {
				batch[i] = record(next)
				next++
			}
			if err := store.Append(ctx, batch); err != nil {
				return nil, err
			}
		}
		if round > 0 { // the first one fills caches and makes plans
			rates = append(rates, float64(next-first)/time.Since(began).Seconds())
		}
	}
	return rates, nil
}

// decision is the nth about the runs of jobs that tick each second, as a scheduler
// makes them: it claims the ticks of a thousand jobs, and starts and ends each run.
func decision(n int) domain.Record {
	const claimed, perClaim = 1000, 3 * 1000
	first, at := n/perClaim*claimed, n%perClaim
	run := first + at
	if at >= claimed {
		run = first + (at-claimed)/2
	}
	planned := pastBegins.Add(time.Duration(run/benchJobs) * time.Second)
	r := domain.Record{
		At: planned.Add(time.Duration(first%benchJobs+at) * 20 * time.Microsecond), Replica: fmt.Sprint("replica-", run/claimed%replicas),
		Run: domain.TickKey(fmt.Sprintf("job-%05d", run%benchJobs), planned),
	}
	switch {
	case at < claimed:
		r.Event, r.Late = domain.EventClaimed, time.Duration(run%7)*time.Millisecond
	case at%2 == 0:
		r.Event, r.Attempt = domain.EventStarted, 1
	default:
		r.Event, r.Attempt, r.Took = domain.EventCompleted, 1, time.Duration(run%1000)*time.Microsecond
	}
	return r
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
