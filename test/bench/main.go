package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the choices of the command line.
type options struct {
	rows   []row
	json   bool
	worker string
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	pattern := flags.String("run", "", "measure the rows whose name matches the `regexp`")
	flags.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	flags.StringVar(&o.worker, "worker", "bin/worker", "the binary to measure, at a `path` from the module's root; built if missing")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	selects, err := regexp.Compile(*pattern)
	if err != nil {
		err = fmt.Errorf("-run: %w", err)
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return options{}, err
	}
	for _, r := range rows(o.worker) {
		if selects.MatchString(r.name) {
			o.rows = append(o.rows, r)
		}
	}
	return o, nil
}

// run is the program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	here := thisMachine()
	if !o.json {
		_, _ = fmt.Fprintf(stdout, "%s\n\n", here)
	}
	figures, failed := measure(ctx, o.rows, stderr)
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report{Machine: here, Figures: figures})
	} else {
		_, err = io.WriteString(stdout, table(figures))
	}
	if err != nil || failed {
		return 1
	}
	return 0
}

// report is what -json prints.
type report struct {
	Machine machine  `json:"machine"`
	Figures []figure `json:"figures"`
}

// measure takes the figures of all rows. A row that cannot be measured is
// reported and left out.
func measure(ctx context.Context, rows []row, stderr io.Writer) (figures []figure, failed bool) {
	figures = []figure{}
	for _, r := range rows {
		// What one row leaves behind is not to be collected in the next.
		debug.FreeOSMemory()
		taken, err := r.measure(ctx)
		if err != nil {
			_, _ = fmt.Fprintf(stderr, "bench: %s: not measured: %v\n", r.name, err)
			failed = true
			continue
		}
		for i := range taken {
			taken[i].Row = r.name
		}
		figures = append(figures, taken...)
	}
	return figures, failed
}
