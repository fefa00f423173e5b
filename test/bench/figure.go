package main

import "slices"

// figure is one quantity, measured several times.
type figure struct {
	Row  string `json:"row"`
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Measured is the median of the runs, unless the figure says otherwise.
	Measured float64 `json:"measured"`
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
	Runs     int     `json:"runs"`
	// Goal is nil for a figure that is there to be known.
	Goal *goal `json:"goal,omitempty"`
}

// goal bounds a figure on one side.
type goal struct {
	Bound bound   `json:"bound"`
	Value float64 `json:"value"`
}

type bound string

const (
	most  bound = "at most"
	least bound = "at least"
)

func atMost(value float64) *goal  { return &goal{Bound: most, Value: value} }
func atLeast(value float64) *goal { return &goal{Bound: least, Value: value} }

// newFigure takes the median of the runs, of which there is at least one.
func newFigure(name, unit string, runs []float64, g *goal) figure {
	return figure{
		Name: name, Unit: unit, Goal: g, Runs: len(runs),
		Measured: median(runs), Min: slices.Min(runs), Max: slices.Max(runs),
	}
}

// reached reports whether the figure keeps its goal; without one it does.
func (f figure) reached() bool {
	switch {
	case f.Goal == nil:
		return true
	case f.Goal.Bound == least:
		return f.Measured >= f.Goal.Value
	}
	return f.Measured <= f.Goal.Value
}

// ratio is the figure over its goal; there is none to no goal, or to zero.
func (f figure) ratio() (ratio float64, ok bool) {
	if f.Goal == nil || f.Goal.Value == 0 {
		return 0, false
	}
	return f.Measured / f.Goal.Value, true
}
