package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// asideVerb is a command that changes rows which are set aside.
type asideVerb struct {
	name, short, long string
	examples          string
	// done is what it does to rows.
	done   string
	change func(outbox *storage.Outbox, ctx context.Context, rows []storage.AsideRow) ([]int64, error)
}

func asideVerbs() []asideVerb {
	return []asideVerb{
		{
			name: "retry", short: "Have rows handed to their queues again",
			long: `Has rows that are set aside handed over again, as if they were new: a worker takes them
within some seconds. One whose queue still refuses it is set aside once more. Look before
you retry a row that is unknown: its job may have been done.`,
			examples: "  worker outbox retry 4711 4712\n  worker outbox retry --state refused --queue mail\n  worker outbox retry --state unknown --dry-run",
			done:     "to be handed over again", change: (*storage.Outbox).RetryAside,
		},
		{
			name: "drop", short: "Delete rows that were refused or are unknown",
			long:     `Deletes rows that are set aside, with their jobs. What is deleted is gone.`,
			examples: "  worker outbox drop 4711\n  worker outbox drop --state refused --queue mail --dry-run",
			done:     "deleted", change: (*storage.Outbox).DropAside,
		},
	}
}

const asideLong = `

Name the rows by their ids, or say by --state which ones are meant. Many are gone through
in small steps; an interrupt ends it after a step, and what was done until then is told.
Ids of rows that are not set aside are told, and the exit code is 65.

`

func (s *session) asideCommand(v *asideVerb) *cobra.Command {
	var f outboxFlags
	cmd := &cobra.Command{
		Use: v.name + " [ID...]", Short: v.short, Long: v.long + asideLong + exitCodes, Example: v.examples, Args: cobra.ArbitraryArgs,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			ids, err := rowIDs(cmd, args)
			if err != nil {
				return err
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			switch {
			case len(ids) == 0 && f.state == "":
				return usagef(cmd, "name rows by their ids, or say which by --state: %s", joinedAside())
			case cmd.Flags().Changed("limit") && f.limit < 1:
				return usagef(cmd, "--limit %d: want 1 or more", f.limit)
			}
			return s.changeOutbox(ctx, v, ids, &f)
		}),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "tell what would be done, and change nothing")
	cmd.Flags().Var(&f.limit, "limit", "change at most so many rows")
	return cmd
}

// rowIDs reads the ids of rows; each counts once.
func rowIDs(cmd *cobra.Command, args []string) ([]int64, error) {
	var ids []int64
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, usagef(cmd, "ID %s: want the number of a row", domain.Quote(arg))
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// outboxChange is what a command did, as JSON.
type outboxChange struct {
	Operation string `json:"operation"`
	DryRun    bool   `json:"dryRun"`
	// Rows is how many were changed, or would be.
	Rows int `json:"rows"`
	// PassedOver are the named rows that were not changed.
	PassedOver []int64 `json:"passedOver,omitempty"`
}

func (s *session) changeOutbox(ctx context.Context, v *asideVerb, ids []int64, f *outboxFlags) error {
	filter, done := f.filter(), v.done
	filter.IDs = ids
	if f.dryRun {
		done = "would be " + done
	}
	result, left, told := outboxChange{Operation: v.name, DryRun: f.dryRun}, slices.Clone(ids), s.now()
	err := s.atOutbox(ctx, func(outbox *storage.Outbox) error {
		return outbox.Aside(ctx, filter, func(rows []storage.AsideRow) error {
			changed, err := v.apply(ctx, outbox, rows, f.dryRun)
			result.Rows += len(changed)
			left = slices.DeleteFunc(left, func(id int64) bool { return slices.Contains(changed, id) })
			if now := s.now(); s.terminal && now.Sub(told) >= time.Second {
				told = now
				s.note("%s %s so far", plural(result.Rows, "row"), done)
			}
			return err
		})
	})
	if err != nil {
		if result.Rows > 0 {
			s.note("%s %s until then", plural(result.Rows, "row"), done)
		}
		return err
	}
	if f.limit == 0 {
		result.PassedOver = left
	}
	if f.asJSON {
		err = s.printJSON(result)
	} else {
		s.printf("%s %s\n", plural(result.Rows, "row"), done)
	}
	if err != nil || len(result.PassedOver) == 0 {
		return err
	}
	return &exitError{code: ExitBadData, err: fmt.Errorf("not set aside: %s", listedRows(result.PassedOver))}
}

// apply changes the rows, or only returns which ones.
func (v *asideVerb) apply(ctx context.Context, outbox *storage.Outbox, rows []storage.AsideRow, dryRun bool) ([]int64, error) {
	if !dryRun {
		return v.change(outbox, ctx, rows)
	}
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return ids, nil
}

func listedRows(ids []int64) string {
	const most = 10
	var names []string
	for _, id := range ids[:min(len(ids), most)] {
		names = append(names, strconv.FormatInt(id, 10))
	}
	text := "row " + strings.Join(names, ", row ")
	if more := len(ids) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
