package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/figures"
)

const (
	benchQueue = "mail"
	benchJob   = "send"
	// producerTx are the jobs of a transaction that fills the outbox.
	producerTx = 100
	// Latency is measured at 2,000 jobs a second: latencyJobs in a transaction
	// each latencyEvery.
	latencyJobs  = 10
	latencyEvery = 5 * time.Millisecond
	// relayWithin bounds the wait for jobs that are committed.
	relayWithin = 2 * time.Minute
	stopWithin  = 10 * time.Second
)

// outboxOn measures how many jobs a second a relay puts on a queue, of rows
// that are all there, and how long after its commit a job is on the queue.
func (b *bench) outboxOn(open opener, openQueue queueOpener) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) (taken []figures.Figure, err error) {
		queue, err := openQueue(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, queue.close()) }()
		db, err := open(ctx, "outbox_"+queue.name)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		w := outboxWork{db: db, outbox: db.Outbox(storage.OutboxConfig{}), queue: queue}
		var rates []float64
		for range b.rounds {
			rate, err := w.backlog(ctx, b.ticks)
			if err != nil {
				return nil, err
			}
			rates = append(rates, rate)
		}
		added, err := w.latency(ctx, time.Duration(b.seconds)*time.Second)
		if err != nil {
			return nil, err
		}
		return []figures.Figure{
			figures.New("relayed", "jobs/s", rates, figures.AtLeast(10_000)),
			figures.New("added latency at 2,000 jobs/s (p50)", "ms", []float64{figures.Percentile(added, 50)}, nil),
			figures.New("added latency at 2,000 jobs/s (p99)", "ms", []float64{figures.Percentile(added, 99)}, figures.AtMost(50)),
		}, nil
	}
}

type outboxWork struct {
	db     *storage.DB
	outbox *storage.Outbox
	queue  *relayTarget
}

// commit enqueues jobs in a transaction of their own.
func (w *outboxWork) commit(ctx context.Context, jobs int) (err error) {
	tx, err := w.db.Bun().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	all := make([]domain.NewJob, jobs)
	for i := range all {
		all[i] = domain.NewJob{Queue: benchQueue, Name: benchJob, Data: []byte(`{"to":"ann"}`)}
	}
	if err := w.outbox.Enqueue(ctx, storage.BunTx(tx), all...); err != nil {
		return err
	}
	return tx.Commit()
}

// backlog returns how many jobs a second are relayed of those that wait.
func (w *outboxWork) backlog(ctx context.Context, jobs int) (float64, error) {
	for left := jobs; left > 0; left -= producerTx {
		if err := w.commit(ctx, min(producerTx, left)); err != nil {
			return 0, err
		}
	}
	came := newArrivals(w.queue.queue, jobs)
	began := time.Now()
	err := w.relaying(ctx, came, func() error { return came.wait(ctx) })
	if err != nil {
		return 0, err
	}
	return float64(jobs) / came.at[jobs-1].Sub(began).Seconds(), nil
}

// latency returns how long after their commit jobs came to the queue, in ms,
// while some are committed at a steady pace.
func (w *outboxWork) latency(ctx context.Context, d time.Duration) ([]float64, error) {
	transactions := int(d / latencyEvery)
	came := newArrivals(w.queue.queue, transactions*latencyJobs)
	committed := make([]time.Time, transactions)
	err := w.relaying(ctx, came, func() error {
		ticker := time.NewTicker(latencyEvery)
		defer ticker.Stop()
		for i := range committed {
			<-ticker.C
			if err := w.commit(ctx, latencyJobs); err != nil {
				return err
			}
			committed[i] = time.Now()
		}
		return came.wait(ctx)
	})
	if err != nil {
		return nil, err
	}
	added := make([]float64, len(came.at))
	for i, at := range came.at {
		// A job may be there before its producer knows of the commit.
		added[i] = max(0, milliseconds(at.Sub(committed[i/latencyJobs])))
	}
	return added, nil
}

// relaying does the work while a relay runs, stops it, and checks that no row
// is left.
func (w *outboxWork) relaying(ctx context.Context, to ports.Enqueuer, work func() error) error {
	relay := w.db.NewRelay(w.outbox, storage.RelayConfig{Queue: to, Volatile: w.queue.volatile, Log: slog.New(slog.DiscardHandler)})
	w.queue.relay.Store(relay)
	relay.Start()
	err := work()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	relay.Stop(stopping)
	if err != nil {
		return err
	}
	var left int
	if err := w.db.Bun().QueryRowContext(ctx, "SELECT count(*) FROM outbox").Scan(&left); err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("%d rows are left in the outbox", left)
	}
	return nil
}

// arrivals notes when jobs come to a queue.
type arrivals struct {
	ports.Enqueuer

	want int
	all  chan struct{}

	mu sync.Mutex
	at []time.Time
}

func newArrivals(queue ports.Enqueuer, want int) *arrivals {
	return &arrivals{Enqueuer: queue, want: want, all: make(chan struct{}), at: make([]time.Time, 0, want)}
}

// Enqueue implements [ports.Enqueuer].
func (a *arrivals) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	results, err := a.Enqueuer.Enqueue(ctx, jobs...)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range results {
		if results[i].Status != domain.Accepted {
			continue
		}
		if a.at = append(a.at, now); len(a.at) == a.want {
			close(a.all)
		}
	}
	return results, err
}

// wait returns once all jobs have come.
func (a *arrivals) wait(ctx context.Context) error {
	select {
	case <-a.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(relayWithin):
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Errorf("%d of %d jobs came within %s", len(a.at), a.want, relayWithin)
}
