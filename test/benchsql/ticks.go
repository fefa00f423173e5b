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

const (
	fingerprint = "5f0c7b1e9a3d2468"
	claimLease  = 15 * time.Second
	// batch is that of the runner.
	batch = 500
	// benchJobs are the scheduled jobs whose ticks are claimed.
	benchJobs = 10_000
)

func definitions() []domain.Definition {
	all := make([]domain.Definition, benchJobs)
	for i := range all {
		all[i] = domain.Definition{Job: fmt.Sprintf("job-%05d", i), Fingerprint: fingerprint}
	}
	return all
}

// ticksOn measures how many ticks one process claims and ends a second, in the
// batches of the runner, which claims while it ends.
func (b *bench) ticksOn(open opener, goal float64) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) (taken []figures.Figure, err error) {
		db, err := open(ctx, "ticks")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		w := tickWork{ledger: db.Ledger("")}
		if err := w.register(ctx); err != nil {
			return nil, err
		}
		var rates []float64
		for round := range b.rounds + 1 {
			began := time.Now()
			if err := w.play(ctx, b.ticks); err != nil {
				return nil, err
			}
			if round > 0 { // the first one fills caches and makes plans
				rates = append(rates, float64(b.ticks)/time.Since(began).Seconds())
			}
		}
		return []figures.Figure{figures.New("claimed and ended", "ticks/s", rates, figures.AtLeast(goal))}, nil
	}
}

type tickWork struct {
	ledger *storage.Ledger
	jobs   []domain.JobState
	next   int
}

func (w *tickWork) register(ctx context.Context) error {
	reply, err := w.ledger.Sync(ctx, domain.SyncRequest{Replica: "ann", Definitions: definitions()})
	w.jobs = reply.Jobs
	return err
}

// play claims and ends so many ticks.
func (w *tickWork) play(ctx context.Context, ticks int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	claimed, ended := make(chan []domain.RunResult, 1), make(chan error, 1)
	go func() {
		for results := range claimed {
			if _, err := w.ledger.Finish(ctx, results); err != nil {
				ended <- err
				cancel()
				return
			}
		}
		ended <- nil
	}()
	err := w.claim(ctx, ticks, claimed)
	close(claimed)
	return errors.Join(err, <-ended)
}

func (w *tickWork) claim(ctx context.Context, ticks int, claimed chan<- []domain.RunResult) error {
	for done := 0; done < ticks; done += batch {
		intents := w.intents()
		verdicts, err := w.ledger.Claim(ctx, intents)
		if err != nil {
			return err
		}
		results := make([]domain.RunResult, len(verdicts))
		for i := range verdicts {
			if verdicts[i].Kind != domain.Granted {
				return fmt.Errorf("tick %s is %q", intents[i].Run, verdicts[i].Kind)
			}
			results[i] = domain.RunResult{Claim: verdicts[i].Claim.Ref(), End: domain.EndFired}
		}
		select {
		case claimed <- results:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// intents are those for the next ticks of the next jobs.
func (w *tickWork) intents() []domain.Intent {
	intents := make([]domain.Intent, batch)
	for i := range intents {
		job := &w.jobs[w.next%len(w.jobs)]
		w.next++
		from := job.Cursor
		job.Cursor = from.Add(time.Second)
		intents[i] = domain.Intent{
			Run: domain.TickKey(job.Job, job.Cursor), Replica: "ann", Fingerprint: fingerprint,
			Move: &domain.CursorMove{From: from, To: job.Cursor}, Slot: domain.SlotSkip, Lease: claimLease,
		}
	}
	return intents
}
