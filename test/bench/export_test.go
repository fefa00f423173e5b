package main

import "io"

// The parts of the program that can be right or wrong.
var (
	Loaders    = loaders
	ParseReady = parseReady
	PerSecond  = perSecond
	Run        = run
)

// RowsOf returns the names of the rows that the arguments select.
func RowsOf(args ...string) ([]string, error) {
	o, err := parseOptions(args, io.Discard)
	var names []string
	for _, r := range o.rows {
		names = append(names, r.Name)
	}
	return names, err
}
