package storage

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresRunner sends all statements of a call in one message: the server
// carries them out as one transaction and waits for nobody in between.
type postgresRunner struct{ pool *pgxpool.Pool }

func (r postgresRunner) read(ctx context.Context, statements ...statement) error {
	return r.write(ctx, statements...)
}

func (r postgresRunner) write(ctx context.Context, statements ...statement) error {
	var batch pgx.Batch
	for i := range statements {
		s := &statements[i]
		args := append(append(make([]any, 0, len(s.args)+len(s.set)), s.args...), s.set...)
		queued := batch.Queue(s.text, args...)
		if s.row == nil {
			continue
		}
		queued.Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := s.row(rows.Scan); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
	return translate(ctx, r.pool.SendBatch(ctx, &batch).Close())
}
