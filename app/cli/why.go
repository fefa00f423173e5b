package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

type whyFlags struct {
	at, replica, instance string
	asJSON                bool
	// zone is that of a local time unless the job has one.
	zone string
}

func (s *session) whyCommand() *cobra.Command {
	var f whyFlags
	cmd := &cobra.Command{
		Use:   "why NAME --at TIME",
		Short: "Explain why a scheduled job ran, ran late or did not run",
		Long: `Explains what became of the tick of a scheduled job: that it ran and how, that it ran
late, was skipped, missed, moved by a change of the clocks or is none, and what led to it.

The time is an instant (RFC 3339) or a local time in the zone of the job. Of a local time
that comes twice the planned one is meant; if that leaves two, both are named.

The history in storage is read directly, and no worker needs to run; without storage the
running worker is asked for the records it has in memory.

` + exitCodes,
		Example: `  worker why reports.nightly --at 2026-03-29T02:30
  worker why reports.nightly --at 2026-03-29T01:30:00Z --json
  worker why stock.sync --at 2026-03-29T06:00 --replica web-1-17-a1b2c3`,
		Args: oneName,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if f.at == "" {
				return usagef(cmd, "--at is missing")
			}
			return s.why(ctx, args[0], f)
		}),
	}
	cmd.Flags().StringVar(&f.at, "at", "", "`time` of the tick: RFC 3339, or a local time in the zone of the job")
	cmd.Flags().StringVar(&f.replica, "replica", "", "`name` of the replica whose view is asked for")
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func (s *session) why(ctx context.Context, name string, f whyFlags) (err error) {
	loaded, report, err := s.load()
	if err != nil {
		return err
	}
	s.warn(report)
	from, err := s.openPast(ctx, loaded, f.instance)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	f.zone = loaded.Scheduler.Timezone
	q, err := s.ask(ctx, from, name, f)
	if err != nil {
		return err
	}
	evidence, err := history.Gather(ctx, from, q)
	if err != nil {
		return err
	}
	answer := history.Explain(*q, evidence)
	if f.asJSON {
		return s.printJSON(describeAnswer(&answer))
	}
	s.printf("%s", printableText(answer.Text()))
	return nil
}

// ask makes the question: about a job that is registered or that the history
// knows, at a time in its zone.
func (s *session) ask(ctx context.Context, from *past, name string, f whyFlags) (*history.Question, error) {
	q := &history.Question{Job: name, Replica: f.replica, Now: s.now()}
	info, names, err := s.jobNamed(ctx, from, name, f.instance)
	if err != nil {
		return nil, err
	}
	if info != nil {
		if q.Known, err = from.known(ctx, info); err != nil {
			return nil, err
		}
	} else if q.Known.Schedule, err = lastKnown(ctx, from, name); err != nil {
		return nil, unknownJob(name, names, err)
	}
	if q.Zone, err = time.LoadLocation(f.zone); err != nil {
		return nil, err
	}
	if cron, ok := q.Known.Schedule.(*schedule.Cron); ok {
		q.Zone = cron.Location()
	}
	moment, err := history.ParseMoment(f.at, q.Zone)
	if err == nil {
		q.At, err = moment.Tick(q.Known.Schedule)
	}
	if err != nil {
		return nil, fmt.Errorf("--at: %w", err)
	}
	return q, nil
}

// jobNamed returns the job of the name as it is listed, nil if there is none,
// and the names that there are.
func (s *session) jobNamed(ctx context.Context, from *past, name, instance string) (found *app.JobInfo, names []string, err error) {
	if from.worker != nil {
		instance = from.worker.Name
	}
	jobs, err := s.jobs(ctx, instance)
	if several, ok := errors.AsType[*control.AmbiguousError](err); ok {
		// Each has the registrations, and the records are those of all.
		jobs, err = s.jobs(ctx, several.Instances[0].Name)
	}
	for i := range jobs {
		names = append(names, jobs[i].ID)
		if jobs[i].ID == name {
			found = &jobs[i]
		}
	}
	return found, names, err
}

var errNoRecord = errors.New("the history has no record of it")

// lastKnown returns the schedule of a job that the history alone knows.
func lastKnown(ctx context.Context, from *past, name string) (schedule.Schedule, error) {
	records, err := from.Query(ctx, domain.RunFilter{Job: name, Events: []domain.Event{domain.EventRegistered}, Limit: 1})
	if err == nil && len(records) == 0 {
		records, err = from.Query(ctx, domain.RunFilter{Job: name, Limit: 1})
	}
	switch {
	case err != nil:
		return nil, err
	case len(records) == 0:
		return nil, errNoRecord
	case records[0].Schedule == "":
		return nil, nil // A manual job.
	}
	return schedule.ParseText(records[0].Schedule)
}

// unknownJob says which jobs there are.
func unknownJob(name string, names []string, err error) error {
	if !errors.Is(err, errNoRecord) {
		return err
	}
	return fmt.Errorf("%w %s, and %w; registered are: %s", runner.ErrUnknownJob, domain.Quote(name), err, strings.Join(names, ", "))
}

// whyAnswer is an answer as JSON.
type whyAnswer struct {
	Job     string     `json:"job"`
	At      string     `json:"at"`
	Zone    string     `json:"zone"`
	Code    string     `json:"code"`
	Summary string     `json:"summary"`
	LateMS  int64      `json:"lateMs,omitempty"`
	Before  string     `json:"before,omitempty"`
	After   string     `json:"after,omitempty"`
	Causes  []whyCause `json:"causes"`
}

// whyCause is one link of the chain as JSON.
type whyCause struct {
	Code    string `json:"code"`
	Text    string `json:"text"`
	At      string `json:"at,omitempty"`
	Until   string `json:"until,omitempty"`
	Replica string `json:"replica,omitempty"`
	By      string `json:"by,omitempty"`
	Queue   string `json:"queue,omitempty"`
	JobID   string `json:"jobId,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
}

func describeAnswer(a *history.Answer) whyAnswer {
	zone := a.At.Location()
	answer := whyAnswer{
		Job: a.Job, At: a.At.Format(time.RFC3339Nano), Zone: zone.String(), Code: string(a.Code), Summary: a.Summary,
		LateMS: a.Late.Milliseconds(), Before: stamp(a.Before, zone), After: stamp(a.After, zone), Causes: []whyCause{},
	}
	for i := range a.Causes {
		c := &a.Causes[i]
		answer.Causes = append(answer.Causes, whyCause{
			Code: string(c.Code), Text: c.Text, At: stamp(c.At, zone), Until: stamp(c.Until, zone), Replica: c.Replica,
			By: c.By, Queue: string(c.Queue), JobID: string(c.JobID), Attempt: c.Attempt,
		})
	}
	return answer
}

// stamp shows a time to programs, the zero time as nothing.
func stamp(at time.Time, zone *time.Location) string {
	if at.IsZero() {
		return ""
	}
	return at.In(zone).Format(time.RFC3339Nano)
}
