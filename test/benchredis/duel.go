package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/taktwork/takt/test/figures"
)

// bench measures both sides on one server.
type bench struct {
	server       *server
	takt, bullmq side
	options      options
}

// turn is what one side did in one round.
type turn struct {
	report
	// redis is what it made the server do.
	redis usage
	// instructions is how many the server needed, where they are counted.
	instructions float64
	jobs         int
}

// duel holds the runs of both sides, one a round each.
type duel struct{ takt, bullmq []turn }

// duel lets the sides take turns; who begins changes from round to round.
func (b *bench) duel(ctx context.Context, rounds int, measure func(context.Context, side) (turn, error)) (duel, error) {
	var d duel
	for round := range rounds {
		order := []side{b.bullmq, b.takt}
		if round%2 == 1 {
			order = []side{b.takt, b.bullmq}
		}
		for _, s := range order {
			taken, err := measure(ctx, s)
			if err != nil {
				return duel{}, fmt.Errorf("%s: %w", s.name, err)
			}
			if s.name == b.takt.name {
				d.takt = append(d.takt, taken)
			} else {
				d.bullmq = append(d.bullmq, taken)
			}
		}
	}
	return d, nil
}

// both returns a figure of each side; the goal is Takt's.
func (d duel) both(name, unit string, goal *figures.Goal, value func(turn) float64) []figures.Figure {
	return []figures.Figure{
		figures.New(name+", Takt", unit, each(d.takt, value), goal),
		figures.New(name+", BullMQ", unit, each(d.bullmq, value), nil),
	}
}

// ratio returns the figure of Takt's value over BullMQ's of the same round.
func (d duel) ratio(name string, goal *figures.Goal, value func(turn) float64) figures.Figure {
	ratios := make([]float64, len(d.takt))
	for i := range ratios {
		ratios[i] = value(d.takt[i]) / value(d.bullmq[i])
	}
	return figures.New(name+", Takt / BullMQ", "×", ratios, goal)
}

func each(runs []turn, value func(turn) float64) []float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = value(r)
	}
	return values
}

// worked starts the side's worker, which waits for jobs or finds them, calls
// meanwhile and returns the worker's report.
func (b *bench) worked(ctx context.Context, s side, what spec, meanwhile func(pid int, enough func() error) error) (found report, err error) {
	c, err := start(s.worker(ctx, what))
	if err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.begin(); err != nil {
		return report{}, err
	}
	if err := c.working(); err != nil {
		return report{}, err
	}
	if err := meanwhile(c.cmd.Process.Pid, c.enough); err != nil {
		return report{}, err
	}
	if found, err = c.report(); err != nil {
		return report{}, err
	}
	found.peak, err = figures.PeakOf(c.cmd.Process.Pid)
	return found, err
}
