package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

const outboxLong = `Lists the rows of the outbox that no worker touches any more: those whose queue refused
the job for ever, with the reason, and those that were handed over so long ago that it is
not known whether the job got to its queue. Rows that wait are on their way, and not
listed.

The worker's own database is read directly, and no worker needs to run.

`

type outboxFlags struct {
	queue, state string
	limit        whole
	dryRun       bool
	asJSON       bool
}

func (s *session) outboxCommand() *cobra.Command {
	outbox := s.outboxList("outbox")
	outbox.AddCommand(s.outboxList("list"))
	for _, v := range asideVerbs() {
		outbox.AddCommand(s.asideCommand(&v))
	}
	return outbox
}

func (s *session) outboxList(use string) *cobra.Command {
	f := outboxFlags{limit: fewJobs}
	cmd := &cobra.Command{
		Use:   use,
		Short: "Show rows of the outbox that were refused or are unknown",
		Long:  outboxLong + exitCodes,
		Example: `  worker outbox
  worker outbox --queue mail --state refused
  worker outbox list --json`,
		Args: noArgs,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if f.limit < 1 || f.limit > mostJobs {
				return usagef(cmd, "--limit %d: want 1 to %d", f.limit, mostJobs)
			}
			return s.listOutbox(ctx, &f)
		}),
	}
	f.add(cmd)
	cmd.Flags().Var(&f.limit, "limit", "how many to list, at most 10000")
	return cmd
}

func (f *outboxFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.queue, "queue", "", "only rows for the `queue`")
	cmd.Flags().StringVar(&f.state, "state", "", "only rows of the `state`: "+joinedAside())
	addJSON(cmd, &f.asJSON)
}

func joinedAside() string {
	var names []string
	for _, state := range storage.AsideStates() {
		names = append(names, string(state))
	}
	return strings.Join(names, ", ")
}

func (f *outboxFlags) check(cmd *cobra.Command) error {
	if f.state != "" && !slices.Contains(storage.AsideStates(), storage.AsideState(f.state)) {
		return usagef(cmd, "--state %s: want one of %s", domain.Quote(f.state), joinedAside())
	}
	if f.queue != "" {
		return domain.QueueName(f.queue).Validate()
	}
	return nil
}

func (f *outboxFlags) filter() storage.AsideFilter {
	return storage.AsideFilter{Queue: domain.QueueName(f.queue), State: storage.AsideState(f.state), Limit: int(f.limit)}
}

// atOutbox opens the outbox for what is to be done, and closes it after.
func (s *session) atOutbox(ctx context.Context, do func(*storage.Outbox) error) error {
	loaded, report, err := s.loadPart(storageVariables()...)
	if err != nil {
		return err
	}
	s.warn(report)
	outbox, closing, err := app.OpenOutbox(ctx, app.SettingsFrom(loaded))
	if err != nil {
		return err
	}
	return errors.Join(do(outbox), closing())
}

// outboxRow is a row as JSON.
type outboxRow struct {
	ID        int64      `json:"id"`
	Queue     string     `json:"queue"`
	Name      string     `json:"name"`
	State     string     `json:"state"`
	Reason    string     `json:"reason"`
	Bytes     int64      `json:"bytes"`
	CreatedAt time.Time  `json:"createdAt"`
	TriedAt   *time.Time `json:"triedAt,omitempty"`
}

func (s *session) listOutbox(ctx context.Context, f *outboxFlags) error {
	found := []outboxRow{}
	err := s.atOutbox(ctx, func(outbox *storage.Outbox) error {
		return outbox.Aside(ctx, f.filter(), func(rows []storage.AsideRow) error {
			for i := range rows {
				found = append(found, outboxRowOf(&rows[i]))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if f.asJSON {
		return s.printJSON(found)
	}
	if len(found) == 0 {
		s.printf("no row is set aside\n")
		return nil
	}
	rows := [][]string{{"ID", "QUEUE", "NAME", "STATE", "AGE", "BYTES", "REASON"}}
	for i := range found {
		row := &found[i]
		reason, _, more := strings.Cut(row.Reason, "\n")
		if more {
			reason += " …"
		}
		rows = append(rows, []string{
			strconv.FormatInt(row.ID, 10), printable(row.Queue), orDash(row.Name), row.State, s.age(&row.CreatedAt),
			strconv.FormatInt(row.Bytes, 10), orDash(reason),
		})
	}
	table(s.out, rows)
	return nil
}

func outboxRowOf(row *storage.AsideRow) outboxRow {
	shown := outboxRow{
		ID: row.ID, Queue: string(row.Queue), Name: row.Name, State: string(row.State), Reason: row.Reason,
		Bytes: row.Bytes, CreatedAt: row.Created,
	}
	if !row.Tried.IsZero() {
		shown.TriedAt = &row.Tried
	}
	return shown
}
