package storage

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/taktwork/takt/core/ports"
)

// postgresRunner sends all statements of a call in one message: the server
// carries them out as one transaction and waits for nobody in between.
//
// Plans are made once for each connection, often while tables are empty, and
// kept when these have grown: a plan that scans a table must not come up.
type postgresRunner struct{ pool *pgxpool.Pool }

// lookUpAll lasts until the end of the transaction. What is left is to look up each
// row on its own: a bitmap or what is kept of a scan would hold whatever has the
// namespace, which seems little while the table is empty.
const lookUpAll = `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('enable_bitmapscan', 'off', true), set_config('enable_material', 'off', true)`

// inOrderAll makes plans read rows in the order of an index and stop when there
// are enough: without figures about its tables the planner would rather collect and sort.
const inOrderAll = `SELECT set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)`

func (r postgresRunner) read(ctx context.Context, statements ...statement) error {
	var batch pgx.Batch
	if len(statements) == 1 {
		queue(&batch, statements)
		return r.send(ctx, &batch)
	}
	// Otherwise each statement sees what was committed before it.
	batch.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`)
	queue(&batch, statements)
	batch.Queue(`COMMIT`)
	return r.send(ctx, &batch)
}

func (r postgresRunner) write(ctx context.Context, statements ...statement) error {
	var batch pgx.Batch
	queue(&batch, statements)
	return r.send(ctx, &batch)
}

func queue(batch *pgx.Batch, statements []statement) {
	if slices.ContainsFunc(statements, func(s statement) bool { return s.looksUp }) {
		batch.Queue(lookUpAll)
	}
	if slices.ContainsFunc(statements, func(s statement) bool { return s.inOrder }) {
		batch.Queue(inOrderAll)
	}
	for i := range statements {
		s := &statements[i]
		args := append(append(make([]any, 0, len(s.args)+len(s.set)), s.args...), s.set...)
		queued := batch.Queue(s.text, args...)
		if s.row == nil {
			continue
		}
		queued.Query(func(rows pgx.Rows) error {
			scan := rows.Scan
			if s.packed {
				scan = rawRows{rows}.scan
			}
			for rows.Next() {
				if err := s.row(scan); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
}

func (r postgresRunner) send(ctx context.Context, batch *pgx.Batch) error {
	err := r.pool.SendBatch(ctx, batch).Close()
	if err != nil && ctx.Err() == nil && isDoubt(err) {
		return fmt.Errorf("%w: %w: %w", ports.ErrUnavailable, errDoubt, err)
	}
	return translate(ctx, err)
}
