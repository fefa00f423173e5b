package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/control"
)

type jobsFlags struct {
	instance string
	asJSON   bool
}

const jobsLong = `Lists the scheduled jobs with their next ticks: as the running worker sees them,
or, when none runs, as they are registered. Then whether a job runs is unknown.
What became of the latest run is told for all replicas where storage keeps the
history, and by the running worker alone otherwise.

`

func (s *session) jobsCommand() *cobra.Command {
	jobs := s.jobsList("jobs")
	jobs.AddCommand(s.jobsList("list"), s.triggerCommand(), s.pauseCommand(), s.resumeCommand(), s.backfillCommand())
	return jobs
}

func (s *session) jobsList(use string) *cobra.Command {
	var f jobsFlags
	cmd := &cobra.Command{
		Use:   use,
		Short: "List the scheduled jobs and their next ticks",
		Long:  jobsLong + exitCodes,
		Example: `  worker jobs
  worker jobs list --json
  worker jobs --instance blue`,
		Args: noArgs,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			return s.listJobs(ctx, f)
		}),
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func (s *session) listJobs(ctx context.Context, f jobsFlags) error {
	jobs, err := s.jobs(ctx, f.instance)
	if err != nil {
		return err
	}
	if err := s.addLast(ctx, jobs); err != nil {
		s.say("what other workers did last is not known: %s", printableText(err.Error()))
	}
	if f.asJSON {
		return s.printJSON(jobs)
	}
	rows := [][]string{{"NAME", "SCHEDULE", "TARGET", "STATE", "NEXT TICK", "LAST"}}
	for i := range jobs {
		rows = append(rows, describeJob(&jobs[i]))
	}
	table(s.out, rows)
	return nil
}

// jobs asks the running worker, or, if none runs and none is wanted, the
// registrations.
func (s *session) jobs(ctx context.Context, wanted string) ([]app.JobInfo, error) {
	client, report, err := s.loadClient()
	if err != nil {
		return nil, err
	}
	worker, err := s.worker(client, wanted)
	if err == nil {
		s.warn(report)
		var jobs []app.JobInfo
		err = call(ctx, worker, question{method: app.MethodJobs}, &jobs)
		return jobs, err
	}
	if wanted != "" || !errors.Is(err, control.ErrNoWorker) {
		return nil, err
	}
	loaded, _, err := s.look()
	if err != nil {
		return nil, err
	}
	built, err := s.registered(ctx, loaded)
	if err != nil {
		return nil, err
	}
	return built.Service().ListJobs(), nil
}

func describeJob(job *app.JobInfo) []string {
	return []string{
		printable(job.ID), scheduleOf(job), targetOf(job), stateOf(job),
		orDash(localTime(job.NextTick, job.Timezone)), orDash(lastOf(job)),
	}
}

func scheduleOf(job *app.JobInfo) string {
	switch {
	case job.Cron != "":
		return printable(job.Cron + " " + job.Timezone)
	case job.IntervalMS != nil:
		return "every " + (time.Duration(*job.IntervalMS) * time.Millisecond).String()
	}
	return printable(job.ScheduleType)
}

func targetOf(job *app.JobInfo) string {
	if job.QueueName == "" {
		return printable(job.ExecutionTarget)
	}
	return printable(job.QueueName + "/" + job.QueueJobName)
}

func stateOf(job *app.JobInfo) string {
	state := "idle"
	switch {
	case !job.Enabled:
		state = "disabled"
	case job.Running == nil:
		state = "unknown"
	case *job.Running:
		state = "running"
	}
	if job.Paused {
		state += ", paused"
	}
	return state
}

func lastOf(job *app.JobInfo) string {
	if job.LastOutcome == "" {
		return ""
	}
	last := job.LastOutcome
	if job.LastAt != nil {
		last += " " + localTime(job.LastAt, job.Timezone)
	}
	if job.LastReason != "" {
		last += " (" + job.LastReason + ")"
	}
	return last
}

// localTime shows an instant in the job's zone, with the offset.
func localTime(at *time.Time, zone string) string {
	if at == nil {
		return ""
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		location = time.UTC
	}
	return at.In(location).Format("2006-01-02 15:04:05 -07:00")
}
