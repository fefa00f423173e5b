package main

import (
	"flag"
	"fmt"
	"io"
	"regexp"
)

// manyAtATime is the concurrency of workers under load.
const manyAtATime = 100

// options are the choices of the command line.
type options struct {
	pattern *regexp.Regexp
	json    bool
	// jobs and rounds say how much is measured; the others follow from jobs.
	jobs, rounds int
	backlog      int
	seconds      int
	counted      int
	// node holds our programs for Node, bullmq is BullMQ's module.
	node, bullmq string
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("benchredis", flag.ContinueOnError)
	flags.SetOutput(stderr)
	pattern := flags.String("run", "", "measure the rows whose name matches the `regexp`")
	flags.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	flags.IntVar(&o.jobs, "jobs", 100_000, "jobs of each run")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds in which each side has one turn")
	flags.IntVar(&o.backlog, "backlog", 0, "waiting jobs under which memory is measured; ten times -jobs unless given")
	flags.IntVar(&o.counted, "counted", 0, "jobs whose instructions are counted; a fiftieth of -jobs unless given")
	flags.StringVar(&o.node, "node", "test/benchredis/node", "`directory` of the programs for Node")
	flags.StringVar(&o.bullmq, "bullmq", "test/interop/node_modules/bullmq-5.81.5", "`directory` of BullMQ's module")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	var err error
	if o.pattern, err = regexp.Compile(*pattern); err == nil {
		err = o.check()
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "benchredis:", err)
		return options{}, err
	}
	o.derive()
	return o, nil
}

// Fewer jobs than this say nothing.
const fewestJobs = 1000

func (o *options) check() error {
	switch {
	case o.jobs < fewestJobs:
		return fmt.Errorf("-jobs %d: at least %d are needed", o.jobs, fewestJobs)
	case o.rounds < 1:
		return fmt.Errorf("-rounds %d: at least 1 is needed", o.rounds)
	}
	return nil
}

// derive makes what was not given fit the number of jobs.
func (o *options) derive() {
	if o.backlog == 0 {
		o.backlog = 10 * o.jobs
	}
	if o.counted == 0 {
		o.counted = min(max(o.jobs/50, 200), 2000)
	}
	o.seconds = min(max(o.jobs/10_000, 3), 10)
}
