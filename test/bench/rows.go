package main

import "context"

// row is a measurement that yields one or several figures.
type row struct {
	name    string
	measure func(context.Context) ([]figure, error)
}

// rows are all measurements, those of the binary first.
func rows(worker string) []row {
	return []row{
		{"start", func(ctx context.Context) ([]figure, error) { return measureStart(ctx, worker) }},
		{"idle", func(ctx context.Context) ([]figure, error) { return measureIdle(ctx, worker) }},
		{"goroutines", measureGoroutines},
		{"binary", func(ctx context.Context) ([]figure, error) { return measureBinary(ctx, worker) }},
		{"planner-10k", func(ctx context.Context) ([]figure, error) {
			return measurePlanner(ctx, plannerLoad{jobs: 10_000, make: cronJobs, p99: atMost(10)})
		}},
		{"planner-100k", func(ctx context.Context) ([]figure, error) {
			return measurePlanner(ctx, plannerLoad{jobs: 100_000, make: cronJobs, p99: atMost(50), cores: atMost(0.1)})
		}},
		{"planner-100k-spread", func(ctx context.Context) ([]figure, error) {
			return measurePlanner(ctx, plannerLoad{jobs: 100_000, make: intervalJobs, p99: atMost(50), cores: atMost(0.1)})
		}},
		{"register", measureRegister},
		{"next", measureNext},
		{"queue-batches", measureBatches},
		{"queue-tick-batches", measureTickBatches},
		{"queue-singles", measureSingles},
		{"queue-bound", measureBound},
	}
}
