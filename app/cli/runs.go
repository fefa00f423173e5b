package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
)

const (
	fewRuns  = 50
	mostRuns = 10_000
)

type runsFlags struct {
	since, until, replica, instance string
	state, origin, fields           []string
	queue, jobName, jobID           string
	limit                           whole
	follow, asJSON                  bool
}

func (s *session) runsCommand() *cobra.Command {
	var f runsFlags
	cmd := &cobra.Command{
		Use:   "runs [NAME]",
		Short: "List what became of runs and queue jobs",
		Long: `Lists the runs of scheduled jobs, or of one, the newest first: one line each, as the
latest decision about it left it. With --queue, --job-name, --job-id or --field it lists
queue jobs. "why" explains one tick of a job.

The history in storage is read directly, and no worker needs to run; without storage the
running worker is asked for the records it has in memory.

With --follow it prints the latest lines, the newest last, and then one for each decision
as it is made, until it is interrupted. With --json each line is a JSON object.

` + exitCodes,
		Example: `  worker runs
  worker runs reports.nightly --since 7d --state failed,lost
  worker runs --queue mail --field customer.id=4711
  worker runs --follow --json`,
		Args: planArgs,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return s.runs(ctx, strings.Join(args, ""), &f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "`time` of the oldest: RFC 3339, a local time or date, or how long ago, such as 24h or 7d")
	flags.StringVar(&f.until, "until", "", "`time` that all were before, as for --since")
	flags.StringSliceVar(&f.state, "state", nil, "only these `states`: "+joined(history.States()))
	flags.StringSliceVar(&f.origin, "origin", nil, "only runs of these `origins`: schedule, manual, backfill, start")
	flags.StringVar(&f.queue, "queue", "", "jobs of the `queue`, and runs that put one there")
	flags.StringVar(&f.jobName, "job-name", "", "queue jobs of the `name`")
	flags.StringVar(&f.jobID, "job-id", "", "the queue job of the `id`")
	flags.StringVar(&f.replica, "replica", "", "`name` of the replica that decided")
	flags.StringArrayVar(&f.fields, "field", nil, "queue jobs whose data has the value: `path=value`")
	flags.Var(&f.limit, "limit", "how many to list, at most 10000; 50 if not given")
	flags.BoolVar(&f.follow, "follow", false, "go on with decisions as they are made")
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func joined(states []history.State) string {
	names := make([]string, len(states))
	for i, state := range states {
		names[i] = string(state)
	}
	return strings.Join(names, ", ")
}

func (f *runsFlags) check(cmd *cobra.Command) error {
	for _, state := range f.state {
		if !slices.Contains(history.States(), history.State(state)) {
			return usagef(cmd, "--state %s: want one of %s", domain.Quote(state), joined(history.States()))
		}
	}
	for _, origin := range f.origin {
		if !domain.Origin(origin).Known() {
			return usagef(cmd, "--origin %s: want one of schedule, manual, backfill, start", domain.Quote(origin))
		}
	}
	for _, field := range f.fields {
		if path, _, found := strings.Cut(field, "="); !found || path == "" {
			return usagef(cmd, "--field %s: want path=value, such as customer.id=4711", domain.Quote(field))
		}
	}
	if !cmd.Flags().Changed("limit") {
		f.limit = fewRuns
	}
	if f.limit < 1 || f.limit > mostRuns {
		return usagef(cmd, "--limit %d: want 1 to %d", f.limit, mostRuns)
	}
	return nil
}

// ofQueues reports whether the flags ask for queue jobs, too.
func (f *runsFlags) ofQueues() bool {
	return f.queue != "" || f.jobID != "" || f.jobName != "" || len(f.fields) > 0 ||
		slices.ContainsFunc(f.state, func(state string) bool { return history.State(state).OfQueueJobs() })
}

// filter returns what the flags select.
func (f *runsFlags) filter(name string, zone *time.Location, now time.Time) (filter domain.RunFilter, err error) {
	filter = domain.RunFilter{
		Job: name, Queue: domain.QueueName(f.queue), JobName: f.jobName, Replica: f.replica,
	}
	if f.jobID != "" {
		filter.JobIDs = []domain.JobID{domain.JobID(f.jobID)}
	}
	for _, origin := range f.origin {
		filter.Origins = append(filter.Origins, domain.Origin(origin))
	}
	for _, field := range f.fields {
		path, value, _ := strings.Cut(field, "=")
		filter.Fields = append(filter.Fields, domain.Field{Path: path, Value: value})
	}
	if !f.ofQueues() && len(f.origin) == 0 {
		filter.Origins = domain.Origins()
	}
	if filter.Since, err = moment("since", f.since, zone, now); err != nil {
		return filter, err
	}
	filter.Before, err = moment("until", f.until, zone, now)
	return filter, err
}

// moment reads a flag's time, or how long ago it was.
func moment(flag, text string, zone *time.Location, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := parseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	read, err := parseBeginning(flag, text, zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w, or how long ago (24h, 7d)", err)
	}
	return read.instant(), nil
}

func (s *session) runs(ctx context.Context, name string, f *runsFlags) (err error) {
	loaded, report, err := s.load()
	if err != nil {
		return err
	}
	s.warn(report)
	zone, err := time.LoadLocation(loaded.Scheduler.Timezone)
	if err != nil {
		return err
	}
	filter, err := f.filter(name, zone, s.now())
	if err != nil {
		return err
	}
	from, err := s.openPast(ctx, loaded, f.instance)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	listing := history.Listing{Filter: filter, Limit: int(f.limit)}
	for _, state := range f.state {
		listing.States = append(listing.States, history.State(state))
	}
	show := s.runPrinter(zone, f.asJSON)
	if f.follow {
		return s.followRuns(ctx, from, listing, show)
	}
	found, err := history.List(ctx, from, listing)
	if err != nil {
		return err
	}
	if len(found.Records) == 0 {
		if err := s.checkJob(ctx, from, name, f.instance); err != nil {
			return err
		}
		s.say("nothing is recorded of such runs")
	}
	s.sayReached(found, zone)
	return show(found.Records)
}

// sayReached says how far back a listing looked that did not look at all.
func (s *session) sayReached(found history.Listed, zone *time.Location) {
	if !found.Reached.IsZero() {
		// In whole seconds, and rather some records twice than none.
		until := found.Reached.Add(time.Second).Truncate(time.Second)
		s.say("looked back to %[1]s only: --until %[1]s goes on from there", until.In(zone).Format(time.RFC3339))
	}
}

// checkJob refuses the name of a job that is neither registered nor known to
// the history.
func (s *session) checkJob(ctx context.Context, from *past, name, instance string) error {
	if name == "" {
		return nil
	}
	info, names, err := s.jobNamed(ctx, from, name, instance)
	if info != nil || err != nil {
		return err
	}
	if _, err := lastKnown(ctx, from, name); err != nil {
		return unknownJob(name, names, err)
	}
	return nil
}
