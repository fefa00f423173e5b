package tokens

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/taktwork/takt/core/domain"
)

const (
	// stepPatience bounds one step, which outlives the run's context: to break
	// a statement off costs a connection.
	stepPatience = 15 * time.Second
	// revokedReason is what the platform shows.
	revokedReason = "Inactivity timeout"
)

// expire lets those active tokens expire whose time is over, and returns how
// many these were. See walk.
func (t *table) expire(ctx context.Context) (int64, error) {
	now, err := t.now(ctx)
	if err != nil {
		return 0, err
	}
	within, due := t.expiring(now), t.before("expiresAt", now)
	var count int64
	err = t.walk(ctx,
		func(ctx context.Context, after *found) ([]found, error) {
			return t.pageByExpiry(ctx, after, within, due)
		},
		func(ctx context.Context, rows []found) error {
			changed, err := t.change(ctx, rows, due, func(time.Time) schema.QueryAppender {
				return bun.SafeQuery(`"status" = 'EXPIRED'`)
			})
			count += changed
			return err
		})
	return count, err
}

// revoke revokes those active tokens that were last used longer ago than
// their type allows, and returns how many these were of each type. A token
// that was never used stays. See walk.
func (t *table) revoke(ctx context.Context, thresholds map[string]time.Duration) (map[string]int64, error) {
	counts := make(map[string]int64, len(thresholds))
	if len(thresholds) == 0 {
		return counts, nil
	}
	now, err := t.now(ctx)
	if err != nil {
		return nil, err
	}
	due := bun.SafeQuery("FALSE")
	dueOf := make(map[string]schema.QueryAppender, len(thresholds))
	for _, kind := range slices.Sorted(maps.Keys(thresholds)) {
		counts[kind] = 0
		dueOf[kind] = bun.SafeQuery(`("tokenType" = ? AND ?)`, kind, t.before("lastUsedAt", now.Add(-thresholds[kind])))
		due = bun.SafeQuery("? OR ?", due, dueOf[kind])
	}
	due = bun.SafeQuery("(?)", due)
	err = t.walk(ctx,
		func(ctx context.Context, after *found) ([]found, error) { return t.pageByID(ctx, after, due) },
		func(ctx context.Context, rows []found) error {
			for kind, same := range byType(rows) {
				changed, err := t.change(ctx, same, dueOf[kind], func(now time.Time) schema.QueryAppender {
					return bun.SafeQuery(`"status" = 'REVOKED', "revokedAt" = ?, "revokedReason" = ?`, t.stamp(now), revokedReason)
				})
				counts[kind] += changed
				if err != nil {
					return err
				}
			}
			return nil
		})
	return counts, err
}

// walk goes through the table once, a page at a time: page returns the rows
// that are due on the page after a row, and the last row of the page; change
// changes those that are due. Nothing is locked between the pages. When ctx
// ends, walk ends after the page with ctx's cause, and what was changed stays
// changed: the next run does the rest. Runs at the same time change each row
// once. Rows that others keep locked are left to the next run.
func (t *table) walk(ctx context.Context, page func(ctx context.Context, after *found) ([]found, error), change func(ctx context.Context, rows []found) error) error {
	var last *found
	for ctx.Err() == nil {
		changed := false
		rows, err := step(ctx, func(ctx context.Context) ([]found, error) {
			rows, err := page(ctx, last)
			if due := dueAmong(rows); err == nil && len(due) > 0 {
				changed, err = true, change(ctx, due)
			}
			return rows, err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		next := &rows[len(rows)-1]
		if last != nil && next.ID == last.ID {
			return fmt.Errorf("token %s cannot be passed: its expiresAt is no text", domain.Quote(last.ID))
		}
		last = next
		if changed {
			pause(ctx, t.rest)
		}
	}
	return context.Cause(ctx)
}

func step(ctx context.Context, do func(ctx context.Context) ([]found, error)) ([]found, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepPatience)
	defer cancel()
	return do(ctx)
}

// pause waits, but not beyond the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func dueAmong(rows []found) []found {
	var due []found
	for _, row := range rows {
		if row.Due {
			due = append(due, row)
		}
	}
	return due
}

func byType(rows []found) map[string][]found {
	sorted := make(map[string][]found)
	for _, row := range rows {
		sorted[row.Type] = append(sorted[row.Type], row)
	}
	return sorted
}
