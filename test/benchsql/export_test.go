package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// The parts of the program that can be right or wrong.
var (
	Run       = run
	Compute   = compute
	Work      = work
	RecordsIn = recordsIn
)

// FillPasts fills a store with records of either past, and returns when it ends.
func FillPasts() map[string]func(context.Context, ports.RunStore, int) (time.Time, error) {
	return map[string]func(context.Context, ports.RunStore, int) (time.Time, error){quietPast.name: quietPast.fill, busyPast.name: busyPast.fill}
}

// InTurns measures pairs without and with history, and returns by how many
// percent each took longer and how long all took.
func InTurns(pairs int, measure func(history bool) time.Duration) (slower []float64, without, with time.Duration) {
	r, _ := inTurns(pairs, func(history bool) (jobCost, error) { return jobCost{elapsed: measure(history)}, nil })
	return r.slower, r.without.elapsed, r.with.elapsed
}

// WorkInMemory works jobs of a queue in memory.
func WorkInMemory(ctx context.Context, jobs int, runs ports.RunStore) error {
	cost, err := jobRun{queue: inMemory(), jobs: jobs, steps: 1, runs: runs, servers: []int{os.Getpid()}}.measure(ctx)
	if err == nil && (cost.elapsed <= 0 || cost.own <= 0 || cost.servers <= 0) {
		err = fmt.Errorf("it took %v", cost)
	}
	return err
}

// Feed puts jobs on the queue until there is no room for more, of which so many
// may wait; worked notes one that was worked.
func Feed(queue ports.Enqueuer, jobs, ahead int) (fill, run func(context.Context) error, worked func()) {
	f := newFeed(queue, jobs, ahead)
	return f.fill, f.run, f.worked
}

// Lateness returns how late, in ms, those of the ticks are that a worker counts
// if each begins so late.
func Lateness(from, until time.Time, late time.Duration, ticks ...time.Time) []float64 {
	l := &lateness{from: from, until: until}
	for _, tick := range ticks {
		l.note(tick, tick.Add(late))
	}
	return l.all()
}

// RowsOf returns the names of the rows that the arguments select, and how many
// records are stored when the history is asked.
func RowsOf(args ...string) (names []string, records int, err error) {
	o, err := parseOptions(args, io.Discard)
	if err != nil {
		return nil, 0, err
	}
	for _, row := range (&bench{options: o}).rows() {
		if o.pattern.MatchString(row.Name) {
			names = append(names, row.Name)
		}
	}
	return names, o.records, nil
}

// Asks returns all questions about a past that ends then, by their words; the
// number tells how many there are, whatever their words.
func Asks(end time.Time) (asks map[string]func(context.Context, ports.RunStore) error, count int) {
	asks = map[string]func(context.Context, ports.RunStore) error{}
	for _, q := range append(runsAsks(end), whyAsks(end)...) {
		asks[q.words] = q.ask
		count++
	}
	return asks, count
}

// Arrivals notes when jobs come to the queue, and waits for so many.
func Arrivals(queue ports.Enqueuer, want int) (noting ports.Enqueuer, wait func(context.Context) error) {
	a := newArrivals(queue, want)
	return a, a.wait
}

// BenchJob is a job as the rows enqueue it.
func BenchJob() domain.NewJob { return domain.NewJob{Queue: benchQueue, Name: benchJob} }
