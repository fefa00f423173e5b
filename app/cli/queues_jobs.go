package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

const (
	fewJobs  = 50
	mostJobs = 10_000
)

type queueJobsFlags struct {
	queuesFlags

	state         string
	limit, offset whole
}

func (s *session) queueJobsCommand() *cobra.Command {
	f := queueJobsFlags{limit: fewJobs}
	cmd := &cobra.Command{
		Use:   "jobs QUEUE",
		Short: "List the jobs of a queue that are in one state",
		Long: `Lists the jobs of a queue that are in one state: those that are next in line first,
finished ones newest first. Their data is shown by "queues job" alone.

` + exitCodes,
		Example: `  worker queues jobs mail
  worker queues jobs mail --state delayed --limit 200
  worker queues jobs mail --state wait --json`,
		Args: oneQueue,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return s.listQueueJobs(ctx, args[0], &f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.state, "state", string(domain.StateFailed), "the `state`: "+joinedStates(app.JobStates()))
	flags.Var(&f.limit, "limit", "how many to list, at most 10000")
	flags.Var(&f.offset, "offset", "how many to pass over first")
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func joinedStates(states []domain.State) string {
	names := make([]string, len(states))
	for i, state := range states {
		names[i] = string(state)
	}
	return strings.Join(names, ", ")
}

func (f *queueJobsFlags) check(cmd *cobra.Command) error {
	switch {
	case !slices.Contains(app.JobStates(), domain.State(f.state)):
		return usagef(cmd, "--state %s: want one of %s", domain.Quote(f.state), joinedStates(app.JobStates()))
	case f.limit < 1 || f.limit > mostJobs:
		return usagef(cmd, "--limit %d: want 1 to %d", f.limit, mostJobs)
	case f.offset < 0:
		return usagef(cmd, "--offset %d: want 0 or more", f.offset)
	}
	return nil
}

func (s *session) listQueueJobs(ctx context.Context, queue string, f *queueJobsFlags) error {
	request := app.QueueJobsRequest{
		Queue: domain.QueueName(queue), State: domain.State(f.state), Offset: int(f.offset), Limit: int(f.limit),
	}
	if err := request.Queue.Validate(); err != nil {
		return err
	}
	jobs, err := atQueues(ctx, s, f.instance, func(door queueDoor) ([]app.QueueJob, error) { return door.jobs(ctx, request) })
	if err != nil {
		return err
	}
	if f.asJSON {
		return s.printJSON(append([]app.QueueJob{}, jobs...))
	}
	if len(jobs) == 0 {
		s.printf("no %s jobs\n", f.state)
		return nil
	}
	rows := [][]string{{"ID", "NAME", "AGE", "ATTEMPTS", momentTitle(request.State), "REASON"}}
	for i := range jobs {
		rows = append(rows, s.queueJobRow(&jobs[i]))
	}
	table(s.out, rows)
	return nil
}

func momentTitle(state domain.State) string {
	switch state {
	case domain.StateDelayed, domain.StateParked:
		return "DUE"
	case domain.StateCompleted, domain.StateFailed:
		return "FINISHED"
	case domain.StateWait, domain.StatePrioritized, domain.StateActive, domain.StateWaitingChildren:
	}
	return "STARTED"
}

func (s *session) queueJobRow(job *app.QueueJob) []string {
	at := job.StartedAt
	switch domain.State(job.State) {
	case domain.StateDelayed, domain.StateParked:
		at = job.DueAt
	case domain.StateCompleted, domain.StateFailed:
		at = job.FinishedAt
	case domain.StateWait, domain.StatePrioritized, domain.StateActive, domain.StateWaitingChildren:
	}
	reason, _, more := strings.Cut(job.Reason, "\n")
	if more {
		reason += " …"
	}
	return []string{
		orDash(job.ID), orDash(job.Name), s.age(job.CreatedAt), fmt.Sprintf("%d/%d", job.AttemptsMade, job.Attempts),
		s.distance(at), orDash(reason),
	}
}

// distance is how far away a moment is, by the clock of this host.
func (s *session) distance(at *time.Time) string {
	switch {
	case at == nil:
		return "-"
	case at.After(s.now()):
		return "in " + at.Sub(s.now()).Round(time.Second).String()
	}
	return s.age(at) + " ago"
}

func (s *session) queueJobCommand() *cobra.Command {
	var f queuesFlags
	cmd := &cobra.Command{
		Use:   "job QUEUE ID",
		Short: "Show one job with its data, failure and log",
		Long: `Shows one job of a queue: where it is, its options and attempts, its data, result,
failure and log. In Redis also what BullMQ keeps of it: the options as they were given,
the stacks of all attempts, its parent, and how many children it has.

` + exitCodes,
		Example: `  worker queues job mail 4711
  worker queues job mail 4711 --json`,
		Args: queueAndID,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, args []string) error {
			return s.showQueueJob(ctx, domain.QueueName(args[0]), domain.JobID(args[1]), f)
		}),
	}
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func queueAndID(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) < 2 || args[0] == "" || args[1] == "":
		return usagef(cmd, "QUEUE and ID are needed")
	case len(args) > 2:
		return usagef(cmd, "unexpected argument %s", domain.Quote(args[2]))
	}
	return nil
}

