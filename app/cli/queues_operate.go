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
)

// verb is a command that changes a queue.
type verb struct {
	kind             domain.OperationKind
	use, short, long string
	examples         string
	// done is what it does to jobs; empty if it changes the queue itself.
	done string
	// ids tells that jobs may be named, needed that they must.
	ids, needed bool
}

func operations() []verb {
	return []verb{
		{
			kind: domain.OpPause, use: "pause QUEUE", short: "Hand out no more jobs of a queue",
			long: `Stops all workers from taking jobs of the queue, until it is resumed. Jobs under way go
on, and jobs may still be enqueued. In Redis the workers of Node heed it, too, and it
outlives them all. Pausing twice does no harm.`,
			examples: "  worker queues pause mail",
		},
		{
			kind: domain.OpResume, use: "resume QUEUE", short: "Let the jobs of a paused queue go on",
			long:     `Ends a pause. A queue that is not paused is left alone.`,
			examples: "  worker queues resume mail",
		},
		{
			kind: domain.OpRetry, use: "retry QUEUE [ID...]", short: "Put failed jobs back to waiting",
			long: `Makes failed jobs wait again, all of them or those that are named. The attempts made stay
counted: a job that has used up all of its attempts gets one more.`,
			examples: "  worker queues retry mail --dry-run\n  worker queues retry mail --limit 10\n  worker queues retry mail 4711 4712",
			done:     "retried", ids: true,
		},
		{
			kind: domain.OpPromote, use: "promote QUEUE [ID...]", short: "Make delayed jobs due now",
			long:     `Makes delayed and parked jobs due now, all of them or those that are named.`,
			examples: "  worker queues promote mail\n  worker queues promote mail 4711",
			done:     "promoted", ids: true,
		},
		{
			kind: domain.OpRemove, use: "remove QUEUE ID...", short: "Remove jobs by id",
			long: `Removes the jobs, whatever their state, with those below them in their flows. Jobs that
are being worked stay.`,
			examples: "  worker queues remove mail 4711 4712\n  worker queues remove mail 4711 --dry-run",
			done:     "removed", ids: true, needed: true,
		},
		{
			kind: domain.OpDrain, use: "drain QUEUE", short: "Remove all waiting jobs",
			long: `Removes all jobs that wait, those with a priority included, and with --delayed those that
are delayed, too. Jobs under way and finished ones stay. What is removed is gone.`,
			examples: "  worker queues drain mail --dry-run\n  worker queues drain mail --delayed",
			done:     "removed",
		},
		{
			kind: domain.OpClean, use: "clean QUEUE", short: "Remove jobs of one state by age",
			long: `Removes the jobs of one state, or those that have been in it for longer than --older-than;
of jobs that wait their age counts. What is removed is gone.`,
			examples: "  worker queues clean mail --state completed --older-than 1d\n  worker queues clean mail --state failed --limit 1000 --dry-run",
			done:     "removed",
		},
	}
}

type operateFlags struct {
	queuesFlags

	state     string
	delayed   bool
	dryRun    bool
	olderThan duration
	limit     whole
}

const operateLong = `

Large queues are gone through in small steps, and others are served in between. An
interrupt ends it after a step, and what was done until then is told. Jobs that are named
and cannot be changed, because there is none or it is in another state, are told, and the
exit code is 65.

`

