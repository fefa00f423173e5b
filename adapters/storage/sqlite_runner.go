package storage

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// sqliteRunner writes over one connection, each call in a transaction that
// takes the write lock at its beginning, and reads over others.
type sqliteRunner struct {
	writer, readers *preparer
}

func (r sqliteRunner) read(ctx context.Context, statements ...statement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A read waits for nobody. The driver has a goroutine watch each context that
	// may end, which would be most of what a look costs an idle worker.
	ctx = context.WithoutCancel(ctx)
	if len(statements) > 1 {
		return r.readers.transact(ctx, statements)
	}
	prepared, err := r.readers.prepared(ctx, statements[0].text)
	if err == nil {
		err = carryOut(ctx, prepared, &statements[0])
	}
	return translate(ctx, err)
}

func (r sqliteRunner) write(ctx context.Context, statements ...statement) error {
	return r.writer.transact(ctx, statements)
}

// transact lets do write in one transaction, with statements of these texts.
func (r sqliteRunner) transact(ctx context.Context, texts []string, do func(*sqliteTx) error) error {
	return r.writer.within(ctx, texts, do)
}

// transact carries out the statements in a transaction.
func (p *preparer) transact(ctx context.Context, statements []statement) error {
	texts := make([]string, len(statements))
	for i := range statements {
		texts[i] = statements[i].text
	}
	return p.within(ctx, texts, func(tx *sqliteTx) error {
		for i := range statements {
			if err := carryOut(ctx, tx.bound(ctx, statements[i].text), &statements[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// within lets do use statements of these texts in one transaction: they are
// prepared before it begins, for it may have the only connection.
func (p *preparer) within(ctx context.Context, texts []string, do func(*sqliteTx) error) error {
	begun, err := p.begin(ctx, texts)
	for busy := 0; isBusy(err) && busy < repeatBusy; busy++ {
		begun, err = p.begin(ctx, texts)
	}
	if err != nil {
		return translate(ctx, err)
	}
	defer begun.tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	if err := do(begun); err != nil {
		return translate(ctx, err)
	}
	return translate(ctx, begun.tx.Commit())
}

// repeatBusy is how often a transaction asks once more for a file that others write
// to, each time for some seconds: they get it in no order.
const repeatBusy = 12

func (p *preparer) begin(ctx context.Context, texts []string) (*sqliteTx, error) {
	prepared := make(map[string]*sql.Stmt, len(texts))
	for _, text := range texts {
		s, err := p.prepared(ctx, text) //nolint:sqlclosecheck // closed with the database
		if err != nil {
			return nil, err
		}
		prepared[text] = s
	}
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &sqliteTx{tx: tx, prepared: prepared}, nil
}

// sqliteTransact is [sqliteRunner.transact], with all that calls are watched for.
type sqliteTransact func(ctx context.Context, texts []string, do func(*sqliteTx) error) error

// sqliteTx is a transaction that writes.
type sqliteTx struct {
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
}

func (t *sqliteTx) bound(ctx context.Context, text string) *sql.Stmt {
	return t.tx.StmtContext(ctx, t.prepared[text])
}

func (t *sqliteTx) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return t.bound(ctx, text).ExecContext(ctx, args...) //nolint:sqlclosecheck // closed with the database
}

// scan reads the one row that the statement returns.
func (t *sqliteTx) scan(ctx context.Context, text string, args []any, dest ...any) error {
	return t.bound(ctx, text).QueryRowContext(ctx, args...).Scan(dest...) //nolint:sqlclosecheck // closed with the database
}

func carryOut(ctx context.Context, prepared *sql.Stmt, s *statement) error {
	args := append(make([]any, 0, len(s.args)+1), s.args...)
	if s.set != nil {
		args = append(args, jsonRows(s.set))
	}
	if s.row == nil {
		_, err := prepared.ExecContext(ctx, args...)
		return err
	}
	rows, err := prepared.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	read := s.row
	if s.packed {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		read = func(scan scanner) error { return unpacked(scan, len(columns), s.row) }
	}
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// preparer keeps the statements that were prepared once.
type preparer struct {
	db *sql.DB

	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

func newPreparer(db *sql.DB) *preparer {
	return &preparer{db: db, statements: make(map[string]*sql.Stmt)}
}

func (p *preparer) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.statements[text]; s != nil {
		return s, nil
	}
	s, err := p.db.PrepareContext(ctx, text) //nolint:sqlclosecheck // closed with the database
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	p.statements[text] = s
	return s, nil
}
