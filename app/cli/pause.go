package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
)

func (s *session) pauseCommand() *cobra.Command {
	return s.switchCommand(app.MethodPause, "pause NAME", "Stop the ticks of a scheduled job on all replicas", `Stops the ticks of a scheduled job, on all replicas within a second, until it is
resumed. With the ledger in Redis or SQL a restart does not end the pause, and no worker
need run; with the ledger in memory the running worker is asked. Runs under
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
		Args: oneName,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, args []string) error {
			return s.switchJob(ctx, method, args[0], f)
		}),
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func (s *session) switchJob(ctx context.Context, method, name string, f jobsFlags) error {
	client, report, err := s.loadClient()
	if err != nil {
		return err
	}
	live, err := control.Instances(client.Process.StateDir, client.Process.Namespace)
	if err != nil {
		return err
	}
	var reply app.SwitchReply
	if len(live) == 0 && f.instance == "" {
		reply, err = s.switchInLedger(ctx, name, method == app.MethodPause)
		if errors.Is(err, app.ErrClaimsInMemory) {
			err = fmt.Errorf("%w; %w", err, s.explain(client, control.ErrNoWorker))
		}
	} else {
		s.warn(report)
		reply, err = s.askToSwitch(ctx, client, question{method: method, params: app.SwitchRequest{Name: name}}, f.instance)
	}
	if err != nil {
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

// askToSwitch asks a running worker.
func (s *session) askToSwitch(ctx context.Context, client *config.Config, q question, instance string) (app.SwitchReply, error) {
	var reply app.SwitchReply
	worker, err := s.anyWorker(client, instance)
	if err != nil {
		return reply, err
	}
	err = call(ctx, worker, q, &reply)
	return reply, err
}

// switchInLedger needs no worker, but a ledger outside of one.
func (s *session) switchInLedger(ctx context.Context, name string, paused bool) (app.SwitchReply, error) {
	reply := app.SwitchReply{Name: name, Paused: paused}
	loaded, _, err := s.load()
	if err != nil {
		return reply, err
	}
	built, err := s.registered(ctx, loaded)
	if err != nil {
		return reply, err
	}
	_, err = patiently(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, built.SwitchJob(ctx, name, paused)
	})
	return reply, err
}