func (s *session) operationCommand(v *verb) *cobra.Command {
	var f operateFlags
	long := v.long + "\n\n"
	if v.done != "" {
		long = v.long + operateLong
	}
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: long + exitCodes, Example: v.examples, Args: v.args,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, v); err != nil {
				return err
			}
			return s.operate(ctx, v, args, &f)
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "tell what would be done, and change nothing")
	switch v.kind { //nolint:exhaustive // the others have no flags of their own
	case domain.OpDrain:
		flags.BoolVar(&f.delayed, "delayed", false, "remove delayed jobs, too")
	case domain.OpClean:
		flags.StringVar(&f.state, "state", "", "the `state`: "+joinedStates(cleanStates()))
		flags.Var(&f.olderThan, "older-than", "only jobs older than this, such as 12h or 7d")
	}
	if v.done != "" && !v.needed {
		flags.Var(&f.limit, "limit", "change at most so many jobs, those next in line or oldest first")
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

// cleanStates are those whose jobs nobody is at.
func cleanStates() []domain.State {
	return slices.DeleteFunc(app.JobStates(), func(state domain.State) bool {
		return state == domain.StateActive || state == domain.StateWaitingChildren
	})
}

func (v *verb) args(cmd *cobra.Command, args []string) error {
	switch {
	case !v.ids:
		return oneQueue(cmd, args)
	case len(args) == 0 || args[0] == "":
		return usagef(cmd, "QUEUE is missing")
	case slices.Contains(args[1:], ""):
		return usagef(cmd, "ID is empty")
	case v.needed && len(args) == 1:
		return usagef(cmd, "ID is missing")
	}
	return nil
}

func (f *operateFlags) check(cmd *cobra.Command, v *verb) error {
	if v.kind == domain.OpClean && !slices.Contains(cleanStates(), domain.State(f.state)) {
		if f.state == "" {
			return usagef(cmd, "--state is needed: one of %s", joinedStates(cleanStates()))
		}
		return usagef(cmd, "--state %s: want one of %s", domain.Quote(f.state), joinedStates(cleanStates()))
	}
	if cmd.Flags().Changed("limit") && f.limit < 1 {
		return usagef(cmd, "--limit %d: want 1 or more", f.limit)
	}
	return nil
}

// operated is what an operation did, as JSON.
type operated struct {
	Queue     string               `json:"queue"`
	Operation domain.OperationKind `json:"operation"`
	DryRun    bool                 `json:"dryRun"`
	// Jobs is how many were changed, or would be.
	Jobs int `json:"jobs"`
	// Paused is how the queue is now.
	Paused *bool `json:"paused,omitempty"`
	// PassedOver are the named jobs that were not changed.
	PassedOver []domain.JobID `json:"passedOver,omitempty"`
}

func (s *session) operate(ctx context.Context, v *verb, args []string, f *operateFlags) error {
	request := app.OperateRequest{
		Queue: domain.QueueName(args[0]), Kind: v.kind, State: domain.State(f.state),
		OlderThanMS: time.Duration(f.olderThan).Milliseconds(), Limit: int(f.limit), DryRun: f.dryRun,
	}
	if f.delayed {
		request.State = domain.StateDelayed
	}
	for _, id := range args[1:] {
		request.IDs = append(request.IDs, domain.JobID(id))
	}
	if err := request.Queue.Validate(); err != nil {
		return err
	}
	result, err := atQueues(ctx, s, f.instance, func(door queueDoor) (operated, error) {
		if v.done == "" {
			return hold(ctx, door, request)
		}
		return s.change(ctx, door, v, request)
	})
	if err != nil {
		if result.Jobs > 0 {
			s.note("%s: %s %s until then", request.Queue, plural(result.Jobs, "job"), v.doing(f.dryRun))
		}
		return err
	}
	if err := s.printOperated(v, &result, f.asJSON); err != nil {
		return err
	}
	return result.passedOver(v)
}

// hold pauses or resumes a queue.
func hold(ctx context.Context, door queueDoor, request app.OperateRequest) (operated, error) {
	result := operated{Queue: string(request.Queue), Operation: request.Kind, DryRun: request.DryRun}
	if !request.DryRun {
		if _, err := door.operate(ctx, request, func(int) {}); err != nil {
			return result, err
		}
	}
	states, err := door.states(ctx, []domain.QueueName{request.Queue})
	if err == nil && len(states) == 1 {
		result.Paused = &states[0].Paused
	}
	return result, err
}

// change does something to jobs, and tells people how it goes on.
func (s *session) change(ctx context.Context, door queueDoor, v *verb, request app.OperateRequest) (operated, error) {
	const between = time.Second
	told := s.now()
	reply, err := door.operate(ctx, request, func(jobs int) {
		if now := s.now(); s.terminal && now.Sub(told) >= between {
			told = now
			s.note("%s: %s %s so far", request.Queue, plural(jobs, "job"), v.doing(request.DryRun))
		}
	})
	result := operated{Queue: string(request.Queue), Operation: request.Kind, DryRun: request.DryRun, Jobs: reply.Jobs}
	for _, id := range request.IDs {
		if request.Limit == 0 && !slices.Contains(reply.IDs, id) && !slices.Contains(result.PassedOver, id) {
			result.PassedOver = append(result.PassedOver, id)
		}
	}
	return result, err
}

// doing is what is said of jobs.
func (v *verb) doing(dryRun bool) string {
	if dryRun {
		return "would be " + v.done
	}
	return v.done
}

func (s *session) printOperated(v *verb, result *operated, asJSON bool) error {
	switch {
	case asJSON:
		return s.printJSON(result)
	case v.done != "":
		s.printf("%s: %s %s\n", result.Queue, plural(result.Jobs, "job"), v.doing(result.DryRun))
		return nil
	}
	paused := result.Paused != nil && *result.Paused
	is := map[bool]string{true: "is paused", false: "is not paused"}[paused]
	if result.DryRun && paused != (v.kind == domain.OpPause) {
		is += map[bool]string{true: "; it would go on", false: "; it would be paused"}[paused]
	}
	s.printf("%s %s\n", result.Queue, is)
	return nil
}

// passedOver is the error about named jobs that were not changed.
func (o *operated) passedOver(v *verb) error {
	if len(o.PassedOver) == 0 {
		return nil
	}
	const most = 10
	var quoted []string
	for _, id := range o.PassedOver[:min(len(o.PassedOver), most)] {
		quoted = append(quoted, domain.Quote(string(id)))
	}
	names := strings.Join(quoted, ", ")
	if more := len(o.PassedOver) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return &exitError{code: ExitBadData, err: fmt.Errorf("not %s: %s: no such job of queue %s, or in another state", v.doing(false), names, o.Queue)}
}
