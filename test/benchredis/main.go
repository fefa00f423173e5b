package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/taktwork/takt/test/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var code int
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		code = runChild(ctx, os.Args[2:])
	} else {
		code = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code)
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
	code, err := measure(ctx, o, figures.Reporter{JSON: o.json, Stdout: stdout, Stderr: stderr})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "benchredis:", err)
		return 1
	}
	return code
}

// measure starts a server, has all rows measured on it and stops it.
func measure(ctx context.Context, o options, reporter figures.Reporter) (code int, err error) {
	b := &bench{options: o}
	if b.takt, err = takt(); err != nil {
		return 0, err
	}
	module, err := filepath.Abs(o.bullmq)
	if err != nil {
		return 0, err
	}
	if _, err := os.Stat(module); err != nil {
		return 0, fmt.Errorf("BullMQ is not installed, make interop installs it: %w", err)
	}
	b.bullmq = bullmq(o.node, module)
	if b.server, err = startServer(ctx); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.server.stop()) }()
	return reporter.Run(ctx, b.rows()), nil
}

// rowWithin bounds the time of one row.
const rowWithin = 5 * time.Minute

// rows are the measurements that the options select.
func (b *bench) rows() []figures.Row {
	all := []figures.Row{
		{Name: "process-100", Measure: b.measureProcessing},
		{Name: "process-1", Measure: b.measureSingly},
		{Name: "enqueue", Measure: b.measureEnqueueing},
		{Name: "flow", Measure: b.measureFlows},
		{Name: "page", Measure: b.measurePages},
		{Name: "latency", Measure: b.measureLatency},
		{Name: "idle", Measure: b.measureIdle},
		{Name: "memory", Measure: b.measureMemory},
		{Name: "instructions", Measure: b.measureInstructions},
	}
	selected := figures.Select(all, b.options.pattern)
	for i, row := range selected {
		selected[i].Measure = func(ctx context.Context) ([]figures.Figure, error) {
			ctx, cancel := context.WithTimeout(ctx, rowWithin)
			defer cancel()
			return row.Measure(ctx)
		}
	}
	return selected
}
