package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
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
	return nil, nil //nolint:nilnil // a handler without a result
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

// measureQueue runs the jobs through a new bench each time.
func measureQueue(ctx context.Context, open func(context.Context, *flow) (bench, error)) ([]figure, error) {
	var rates, allocations, busy, peaks []float64
	for range queueRuns {
		runtime.GC()
		f := newFlow()
		b, err := open(ctx, f)
		if err != nil {
			return nil, err
		}
		spent, err := f.through(ctx, b)
		if err != nil {
			return nil, err
		}
		rates = append(rates, queueJobs/spent.wall.Seconds())
		allocations = append(allocations, float64(spent.mallocs)/queueJobs)
		busy = append(busy, float64(spent.processor)/float64(time.Microsecond)/queueJobs)
		peaks = append(peaks, mebibytes(f.heap.peak()))
	}
	return []figure{
		newFigure("throughput", "jobs/s", rates, atLeast(500_000)),
		newFigure("allocations a job", "", allocations, atMost(6)),
		newFigure("processor time a job", "µs", busy, nil),
		newFigure("heap, peak", "MiB", peaks, nil),
	}, nil
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
	busy, err := ownCPU()
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
	busyAfter, err := ownCPU()
	runtime.ReadMemStats(&after)
	return spending{wall: wall, processor: busyAfter - busy, mallocs: after.Mallocs - before.Mallocs}, err
}

// measureBatches enqueues in batches, as a scheduler or a busy producer does.
func measureBatches(ctx context.Context) ([]figure, error) {
	return measureQueue(ctx, openRunner)
}

// openRunner makes what the app makes, so that batches can be enqueued.
func openRunner(ctx context.Context, f *flow) (bench, error) {
	queues := inmemqueue.New(inmemqueue.Config{})
	r, err := runner.New(runner.Config{Replica: "bench"}, runner.Ports{
		OpenConsumer: queues.OpenConsumer, Runs: inmemqueue.NewRunStore(10_000),
		Log: noLog(), Now: time.Now, Dice: rand.Float64,
	}, nil, []runner.Queue{{
		Name: queueName, Concurrency: concurrency,
		Routes: map[string]runner.Route{jobName: {Handler: runner.Handle(f.handle)}},
	}})
	if err != nil {
		return bench{}, err
	}
	jobs := make([]domain.NewJob, producerBatch)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: queueName, Name: jobName, Data: []byte("{}")}
	}
	return bench{
		batch: len(jobs),
		enqueue: func(ctx context.Context) error {
			_, err := queues.Enqueue(ctx, jobs...)
			return err
		},
		stop: func(ctx context.Context) error {
			report := r.Stop(ctx, runner.StopBudget{Drain: stopWithin, Cancel: time.Second, Release: time.Second})
			if n := r.Counts()[domain.EventCompleted]; report != (runner.StopReport{}) || n != queueJobs {
				return fmt.Errorf("%d jobs completed, want %d; the stop left %+v", n, queueJobs, report)
			}
			return queues.Close()
		},
	}, r.Start(ctx)
}

// measureSingles enqueues job by job through the service that features use.
func measureSingles(ctx context.Context) ([]figure, error) {
	return measureQueue(ctx, openApp)
}

func openApp(ctx context.Context, f *flow) (bench, error) {
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
		batch: 1,
		enqueue: func(ctx context.Context) error {
			_, err := a.Service().Enqueue(ctx, queueName, jobName, nothing{})
			return err
		},
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
