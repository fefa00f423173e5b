package storage

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/taktwork/takt/core/domain"
)

// Tx carries out a statement within a transaction of the caller's. The values
// are parameters: they are no part of the text. [PgxTx], [SQLTx] and [BunTx]
// make one; for other libraries it is a function of one line.
type Tx func(ctx context.Context, statement string, values ...any) error

// PgxTx returns the transaction of pgx.
func PgxTx(tx pgx.Tx) Tx {
	return func(ctx context.Context, statement string, values ...any) error {
		_, err := tx.Exec(ctx, statement, values...)
		return err
	}
}

// SQLTx returns the transaction of database/sql.
func SQLTx(tx *sql.Tx) Tx {
	return func(ctx context.Context, statement string, values ...any) error {
		_, err := tx.ExecContext(ctx, statement, values...)
		return err
	}
}

// BunTx returns the transaction of bun. What is a bun.IDB, but no bun.Tx, is no
// transaction: statements in it fail with [domain.ErrInvalid].
//
// It goes past bun to the transaction below: bun writes values into the text of
// a statement, and from there they reach the logs of the server.
func BunTx(db bun.IDB) Tx {
	if tx, ok := db.(bun.Tx); ok {
		return SQLTx(tx.Tx)
	}
	return func(context.Context, string, ...any) error {
		return domain.Invalidf("a %T is no transaction, a bun.Tx is", db)
	}
}
