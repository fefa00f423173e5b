package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/figures"
)

// syncsPerRound is how many calls a round has, of which the median counts.
const syncsPerRound = 20

// syncOn measures what Sync of 10,000 jobs takes: when nothing has changed, as
// every half second, when all ticks have moved, and at the first time.
func (b *bench) syncOn(open opener) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) (taken []figures.Figure, err error) {
		db, err := open(ctx, "sync")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		ledger := db.Ledger("")
		all := definitions(benchJobs, fingerprint)
		var unchanged, changed, first []float64
		for round := range b.rounds {
			began := time.Now()
			reply, err := ledger.Sync(ctx, domain.SyncRequest{Replica: fmt.Sprint("replica-", round), Definitions: all})
			if err != nil {
				return nil, err
			}
			if len(reply.Jobs) != benchJobs {
				return nil, fmt.Errorf("%d jobs are returned, want %d", len(reply.Jobs), benchJobs)
			}
			first = append(first, milliseconds(time.Since(began)))
			request := domain.SyncRequest{Replica: fmt.Sprint("replica-", round), Definitions: all}
			ofAll, err := timed(func() error { _, err := ledger.Sync(ctx, request); return err })
			if err != nil {
				return nil, err
			}
			request.Since = reply.Version
			ofNone, err := timed(func() error { _, err := ledger.Sync(ctx, request); return err })
			if err != nil {
				return nil, err
			}
			changed, unchanged = append(changed, ofAll), append(unchanged, ofNone)
		}
		return []figures.Figure{
			figures.New("10,000 jobs, none changed", "ms", unchanged, figures.AtMost(5)),
			figures.New("10,000 jobs, all changed", "ms", changed, figures.AtMost(5)),
			figures.New("10,000 jobs, registered", "ms", first, nil),
		}, nil
	}
}

// timed returns the median of what the calls take, in ms.
func timed(call func() error) (float64, error) {
	times := make([]float64, syncsPerRound)
	for i := range times {
		began := time.Now()
		if err := call(); err != nil {
			return 0, err
		}
		times[i] = milliseconds(time.Since(began))
	}
	return figures.Median(times), nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
