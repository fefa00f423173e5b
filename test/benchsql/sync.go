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
		all := definitions()
		var unchanged, changed, first []float64
		for round := range b.rounds {
			request := domain.SyncRequest{Replica: fmt.Sprint("replica-", round), Definitions: all}
			once, version, err := registerAll(ctx, ledger, request)
			if err != nil {
				return nil, err
			}
			sync := func() error { _, err := ledger.Sync(ctx, request); return err }
			ofAll, err := timed(sync)
			request.Since = version
			ofNone, err2 := timed(sync)
			if err := errors.Join(err, err2); err != nil {
				return nil, err
			}
			first, changed, unchanged = append(first, once), append(changed, ofAll), append(unchanged, ofNone)
		}
		return []figures.Figure{
			figures.New("10,000 jobs, none changed", "ms", unchanged, figures.AtMost(5)),
			figures.New("10,000 jobs, all changed", "ms", changed, figures.AtMost(5)),
			figures.New("10,000 jobs, registered", "ms", first, nil),
		}, nil
	}
}

// registerAll returns how long it takes, in ms, and the version.
func registerAll(ctx context.Context, ledger *storage.Ledger, request domain.SyncRequest) (ms float64, version uint64, err error) {
	began := time.Now()
	reply, err := ledger.Sync(ctx, request)
	if err == nil && len(reply.Jobs) != benchJobs {
		err = fmt.Errorf("%d jobs are returned, want %d", len(reply.Jobs), benchJobs)
	}
	return milliseconds(time.Since(began)), reply.Version, err
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
