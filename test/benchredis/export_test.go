package main

import (
	"context"
	"io"
)

// The parts of the program that can be right or wrong.
var (
	NewPayload   = newPayload
	ParseTotals  = parseTotals
	SentByClient = sentByClient
	Run          = run
)

// Spec is a specification.
type Spec = spec

// ParseUsage returns the calls and the processor time in what INFO says.
func ParseUsage(commands, cpu map[string]string) (calls uint64, seconds float64, err error) {
	u, err := parseUsage(commands, cpu)
	return u.calls, u.cpu, err
}

// Child runs a child to the end of its input.
func Child(ctx context.Context, role string, s Spec, stdin io.Reader, stdout io.Writer) error {
	return childMain(ctx, []string{role, encoded(s)}, stdin, stdout)
}

// RowsOf returns the names of the rows that the arguments select, and how many
// jobs wait while memory is measured.
func RowsOf(args ...string) (names []string, backlog int, err error) {
	o, err := parseOptions(args, io.Discard)
	if err != nil {
		return nil, 0, err
	}
	for _, row := range (&bench{options: o}).rows() {
		names = append(names, row.Name)
	}
	return names, o.backlog, nil
}
