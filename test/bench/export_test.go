package main

import "io"

// The parts of the program that can be right or wrong.
var (
	CPUModel       = cpuModel
	Number         = number
	IsReached      = figure.reached
	Loaders        = loaders
	Median         = median
	ParseReady     = parseReady
	ParseResident  = parseResident
	ParseSchedstat = parseSchedstat
	PerSecond      = perSecond
	Percentile     = percentile
	Run            = run
	Table          = table
)

// Figure is a figure.
type Figure = figure

// NewFigure makes one with a goal.
func NewFigure(name string, runs []float64, g *goal) Figure { return newFigure(name, "ms", runs, g) }

// AtMost and AtLeast make goals.
var (
	AtMost  = atMost
	AtLeast = atLeast
)

// RowsOf returns the names of the rows that the arguments select.
func RowsOf(args ...string) ([]string, error) {
	o, err := parseOptions(args, io.Discard)
	var names []string
	for _, r := range o.rows {
		names = append(names, r.name)
	}
	return names, err
}
