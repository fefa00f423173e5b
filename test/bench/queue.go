package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/figures"
)

const (
	queueName   = "bench"
	jobName     = "bench.work"
	concurrency = 100

	queueRuns = 5
	// queueJobs are the jobs of one run.
	queueJobs = 500_000
	producers = 2
	// producerBatch is what a producer enqueues in one call, if it can.
	producerBatch = 50
	// backlog is how many jobs producers may be ahead of the handlers, and
	// roomEvery how often they are told that there is room again.
	backlog   = 10_000
	roomEvery = 1000
)

// nothing is the payload.
type nothing struct{}

// flow counts the jobs of one run through a queue.
type flow struct {
	claimed, handled atomic.Int64
	room, done       chan struct{}
	heap             heapPeak
}

func newFlow() *flow {
	return &flow{room: make(chan struct{}, 1), done: make(chan struct{})}
}

// handle is the handler of every job.
func (f *flow) handle(context.Context, runner.Job[nothing]) (any, error) {
	n := f.handled.Add(1)
	if n%roomEvery == 0 {
		select {
		case f.room <- struct{}{}:
		default:
		}
	}
	if n == queueJobs {
		close(f.done)
	}
	return nil, nil
}

// bench is a started worker to put jobs on.
type bench struct {
	// enqueue puts a batch on the queue.
	enqueue func(context.Context) error
	batch   int
	stop    func(context.Context) error
}

// produce puts jobs on the queue until all are.
func (f *flow) produce(ctx context.Context, b bench) error {
	for calls := 0; ; calls++ {
		if f.claimed.Add(int64(b.batch)) > queueJobs {
			return nil
		}
		for f.claimed.Load()-f.handled.Load() > backlog {
			select {
			case <-f.room:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if calls%roomEvery == 0 {
			f.heap.look()
		}
		if err := b.enqueue(ctx); err != nil {
			return err
		}
	}
}

// work runs all jobs of the flow through the bench.
func (f *flow) work(ctx context.Context, b bench) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for range producers {
		running.Go(func() {
			if err := f.produce(ctx, b); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// queueFigures are the runs of one way to enqueue.
type queueFigures struct{ rates, allocations, busy, peaks []float64 }

func (q *queueFigures) list(rate, allocations *figures.Goal) []figures.Figure {
	if q == nil {
		return nil
	}
	return []figures.Figure{
		figures.New("throughput", "jobs/s", q.rates, rate),
		figures.New("allocations a job", "", q.allocations, allocations),
		figures.New("processor time a job", "µs", q.busy, nil),
		figures.New("heap, peak", "MiB", q.peaks, nil),
	}
}

// measureQueue runs the jobs through a new worker each time.
func measureQueue(ctx context.Context, batch int, enqueue func(context.Context, *app.SchedulerService) error) (*queueFigures, error) {
	var q queueFigures
	for range queueRuns {
		runtime.GC()
		f := newFlow()
		b, err := openApp(ctx, f, batch, enqueue)
		if err != nil {
			return nil, err
		}
		spent, err := f.through(ctx, b)
		if err != nil {
			return nil, err
		}
		q.rates = append(q.rates, queueJobs/spent.wall.Seconds())
		q.allocations = append(q.allocations, float64(spent.mallocs)/queueJobs)
		q.busy = append(q.busy, float64(spent.processor)/float64(time.Microsecond)/queueJobs)
		q.peaks = append(q.peaks, mebibytes(f.heap.peak()))
	}
	return &q, nil
}

// spending is what the jobs of one run cost.
type spending struct {
	wall, processor time.Duration
	mallocs         uint64
}

// through runs all jobs of the flow through the bench and stops it.
func (f *flow) through(ctx context.Context, b bench) (spending, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	busy, err := figures.OwnCPU()
	if err != nil {
		return spending{}, errors.Join(err, b.stop(ctx))
	}
	began := time.Now()
	err = f.work(ctx, b)
	wall := time.Since(began)
	// The outcomes of the last jobs are written before the stop returns.
	if err = errors.Join(err, b.stop(ctx)); err != nil {
		return spending{}, err
	}
	busyAfter, err := figures.OwnCPU()
	runtime.ReadMemStats(&after)
	return spending{wall: wall, processor: busyAfter - busy, mallocs: after.Mallocs - before.Mallocs}, err
}

// measureBatches enqueues in batches, as a busy producer does, and keeps as
// many finished jobs as the queue has room for: what jobs without options get.
func measureBatches(ctx context.Context) ([]figures.Figure, error) {
	return batches(ctx, domain.Retention{})
}

// measureTickBatches keeps finished jobs as those that ticks make are kept:
// the last thousand.
func measureTickBatches(ctx context.Context) ([]figures.Figure, error) {
	return batches(ctx, domain.KeepLast(1000))
}

func batches(ctx context.Context, keep domain.Retention) ([]figures.Figure, error) {
	jobs := make([]domain.NewJob, producerBatch)
	for i := range jobs {
		jobs[i] = domain.NewJob{
			Queue: queueName, Name: jobName, Data: []byte("{}"),
			Options: domain.JobOptions{KeepCompleted: keep},
		}
	}
	runs, err := measureQueue(ctx, producerBatch, func(ctx context.Context, service *app.SchedulerService) error {
		_, err := service.EnqueueAll(ctx, jobs...)
		return err
	})
	return runs.list(figures.AtLeast(500_000), figures.AtMost(6)), err
}

// measureSingles enqueues job by job, each with a payload to marshal.
func measureSingles(ctx context.Context) ([]figures.Figure, error) {
	runs, err := measureQueue(ctx, 1, func(ctx context.Context, service *app.SchedulerService) error {
		_, err := service.Enqueue(ctx, queueName, jobName, nothing{})
		return err
	})
	return runs.list(nil, nil), err
}

// openApp starts a worker as the command does, with one feature.
func openApp(ctx context.Context, f *flow, batch int, enqueue func(context.Context, *app.SchedulerService) error) (bench, error) {
	feature := app.Feature("bench", func() app.Contribution {
		return app.Contribution{
			Queues:   []string{queueName},
			Handlers: []app.Handler{app.Handle(queueName, jobName, f.handle)},
		}
	})
	a, err := app.New(app.Settings{Concurrency: concurrency}, noLog(), feature)
	if err != nil {
		return bench{}, err
	}
	return bench{
		batch:   batch,
		enqueue: func(ctx context.Context) error { return enqueue(ctx, a.Service()) },
		stop: func(ctx context.Context) error {
			if report := a.Stop(ctx); !report.Clean() {
				return fmt.Errorf("the stop left %+v", report)
			}
			return nil
		},
	}, a.Start(ctx)
}

func noLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// heapPeak is the largest heap seen.
type heapPeak struct{ bytes atomic.Uint64 }

func (p *heapPeak) look() {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	for seen, now := p.bytes.Load(), sample[0].Value.Uint64(); now > seen; seen = p.bytes.Load() {
		if p.bytes.CompareAndSwap(seen, now) {
			return
		}
	}
}

func (p *heapPeak) peak() uint64 { return p.bytes.Load() }
