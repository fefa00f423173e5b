package figures

import "slices"

// Figure is one quantity, measured several times.
type Figure struct {
	Row  string `json:"row"`
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Measured is the median of the runs, unless the figure says otherwise.
	Measured float64 `json:"measured"`
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
	Runs     int     `json:"runs"`
	// Goal is nil for a figure that is there to be known.
	Goal *Goal `json:"goal,omitempty"`
}

// Goal bounds a figure on one side.
type Goal struct {
	Bound Bound   `json:"bound"`
	Value float64 `json:"value"`
}

// Bound is the side on which a goal lies.
type Bound string

// The bounds of goals.
const (
	Most  Bound = "at most"
	Least Bound = "at least"
)

// AtMost returns a goal from above.
func AtMost(value float64) *Goal { return &Goal{Bound: Most, Value: value} }

// AtLeast returns a goal from below.
func AtLeast(value float64) *Goal { return &Goal{Bound: Least, Value: value} }

// New takes the median of the runs, of which there is at least one.
func New(name, unit string, runs []float64, g *Goal) Figure {
	return Figure{
		Name: name, Unit: unit, Goal: g, Runs: len(runs),
		Measured: Median(runs), Min: slices.Min(runs), Max: slices.Max(runs),
	}
}

// Reached reports whether the figure keeps its goal; without one it does.
func (f Figure) Reached() bool {
	switch {
	case f.Goal == nil:
		return true
	case f.Goal.Bound == Least:
		return f.Measured >= f.Goal.Value
	}
	return f.Measured <= f.Goal.Value
}

// ratio is the figure over its goal; there is none to no goal, or to zero.
func (f Figure) ratio() (ratio float64, ok bool) {
	if f.Goal == nil || f.Goal.Value == 0 {
		return 0, false
	}
	return f.Measured / f.Goal.Value, true
}
