package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

const stdin = "-"

type enqueueFlags struct {
	instance string
	asJSON   bool

	data     string
	id       string
	delay    duration
	priority whole
	lifo     bool
	attempts whole
	backoff  backoffFlag
}

func (s *session) enqueueCommand() *cobra.Command {
	var f enqueueFlags
	cmd := &cobra.Command{
		Use:   "enqueue QUEUE NAME | enqueue -",
		Short: "Put a job on a queue, or many from stdin",
		Long: `Puts a job on a queue, which need not be one that a worker of this host works. In Redis
no worker need run at all; in memory the running worker is asked. The payload is a JSON
value; with --data - it is read from stdin.

"enqueue -" reads one job a line from stdin, with the names of the flags as keys:

  {"queue":"mail","name":"welcome","data":{"user":7},"delay":"5m","attempts":3,"backoff":"exponential:1s"}

All lines are checked before the first job is put on its queue: when one is wrong, all
mistakes are listed by line, nothing is done, and the exit code is 65.

` + exitCodes,
		Example: `  worker enqueue mail welcome --data '{"user":7}'
  worker enqueue mail welcome --data - --delay 1d < payload.json
  worker enqueue mail retry-me --attempts 5 --backoff exponential:1s
  worker enqueue - < jobs.ndjson`,
		Args: enqueueArgs,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			return s.enqueue(ctx, cmd, enqueueCall{args: args, flags: &f})
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.data, "data", "null", "the payload: a `JSON` value, or - for stdin")
	flags.StringVar(&f.id, "id", "", "the job's `id`; a second job with it is refused")
	flags.Var(&f.delay, "delay", "time until the job is due, such as 30s or 1d")
	flags.Var(&f.priority, "priority", "1 is the most urgent; jobs without one come before all")
	flags.BoolVar(&f.lifo, "lifo", false, "put the job in front of the waiting ones")
	flags.Var(&f.attempts, "attempts", "how often the job is tried in all; once if not given")
	flags.Var(&f.backoff, "backoff", "wait before each retry: fixed:5s or exponential:1s")
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func enqueueArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 1 && args[0] == stdin:
		for _, name := range []string{"data", "id", "delay", "priority", "lifo", "attempts", "backoff"} {
			if cmd.Flags().Changed(name) {
				return usagef(cmd, "--%s belongs into the lines of stdin", name)
			}
		}
		return nil
	case len(args) > 1 && args[0] == stdin:
		return usagef(cmd, "unexpected argument %s after -", domain.Quote(args[1]))
	case len(args) == 2 && (args[0] == "" || args[1] == ""):
		return usagef(cmd, "QUEUE and NAME must not be empty")
	case len(args) < 2:
		return usagef(cmd, "QUEUE and NAME are needed, or - to read jobs from stdin")
	case len(args) > 2:
		return usagef(cmd, "unexpected argument %s", domain.Quote(args[2]))
	}
	return nil
}

type enqueueCall struct {
	args  []string
	flags *enqueueFlags
}

func (s *session) enqueue(ctx context.Context, cmd *cobra.Command, call enqueueCall) error {
	loaded, report, err := s.loadClient()
	if loaded != nil && loaded.Queue.Backend == config.BackendRedis {
		loaded, report, err = s.loadRedis()
	}
	if err != nil {
		return err
	}
	s.warn(report)
	if !loaded.Queue.Enabled() {
		return queueingOff(loaded)
	}
	input := &interruptibleReader{ctx: ctx, from: cmd.InOrStdin()}
	var jobs []domain.NewJob
	if call.args[0] == stdin {
		jobs, err = readJobs(input, loaded.Queue.MaxPayload)
	} else {
		jobs, err = call.job(input, loaded.Queue.MaxPayload)
	}
	if err != nil {
		return err
	}
	door, err := s.openDoor(ctx, loaded, call.flags.instance)
	if err != nil {
		return err
	}
	answers, err := send(ctx, door, jobs)
	err = errors.Join(err, door.close())
	if printErr := s.printAnswers(answers, call.flags.asJSON); printErr != nil {
		return printErr
	}
	if err != nil && len(jobs) > 1 {
		s.say("%d of %s enqueued", len(answers), plural(len(jobs), "job"))
	}
	return err
}

func queueingOff(loaded *config.Config) error {
	return fmt.Errorf("%w: the queue backend is none, from %s", app.ErrQueueingOff, loaded.Origin("WORKER_QUEUE_BACKEND"))
}

// job makes the job that arguments and flags describe.
func (c *enqueueCall) job(input io.Reader, limit int64) ([]domain.NewJob, error) {
	f := c.flags
	data := []byte(f.data)
	if f.data == stdin {
		var err error
		if data, err = io.ReadAll(io.LimitReader(input, limit+1)); err != nil {
			return nil, fmt.Errorf("read payload: %w", err)
		}
		if int64(len(data)) > limit {
			return nil, fmt.Errorf("payload on stdin has more than %d bytes (WORKER_MAX_PAYLOAD): %w", limit, domain.ErrTooLarge)
		}
	}
	job := domain.NewJob{
		Queue: domain.QueueName(c.args[0]), Name: c.args[1], Data: data,
		Options: domain.JobOptions{
			ID: domain.JobID(f.id), Delay: time.Duration(f.delay), Priority: int(f.priority), LIFO: f.lifo,
			Attempts: int(f.attempts), Backoff: domain.Backoff(f.backoff),
		},
	}
	if err := check(&job, limit); err != nil {
		return nil, &exitError{code: ExitBadData, err: err}
	}
	return []domain.NewJob{job}, nil
}

func (s *session) printAnswers(answers []answer, asJSON bool) error {
	noted := map[string]bool{}
	for _, a := range answers {
		if a.Note != "" && !noted[a.Note] {
			noted[a.Note] = true
			s.note("note: %s", printable(a.Note))
		}
	}
	if asJSON {
		return s.printJSON(answers)
	}
	for _, a := range answers {
		s.printf("%s/%s: %s, id %s\n", printable(a.Queue), printable(a.Name), printable(a.Status), printable(a.ID))
	}
	return nil
}
