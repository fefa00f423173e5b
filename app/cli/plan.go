package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// How many ticks of each job are shown, by what was asked for.
const (
	fewTicks  = 10
	manyTicks = 1000
	mostTicks = 100_000
)

type planFlags struct {
	window         window
	from           string
	count          whole
	cron, zone     string
	asJSON, asICal bool
	// expression tells that it is about a cron expression, counted that the
	// limit is the caller's own.
	expression, counted bool
}

func (s *session) planCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan [NAME]",
		Short: "Show what will fire, with zones, offsets and clock changes",
		Long: `Shows the ticks to come of all enabled jobs in the order of time, or of one job, or of
any cron expression. Each has its local time, zone and offset, and a note when the
clocks change. No worker needs to run.

Ten ticks of each job are shown, with --for up to a thousand, with --count as many as it
says; what is left out is noted on stderr. Jitter, pauses and overlaps are not foreseen.
With --cron, --json prints an array of instants.

Ticks come after the instant of --from, never at it. A date alone is a day, and belongs
to the plan from its midnight in the zone of each job, or of --tz; then --for with whole
days counts days of the calendar there, however long the clocks make them.

` + exitCodes,
		Example: `  worker plan
  worker plan reports.nightly --for 30d --ical > reports.ics
  worker plan --from 2026-03-28 --for 2d
  worker plan --cron '30 2 * * *' --tz Europe/Berlin --count 5 --json`,
		Args: planArgs,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, args); err != nil {
				return err
			}
			return s.plan(ctx, strings.Join(args, ""), &f)
		}),
	}
	cmd.Flags().Var(&f.window, "for", "how far to look, such as 12h or 30d")
	cmd.Flags().StringVar(&f.from, "from", "", "`time` to begin after: RFC 3339 or a local time; or a date to begin with; now if not given")
	cmd.Flags().Var(&f.count, "count", "how many ticks of each job to show, at most 100000")
	cmd.Flags().StringVar(&f.cron, "cron", "", "a cron `expression` instead of the jobs")
	cmd.Flags().StringVar(&f.zone, "tz", "", "the `zone` of --cron; WORKER_TIMEZONE if not given")
	cmd.Flags().BoolVar(&f.asICal, "ical", false, "print an iCalendar file")
	addJSON(cmd, &f.asJSON)
	return cmd
}

func planArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && args[0] == "" {
		return usagef(cmd, "NAME is empty")
	}
	if len(args) > 1 {
		return usagef(cmd, "unexpected argument %s", domain.Quote(args[1]))
	}
	return nil
}

func (f *planFlags) check(cmd *cobra.Command, args []string) error {
	changed := cmd.Flags().Changed
	switch {
	case changed("cron") && len(args) > 0:
		return usagef(cmd, "--cron and a job exclude one another")
	case changed("tz") && !changed("cron"):
		return usagef(cmd, "--tz is the zone of --cron, which is not given; jobs have zones of their own")
	case f.asJSON && f.asICal:
		return usagef(cmd, "--json and --ical exclude one another")
	case changed("count") && (f.count < 1 || f.count > mostTicks):
		return usagef(cmd, "--count %d: want 1 to %d", f.count, mostTicks)
	case changed("for") && f.window.duration <= 0:
		return usagef(cmd, "--for %s: want more than nothing", f.window.String())
	}
	f.expression, f.counted = changed("cron"), changed("count")
	switch {
	case f.counted:
	case changed("for"):
		f.count = manyTicks
	default:
		f.count = fewTicks
	}
	return nil
}

// view is what a plan is made of.
type view struct {
	jobs []app.PlannedJob
	// title is the cron expression, if it is not about jobs.
	title string
	from  beginning
	ticks []app.PlannedTick
	// cut are the jobs that have more ticks than are shown.
	cut []string
}

func (s *session) plan(ctx context.Context, name string, f *planFlags) error {
	v, err := s.planned(ctx, name, f)
	if err != nil {
		return err
	}
	if err := v.collect(ctx, f); err != nil {
		return err
	}
	s.noteCut(v)
	switch {
	case f.asICal:
		s.printCalendar(v)
	case f.asJSON:
		return s.printPlanJSON(v)
	default:
		s.printPlan(v)
	}
	return nil
}

// planned resolves which schedules are asked about, and from when.
func (s *session) planned(ctx context.Context, name string, f *planFlags) (*view, error) {
	if f.expression && f.zone != "" {
		return s.expression(f)
	}
	if f.expression {
		loaded, report, err := s.loadPart("WORKER_TIMEZONE")
		if err != nil {
			return nil, err
		}
		s.warn(report)
		f.zone = loaded.Scheduler.Timezone
		return s.expression(f)
	}
	loaded, _, err := s.look()
	if err != nil {
		return nil, err
	}
	f.zone = loaded.Scheduler.Timezone
	if !loaded.Scheduler.Enabled {
		s.say("the scheduler is off (WORKER_SCHEDULER_ENABLED): no job fires")
	}
	built, err := s.registered(ctx, loaded)
	if err != nil {
		return nil, err
	}
	jobs, err := built.PlannedJobs(name)
	if err != nil {
		return nil, refuseName(built, err)
	}
	zone, err := time.LoadLocation(f.zone)
	if err != nil {
		return nil, err
	}
	from, err := s.beginning(f.from, zone)
	return &view{jobs: jobs, from: from}, err
}

func (s *session) expression(f *planFlags) (*view, error) {
	cron, err := schedule.ParseCron(f.cron, f.zone)
	if err != nil {
		return nil, err
	}
	for _, warning := range cron.Warnings() {
		s.say("cron %s: %s (warning)", domain.Quote(f.cron), printable(warning))
	}
	from, err := s.beginning(f.from, cron.Location())
	return &view{jobs: []app.PlannedJob{{Schedule: cron}}, title: f.cron, from: from}, err
}

// refuseName says which jobs can be planned.
func refuseName(built *app.App, err error) error {
	var names []string
	if jobs, listErr := built.PlannedJobs(""); listErr == nil {
		for _, job := range jobs {
			names = append(names, job.Name)
		}
	}
	if len(names) == 0 {
		return &exitError{code: ExitBadData, err: fmt.Errorf("%w; no job has a schedule and is enabled", err)}
	}
	return &exitError{code: ExitBadData, err: fmt.Errorf("%w; with a schedule and enabled are: %s", err, strings.Join(names, ", "))}
}

// collect takes the ticks of each job and merges them in the order of time.
func (v *view) collect(ctx context.Context, f *planFlags) error {
	for _, job := range v.jobs {
		v.take(job, f)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	slices.SortStableFunc(v.ticks, func(a, b app.PlannedTick) int { return a.At.Compare(b.At) })
	return nil
}

func (v *view) take(job app.PlannedJob, f *planFlags) {
	taken := whole(0)
	after, until := v.from.bounds(job.Location(), f.window)
	for tick := range job.Ticks(after) {
		if !until.IsZero() && !tick.At.Before(until) {
			return
		}
		if taken == f.count {
			if !f.counted {
				v.cut = append(v.cut, job.Name)
			}
			return
		}
		v.ticks = append(v.ticks, tick)
		taken++
	}
}
