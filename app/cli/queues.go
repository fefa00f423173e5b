package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

type queuesFlags struct {
	instance string
	asJSON   bool
}

const queuesLong = `Tells of each queue how many jobs it has in each state, how old the oldest job is that
could be worked now, whether the queue is paused or held, and its limits. Without a name
it lists the queues that this program knows; any other is shown by its name.

Queues in Redis are read there, and no worker needs to run; for queues in memory the
running worker is asked.

`

func (s *session) queuesCommand() *cobra.Command {
	queues := s.queuesList("queues [QUEUE...]")
	queues.AddCommand(s.queuesList("list [QUEUE...]"), s.queueJobsCommand(), s.queueJobCommand())
	for _, v := range operations() {
		queues.AddCommand(s.operationCommand(&v))
	}
	return queues
}

func (s *session) queuesList(use string) *cobra.Command {
	var f queuesFlags
	cmd := &cobra.Command{
		Use:   use,
		Short: "Show queues: jobs by state, the oldest, pauses and limits",
		Long:  queuesLong + exitCodes,
		Example: `  worker queues
  worker queues mail reports
  worker queues list --json`,
		Args: cobra.ArbitraryArgs,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			return s.listQueues(ctx, cmd, args, f)
		}),
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func (s *session) listQueues(ctx context.Context, cmd *cobra.Command, args []string, f queuesFlags) error {
	names := make([]domain.QueueName, len(args))
	for i, arg := range args {
		names[i] = domain.QueueName(arg)
		if err := names[i].Validate(); err != nil {
			return err
		}
	}
	states, err := atQueues(ctx, s, f.instance, func(door queueDoor) ([]app.QueueState, error) {
		return door.states(ctx, names)
	})
	if err != nil {
		return err
	}
	s.noteVerbs(cmd, states)
	if f.asJSON {
		return s.printJSON(states)
	}
	rows := [][]string{{"QUEUE", "WAIT", "PRIORITIZED", "DELAYED", "PARKED", "ACTIVE", "CHILDREN", "COMPLETED", "FAILED", "OLDEST", "STATE", "LIMITS"}}
	for i := range states {
		rows = append(rows, s.queueRow(&states[i]))
	}
	table(s.out, rows)
	return nil
}

// noteVerbs tells of empty queues whose names are nearly those of commands.
func (s *session) noteVerbs(cmd *cobra.Command, states []app.QueueState) {
	if len(states) == 0 || !cmd.HasSubCommands() || total(&states[0]) > 0 {
		return
	}
	if found := suggestions(cmd, states[0].Queue); len(found) > 0 {
		s.note("note: queue %s is empty%s", states[0].Queue, meant(found))
	}
}

func total(state *app.QueueState) int {
	sum := 0
	for _, n := range state.Jobs {
		sum += n
	}
	return sum
}

func (s *session) queueRow(state *app.QueueState) []string {
	row := []string{printable(state.Queue)}
	for _, name := range app.JobStates() {
		row = append(row, strconv.Itoa(state.Jobs[string(name)]))
	}
	oldest := "-"
	if state.OldestWaiting != nil {
		oldest = s.age(state.OldestWaiting)
	}
	return append(row, oldest, queueMood(state), limitsText(&state.Limits))
}

// queueMood is whether the queue's jobs start.
func queueMood(state *app.QueueState) string {
	switch held := time.Duration(state.Limits.HeldForMS) * time.Millisecond; {
	case state.Paused:
		return "paused"
	case held > 0:
		return "held " + span(held)
	}
	return "runs"
}

func limitsText(limits *app.QueueLimitState) string {
	var parts []string
	if limits.Concurrency != 0 {
		parts = append(parts, fmt.Sprintf("%d at a time", limits.Concurrency))
	}
	if limits.RateMax != 0 {
		parts = append(parts, fmt.Sprintf("%d in %s", limits.RateMax, time.Duration(limits.RatePerMS)*time.Millisecond))
	}
	return orDash(strings.Join(parts, ", "))
}

// age is how long ago a moment was, by the clock of this host.
func (s *session) age(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return max(s.now().Sub(*at), 0).Round(time.Second).String()
}

// oneQueue takes the name of a queue.
func oneQueue(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return usagef(cmd, "QUEUE is missing")
	case len(args) > 1:
		return usagef(cmd, "unexpected argument %s", domain.Quote(args[1]))
	}
	return nil
}
