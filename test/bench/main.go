package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"

	"github.com/taktwork/takt/test/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the choices of the command line.
type options struct {
	rows   []figures.Row
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
	o.rows = figures.Select(rows(o.worker), selects)
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
	return figures.Reporter{JSON: o.json, Stdout: stdout, Stderr: stderr}.Run(ctx, o.rows)
}
