package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/figures"
)

const (
	goroutineRuns   = 3
	goroutineSettle = 2 * time.Second

	// boundJobs is the bound that is tried, boundBytes the size of each payload.
	boundJobs  = 50_000
	boundBytes = 256
)

// configured is what the binary makes of the given environment.
func configured(environ ...string) (*config.Config, error) {
	loaded, report := config.Load(config.Source{Environ: environ, PID: os.Getpid(), UID: os.Getuid()})
	return loaded, report.Err()
}

// measureGoroutines counts what a worker with the built-in feature adds to a
// process, at rest.
func measureGoroutines(ctx context.Context) ([]figures.Figure, error) {
	var counts []float64
	for range goroutineRuns {
		count, err := idleGoroutines(ctx)
		if err != nil {
			return nil, err
		}
		counts = append(counts, float64(count))
	}
	return []figures.Figure{figures.New("ours, idle", "", counts, figures.AtMost(20))}, nil
}

func idleGoroutines(ctx context.Context) (count int, err error) {
	dir, err := os.MkdirTemp("", "takt-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	loaded, err := configured("WORKER_STATE_DIR="+dir, "WORKER_DATA_DIR="+dir)
	if err != nil {
		return 0, err
	}
	a, err := app.New(app.SettingsFrom(loaded), noLog(), app.Supply(loaded), lifecycle.Module())
	if err != nil {
		return 0, err
	}
	before := runtime.NumGoroutine()
	if err := a.Start(ctx); err != nil {
		return 0, err
	}
	err = pause(ctx, goroutineSettle)
	count = runtime.NumGoroutine() - before
	return count, errors.Join(err, a.Stop(ctx).Err)
}

// measureBound fills a queue that nobody works beyond its bound.
func measureBound(ctx context.Context) ([]figures.Figure, error) {
	loaded, err := configured("WORKER_MEMORY_MAX_JOBS="+strconv.Itoa(boundJobs), "WORKER_DATA_DIR=/nonexistent")
	if err != nil {
		return nil, err
	}
	settings := app.SettingsFrom(loaded)
	settings.StateDir = ""
	// It is about the queue's memory.
	settings.Storage = app.Settings{}.Storage
	feature := app.Feature("bench", func() app.Contribution {
		return app.Contribution{Queues: []string{queueName}}
	})
	a, err := app.New(settings, noLog(), feature)
	if err != nil {
		return nil, err
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := a.Start(ctx); err != nil {
		return nil, err
	}
	var heap heapPeak
	accepted, err := fill(ctx, a.Service(), &heap)
	if err = errors.Join(err, a.Stop(ctx).Err); err != nil {
		return nil, err
	}
	return []figures.Figure{
		figures.New(fmt.Sprintf("jobs accepted, bound %d", boundJobs), "", []float64{float64(accepted)}, figures.AtMost(boundJobs)),
		figures.New(fmt.Sprintf("heap, peak, payloads of %d bytes", boundBytes), "MiB",
			[]float64{mebibytes(heap.peak() - before.HeapAlloc)}, nil),
	}, nil
}

// fill tries to enqueue twice as many jobs as there is room for. All that is
// refused must be refused for the want of room.
func fill(ctx context.Context, service *app.SchedulerService, heap *heapPeak) (accepted int, err error) {
	payload := strings.Repeat("x", boundBytes)
	for i := range 2 * boundJobs {
		if i%roomEvery == 0 {
			heap.look()
		}
		_, err := service.Enqueue(ctx, queueName, jobName, payload)
		switch {
		case err == nil:
			accepted++
		case !errors.Is(err, ports.ErrQueueFull):
			return accepted, err
		}
	}
	return accepted, nil
}
