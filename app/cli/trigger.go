package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
)

func (s *session) triggerCommand() *cobra.Command {
	var f jobsFlags
	cmd := &cobra.Command{
		Use:   "trigger NAME",
		Short: "Run a scheduled job now, in the running worker",
		Long: `Runs a scheduled job now, in the running worker, waits for its end and prints
what happened. When several workers run on this host, any of them takes it. An
interrupt ends the wait; the run goes on. A skipped run is no failure: 0. A run
that failed is 70, an unknown or disabled job 65, no running worker 69.

` + exitCodes,
		Example: `  worker jobs trigger reports.nightly
  worker jobs trigger reports.nightly --json`,
		Args: oneName,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, args []string) error {
			return s.trigger(ctx, args[0], f)
		}),
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func (s *session) trigger(ctx context.Context, name string, f jobsFlags) error {
	loaded, report, err := s.loadClient()
	if err != nil {
		return err
	}
	s.warn(report)
	worker, err := s.anyWorker(loaded, f.instance)
	if err != nil {
		return err
	}
	var reply app.TriggerReply
	err = call(ctx, worker, question{method: app.MethodTrigger, params: app.TriggerRequest{Name: name}}, &reply)
	if errors.Is(err, errInterrupted) {
		return fmt.Errorf("%w; the run of %s goes on", err, printable(name))
	}
	if control.CodeOf(err) == control.CodeBadData {
		return s.withEnabled(ctx, worker, name, err)
	}
	if err != nil {
		return err
	}
	if f.asJSON {
		err = s.printJSON(reply)
	} else {
		s.printf("%s\n", describeTrigger(name, &reply))
	}
	if code := triggerCode(reply.Outcome); err == nil && code != ExitOK {
		return &exitError{code: code}
	}
	return err
}

// withEnabled adds to the refusal of a disabled job which jobs are enabled.
func (s *session) withEnabled(ctx context.Context, worker control.Instance, name string, refusal error) error {
	var jobs []app.JobInfo
	if call(ctx, worker, question{method: app.MethodJobs}, &jobs) != nil {
		return refusal
	}
	if !slices.ContainsFunc(jobs, func(job app.JobInfo) bool { return job.ID == name }) {
		return refusal
	}
	var enabled []string
	for i := range jobs {
		if jobs[i].Enabled {
			enabled = append(enabled, jobs[i].ID)
		}
	}
	if len(enabled) == 0 {
		return fmt.Errorf("%w; no job is enabled", refusal)
	}
	return fmt.Errorf("%w; enabled are: %s", refusal, strings.Join(enabled, ", "))
}

func describeTrigger(name string, reply *app.TriggerReply) string {
	return printable(name + " " + describeOutcome(reply))
}

// describeOutcome says what became of a run.
func describeOutcome(reply *app.TriggerReply) string {
	because := ""
	if reply.Reason != "" {
		because = ": " + reply.Reason
	}
	if reply.By != "" {
		because += " (by " + reply.By + ")"
	}
	switch domain.Event(reply.Outcome) { //nolint:exhaustive // the others are worded well enough
	case domain.EventFired:
		because += ", queued as job " + strconv.Quote(reply.JobID)
	case domain.EventSkipped:
		return "skipped" + because
	}
	took := time.Duration(reply.DurationMS * float64(time.Millisecond)).Round(time.Microsecond)
	return fmt.Sprintf("%s%s; %s, %s", reply.Outcome, because, plural(reply.Attempts, "attempt"), took)
}

func triggerCode(outcome string) int {
	switch domain.Event(outcome) { //nolint:exhaustive // all others did what was asked, or decided not to
	case domain.EventFailed, domain.EventQuarantined:
		return ExitInternal
	case domain.EventCancelled, domain.EventReleased, domain.EventAbandoned, domain.EventLost:
		return ExitAbandoned
	}
	return ExitOK
}
