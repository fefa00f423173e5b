package main

import (
	"context"
	"io"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// The parts of the program that can be right or wrong.
var (
	Run       = run
	FillPast  = fillPast
	Compute   = compute
	Work      = work
	RecordsIn = recordsIn
)

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
