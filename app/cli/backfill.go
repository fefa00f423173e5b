package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
)

// How many ticks a backfill runs, unless more are asked for, and at most.
const (
	fewBackfilled  = 1000
	mostBackfilled = 100_000
)

type backfillFlags struct {
	from, to string
	id       string
	most     whole
	dryRun   bool
	instance string
	asJSON   bool
}

func (s *session) backfillCommand() *cobra.Command {
	f := backfillFlags{most: fewBackfilled}
	cmd := &cobra.Command{
		Use:   "backfill NAME --from TIME [--to TIME]",
		Short: "Run the past ticks of a scheduled job, in the running worker",
		Long: `Runs the ticks that the job's schedule has from --from on and before --to, whatever
became of them then: one after the other, the oldest first, in the running worker, and
prints what happened. The runs have ids of their own, and the ticks stay as they were
decided. Where the job's overlap policy would skip a run, the run waits; while it is
under way, the schedule's own ticks may be skipped by it.

Under one --id each tick runs once: a backfill that was cut short goes on where it was
when it is repeated with the id that it printed. With --json each run is one line.

A time without an offset is local to the job's zone; a date alone is its first instant.
A failed run ends nothing, and makes the exit code 70; a skipped or unfinished one 75.

` + exitCodes,
		Example: `  worker jobs backfill reports.nightly --from 2026-11-01 --to 2026-11-08 --dry-run
  worker jobs backfill reports.nightly --from 2026-11-01 --to 2026-11-08
  worker jobs backfill stock.sync --from 2026-11-07T06:00:00Z --id after-outage`,
		Args: oneName,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return s.backfill(ctx, args[0], &f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "`time` of the first tick to run: RFC 3339, or a local date or time")
	flags.StringVar(&f.to, "to", "", "`time` before which ticks run; now if not given")
	flags.StringVar(&f.id, "id", "", "`id` of the backfill; a new one if not given")
	flags.Var(&f.most, "max", "refuse to run more ticks than that, at most 100000")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show the ticks and run none; no worker is asked")
	addInstance(cmd, &f.instance)
	addJSON(cmd, &f.asJSON)
	return cmd
}

func (f *backfillFlags) check(cmd *cobra.Command) error {
	switch {
	case f.from == "":
		return usagef(cmd, "--from is missing")
	case f.most < 1 || f.most > mostBackfilled:
		return usagef(cmd, "--max %d: want 1 to %d", f.most, mostBackfilled)
	}
	return nil
}

func (s *session) backfill(ctx context.Context, name string, f *backfillFlags) error {
	loaded, _, err := s.look()
	if err != nil {
		return err
	}
	built, err := s.registered(ctx, loaded)
	if err != nil {
		return err
	}
	jobs, err := built.PlannedJobs(name)
	if err != nil {
		return refuseName(built, err)
	}
	ticks, err := s.pastTicks(jobs[0], f, loaded.Scheduler.Timezone)
	if err != nil {
		return err
	}
	b := backfill{session: s, job: jobs[0].Name, id: f.id, asJSON: f.asJSON, ticks: ticks}
	if f.dryRun {
		return b.show()
	}
	if b.worker, err = s.anyWorker(loaded, f.instance); err != nil {
		return err
	}
	if b.id == "" {
		b.id = newBackfillID(s.now())
	}
	return b.run(ctx)
}

// newBackfillID is unique, and tells when the backfill was begun.
func newBackfillID(now time.Time) string {
	var random [3]byte
	_, _ = rand.Read(random[:]) // it never fails
	return now.UTC().Format("20060102T150405") + "-" + hex.EncodeToString(random[:])
}

// pastTicks returns the ticks that are asked for, in the job's zone.
func (s *session) pastTicks(job app.PlannedJob, f *backfillFlags, timezone string) ([]time.Time, error) {
	zone := job.Location()
	if zone == nil {
		var err error
		if zone, err = time.LoadLocation(timezone); err != nil {
			return nil, err
		}
	}
	from, err := parseBeginning("from", f.from, zone)
	if err != nil {
		return nil, err
	}
	// What the clock shows has begun, and its tick may be due.
	first, end := from.instant(), s.now().Add(time.Nanosecond)
	if f.to != "" {
		to, err := parseBeginning("to", f.to, zone)
		if err != nil {
			return nil, err
		}
		if to.instant().After(end) {
			return nil, badData("--to %s lies in the future: only ticks that have passed can be run", domain.Quote(f.to))
		}
		end = to.instant()
	}
	if !first.Before(end) {
		return nil, badData("--from %s is not before the end, %s", domain.Quote(f.from), end.In(zone).Format(time.RFC3339))
	}
	return ticksBetween(job, first, end, f.most)
}

// ticksBetween returns the ticks in [first, end), if they are not too many.
func ticksBetween(job app.PlannedJob, first, end time.Time, most whole) ([]time.Time, error) {
	after := first.Add(-time.Nanosecond)
	if count := job.Schedule.Count(after, end.Add(-time.Nanosecond)); count > int64(most) {
		return nil, badData("%d ticks lie between --from and --to, --max allows %d; narrow the time, or raise --max to up to %d", count, most, mostBackfilled)
	}
	var ticks []time.Time
	for tick := range job.Ticks(after) {
		if !tick.At.Before(end) {
			break
		}
		ticks = append(ticks, tick.At)
	}
	return ticks, nil
}

func badData(format string, args ...any) error {
	return &exitError{code: ExitBadData, err: fmt.Errorf(format, args...)}
}

// backfill is one call of the command.
type backfill struct {
	*session

	job, id string
	asJSON  bool
	worker  control.Instance
	ticks   []time.Time
	// failed and undone count the runs that ended so.
	failed, undone int
}

// backfilled is one run as JSON.
type backfilled struct {
	Job        string    `json:"job"`
	BackfillID string    `json:"backfillId,omitempty"`
	Planned    time.Time `json:"planned"`
	*app.TriggerReply
}

// show prints the ticks that would run.
func (b *backfill) show() error {
	for _, tick := range b.ticks {
		if err := b.print(tick, nil); err != nil {
			return err
		}
	}
	b.say("%s of %s would run", plural(len(b.ticks), "tick"), printable(b.job))
	return nil
}

func (b *backfill) print(tick time.Time, reply *app.TriggerReply) error {
	defer b.out.flush()
	if b.asJSON {
		return b.printJSONLine(backfilled{Job: b.job, BackfillID: b.id, Planned: tick, TriggerReply: reply})
	}
	line := tick.Format(localLayout(tick) + " -07:00")
	if reply != nil {
		line += "  " + describeOutcome(reply)
	}
	b.printf("%s\n", printable(line))
	return nil
}

// run runs the ticks one after the other.
func (b *backfill) run(ctx context.Context) error {
	if len(b.ticks) == 0 {
		b.say("%s has no tick in this time", printable(b.job))
		return nil
	}
	b.say("backfill %s of %s: %s", printable(b.id), printable(b.job), plural(len(b.ticks), "tick"))
	for i, tick := range b.ticks {
		reply, err := b.runTick(ctx, tick)
		if err != nil {
			return b.stoppedAt(i, err)
		}
		if err := b.print(tick, reply); err != nil {
			return err
		}
	}
	return b.sum()
}

func (b *backfill) runTick(ctx context.Context, tick time.Time) (*app.TriggerReply, error) {
	var reply app.TriggerReply
	request := app.BackfillRequest{Name: b.job, ID: b.id, Planned: tick.UTC()}
	if err := call(ctx, b.worker, question{method: app.MethodBackfill, params: request}, &reply); err != nil {
		return nil, err
	}
	skipped := domain.Event(reply.Outcome) == domain.EventSkipped
	switch code := triggerCode(reply.Outcome); {
	case skipped && reply.Reason == domain.ReasonSuperseded:
		return nil, &exitError{code: ExitUnavailable, err: fmt.Errorf(
			"worker %s has an older definition of the job than others; ask one of those with --%s", b.worker.Name, instanceFlag)}
	case code == ExitInternal:
		b.failed++
	case code != ExitOK, skipped && reply.Reason != domain.ReasonTaken:
		b.undone++
	}
	return &reply, nil
}

// stoppedAt says how to go on after the tick that could not be run.
func (b *backfill) stoppedAt(i int, err error) error {
	if errors.Is(err, errInterrupted) {
		err = fmt.Errorf("%w; the run of %s goes on", err, b.ticks[i].Format(time.RFC3339))
	}
	return fmt.Errorf("%w; %d of %s were run: repeat the command with --id %s to go on",
		err, i, plural(len(b.ticks), "tick"), printable(b.id))
}

// sum says what became of the runs and returns the exit code.
func (b *backfill) sum() error {
	done := len(b.ticks) - b.failed - b.undone
	b.say("backfill %s of %s: %d done, %d failed, %d skipped or unfinished", printable(b.id), printable(b.job), done, b.failed, b.undone)
	switch {
	case b.failed > 0:
		return &exitError{code: ExitInternal}
	case b.undone > 0:
		return &exitError{code: ExitAbandoned}
	}
	return nil
}
