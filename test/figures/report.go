package figures

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
)

// Row is a measurement that yields one or several figures.
type Row struct {
	Name    string
	Measure func(context.Context) ([]Figure, error)
}

// Select returns the rows whose name matches.
func Select(rows []Row, name *regexp.Regexp) []Row {
	var selected []Row
	for _, row := range rows {
		if name.MatchString(row.Name) {
			selected = append(selected, row)
		}
	}
	return selected
}

// Reporter measures rows and prints what they yield.
type Reporter struct {
	// JSON prints a [Report] instead of a table.
	JSON           bool
	Stdout, Stderr io.Writer
}

// Report is what a reporter prints as JSON.
type Report struct {
	Machine Machine  `json:"machine"`
	Figures []Figure `json:"figures"`
}

// Run takes the figures of all rows, prints them and returns the exit code:
// 1 if a row could not be measured, which is reported and left out.
func (r Reporter) Run(ctx context.Context, rows []Row) int {
	here := ThisMachine()
	if !r.JSON {
		_, _ = fmt.Fprintf(r.Stdout, "%s\n\n", here)
	}
	taken, failed := r.measure(ctx, rows)
	if err := r.print(Report{Machine: here, Figures: taken}); err != nil || failed {
		return 1
	}
	return 0
}

func (r Reporter) measure(ctx context.Context, rows []Row) (all []Figure, failed bool) {
	all = []Figure{}
	for _, row := range rows {
		// What one row leaves behind is not to be collected in the next.
		debug.FreeOSMemory()
		taken, err := row.Measure(ctx)
		if err != nil {
			_, _ = fmt.Fprintf(r.Stderr, "bench: %s: not measured: %v\n", row.Name, err)
			failed = true
			continue
		}
		for i := range taken {
			taken[i].Row = row.Name
		}
		all = append(all, taken...)
	}
	return all, failed
}

func (r Reporter) print(report Report) error {
	if !r.JSON {
		_, err := io.WriteString(r.Stdout, Table(report.Figures))
		return err
	}
	encoder := json.NewEncoder(r.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
