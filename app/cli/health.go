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
	"github.com/taktwork/takt/core/runner"
)

// The checks of health.
const (
	checkLive    = "live"
	checkReady   = "ready"
	checkStartup = "startup"
)

// healthPatience is below the usual timeout of a probe.
const healthPatience = 2500 * time.Millisecond

// healthAnswer is what health prints as JSON.
type healthAnswer struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	app.HealthReply
}

func (s *session) healthCommand() *cobra.Command {
	var f jobsFlags
	cmd := &cobra.Command{
		Use:   "health [live|ready|startup]",
		Short: "Tell whether the running worker is well, by exit code and one line",
		Long: `Asks the running worker through its socket how its loops get on, prints one line
and exits with 0 if the check passes and with 69 if it does not.

  live     the worker answers and its loops move: restart it if not
  ready    it takes work and nothing is wrong (the default)
  startup  its start is over

A worker that drains is live and no longer ready.

` + exitCodes,
		Example: `  worker health
  worker health live --instance blue
  worker health --json`,
		Args: healthArgs,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, args []string) error {
			return s.health(ctx, append(args, checkReady)[0], f)
		}),
		ValidArgs: []string{checkLive, checkReady, checkStartup},
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func healthArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && !slices.Contains(cmd.ValidArgs, args[0]) {
		return usagef(cmd, "unknown check %s; known are: %s", domain.Quote(args[0]), strings.Join(cmd.ValidArgs, ", "))
	}
	if len(args) > 1 {
		return usagef(cmd, "unexpected argument %s", domain.Quote(args[1]))
	}
	return nil
}

func (s *session) health(ctx context.Context, check string, f jobsFlags) error {
	loaded, _, err := s.loadClient()
	if err != nil {
		return err
	}
	worker, err := s.worker(loaded, f.instance)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	answer := healthAnswer{Check: check}
	if err := call(ctx, worker, question{method: app.MethodHealth}, &answer.HealthReply); err != nil {
		return err
	}
	answer.OK = passes(check, &answer.HealthReply)
	if f.asJSON {
		err = s.printJSON(answer)
	} else {
		s.printf("%s\n", describeHealth(&answer))
	}
	if err == nil && !answer.OK {
		return &exitError{code: ExitUnavailable}
	}
	return err
}

func passes(check string, reply *app.HealthReply) bool {
	state := runner.State(reply.State)
	switch check {
	case checkLive:
		return !reply.Stalled
	case checkStartup:
		return state == runner.StateRunning || state == runner.StateDraining
	}
	return state == runner.StateRunning && len(reply.Problems) == 0
}

func describeHealth(answer *healthAnswer) string {
	verdict := "ok"
	if !answer.OK {
		verdict = "not " + answer.Check
	}
	active := answer.RunsActive
	for _, queue := range answer.Queues {
		active += queue.Active
	}
	up := time.Duration(answer.UptimeSeconds * float64(time.Second)).Round(time.Second)
	line := fmt.Sprintf("%s: %s, replica %s, backend %s, %s, %d active, up %s", verdict, answer.State, answer.Replica,
		answer.Backend, plural(answer.ScheduledJobs, "scheduled job"), active, up)
	if len(answer.Problems) > 0 {
		line += "; " + strings.Join(answer.Problems, "; ")
	}
	return printable(line)
}
