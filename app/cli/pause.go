package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
)

func (s *session) pauseCommand() *cobra.Command {
	return s.switchCommand(app.MethodPause, "pause NAME", "Stop the ticks of a scheduled job on all replicas", `Stops the ticks of a scheduled job, on all replicas within a second, until it is
resumed; a restart does not end the pause when the ledger is in Redis or SQL. Runs under
way go on, and "jobs trigger" and "jobs backfill" run the job all the same. Ticks that
pass meanwhile are recorded as skipped and are not caught up with. Pausing twice does no harm.
`, "worker jobs pause reports.nightly")
}

func (s *session) resumeCommand() *cobra.Command {
	return s.switchCommand(app.MethodResume, "resume NAME", "Let a paused job tick again", `Ends the pause of a scheduled job, on all replicas within a second: it ticks from now
on. A job that is not paused is left alone.
`, "worker jobs resume reports.nightly")
}

func (s *session) switchCommand(method, use, short, long, example string) *cobra.Command { //nolint:revive // the words of one command
	var f jobsFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long + "\n" + exitCodes, Example: "  " + example + "\n  " + example + " --json",
		Args: oneArg("NAME"),
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, args []string) error {
			return s.switchJob(ctx, method, args[0], f)
		}),
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func (s *session) switchJob(ctx context.Context, method, name string, f jobsFlags) error {
	loaded, report, err := s.loadClient()
	if err != nil {
		return err
	}
	s.warn(report)
	worker, err := s.anyWorker(loaded, f.instance)
	if err != nil {
		return err
	}
	var reply app.SwitchReply
	if err := call(ctx, worker, question{method: method, params: app.SwitchRequest{Name: name}}, &reply); err != nil {
		return err
	}
	if f.asJSON {
		return s.printJSON(reply)
	}
	state := "ticks"
	if reply.Paused {
		state = "is paused"
	}
	s.printf("%s %s\n", printable(reply.Name), state)
	return nil
}