func (s *session) showQueueJob(ctx context.Context, queue domain.QueueName, id domain.JobID, f queuesFlags) error {
	if err := queue.Validate(); err != nil {
		return err
	}
	job, err := atQueues(ctx, s, f.instance, func(door queueDoor) (wholeJob, error) { return door.job(ctx, queue, id) })
	if err != nil {
		return err
	}
	if f.asJSON {
		return s.printJSON(job)
	}
	var rows [][]string
	for _, fact := range jobFacts(&job) {
		if fact[1] != "" {
			rows = append(rows, []string{fact[0], printable(fact[1])})
		}
	}
	table(s.out, rows)
	s.printJobTexts(&job)
	return nil
}

// jobFacts are the short things that are known of a job; empty ones are not
// shown.
func jobFacts(job *wholeJob) [][2]string {
	d := job.Detail
	facts := [][2]string{
		{"id", job.ID},
		{"name", job.Name},
		{"state", job.State},
		{"created", momentText(job.CreatedAt)},
		{"due", momentText(job.DueAt)},
		{"started", momentText(job.StartedAt)},
		{"finished", momentText(job.FinishedAt)},
		{"attempts", fmt.Sprintf("%d of %d failed", job.AttemptsMade, job.Attempts)},
		{"crashes", count(job.Crashes)},
		{"priority", count(job.Priority)},
		{"delay", span(time.Duration(d.DelayMS) * time.Millisecond)},
		{"backoff", strings.TrimSpace(d.Backoff + " " + span(time.Duration(d.BackoffMS)*time.Millisecond))},
		{"deduplication", d.Deduplication},
	}
	if job.BullMQ == nil {
		return facts
	}
	facts = append(facts, [2]string{"worker", job.BullMQ.Worker}, [2]string{"parent", job.BullMQ.Parent}, [2]string{"scheduler", job.BullMQ.Scheduler})
	if c := job.BullMQ.Children; c != (bullChildren{}) {
		text := fmt.Sprintf("%d done, %d to do, %d failed, %d failed and ignored", c.Processed, c.Unprocessed, c.Failed, c.Ignored)
		facts = append(facts, [2]string{"children", text})
	}
	return append(facts, [2]string{"options", string(job.BullMQ.Options)})
}

func momentText(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.Format(time.RFC3339)
}

// printJobTexts prints what takes lines of its own.
func (s *session) printJobTexts(job *wholeJob) {
	d := job.Detail
	s.printTitled("data", indented(d.Data))
	s.printTitled("progress", indented(d.Progress))
	s.printTitled("result", indented(d.Result))
	s.printTitled("reason", job.Reason)
	if job.BullMQ != nil {
		s.printTitled("reason to fail with", job.BullMQ.DeferredReason)
	}
	if job.BullMQ != nil && len(job.BullMQ.Stacks) > 1 {
		for i, stack := range job.BullMQ.Stacks {
			s.printTitled(fmt.Sprintf("stack %d of %d", i+1, len(job.BullMQ.Stacks)), stack)
		}
	} else {
		s.printTitled("stack", d.Stack)
	}
	s.printTitled("log", strings.Join(d.Log, "\n"))
}

func (s *session) printTitled(title, text string) {
	if text != "" {
		s.printf("\n%s:\n  %s\n", title, strings.ReplaceAll(printableText(strings.TrimRight(text, "\n")), "\n", "\n  "))
	}
}

// indented lays JSON out for people.
func indented(raw json.RawMessage) string {
	var text bytes.Buffer
	if json.Indent(&text, raw, "", "  ") != nil {
		return string(raw)
	}
	return text.String()
}
