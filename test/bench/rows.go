package main

import (
	"context"

	"github.com/taktwork/takt/test/figures"
)

// rows are all measurements, those of the binary first.
func rows(worker string) []figures.Row {
	return []figures.Row{
		{Name: "start", Measure: func(ctx context.Context) ([]figures.Figure, error) { return measureStart(ctx, worker) }},
		{Name: "idle", Measure: func(ctx context.Context) ([]figures.Figure, error) { return measureIdle(ctx, worker) }},
		{Name: "goroutines", Measure: measureGoroutines},
		{Name: "binary", Measure: func(ctx context.Context) ([]figures.Figure, error) { return measureBinary(ctx, worker) }},
		{Name: "planner-10k", Measure: func(ctx context.Context) ([]figures.Figure, error) {
			return measurePlanner(ctx, plannerLoad{jobs: 10_000, make: cronJobs, p99: figures.AtMost(10)})
		}},
		{Name: "planner-100k", Measure: func(ctx context.Context) ([]figures.Figure, error) {
			return measurePlanner(ctx, plannerLoad{jobs: 100_000, make: cronJobs, p99: figures.AtMost(50), cores: figures.AtMost(0.1)})
		}},
		{Name: "planner-100k-spread", Measure: func(ctx context.Context) ([]figures.Figure, error) {
			return measurePlanner(ctx, plannerLoad{jobs: 100_000, make: intervalJobs, p99: figures.AtMost(50), cores: figures.AtMost(0.1)})
		}},
		{Name: "register", Measure: measureRegister},
		{Name: "next", Measure: measureNext},
		{Name: "queue-batches", Measure: measureBatches},
		{Name: "queue-tick-batches", Measure: measureTickBatches},
		{Name: "queue-singles", Measure: measureSingles},
		{Name: "queue-bound", Measure: measureBound},
	}
}
