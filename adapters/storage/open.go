package storage

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/taktwork/takt/core/domain"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect Dialect
	schema  string
	runner  runner
	// standard is the handle of database/sql that migrates, bun is for the
	// application. Many a worker needs neither, and then pays for neither.
	standard func() *sql.DB
	bun      func() *bun.DB
	// transact is that of SQLite.
	transact sqliteTransact
	health   *health
	// connect opens a connection outside the pool; nil if the database is a file.
	connect func(context.Context) (*pgx.Conn, error)
	close   func() error
}

// Open opens the database and asks it for a sign of life; ctx bounds the wait.
// A SQLite file of ours is migrated before Open returns, a Postgres schema is
// not: see [DB.Migrate]. A configuration that makes no sense is
// [domain.ErrInvalid], a server that does not answer [ports.ErrUnavailable],
// one that refuses user or database [ErrRefused].
// No error holds a password.
func Open(ctx context.Context, config Config) (*DB, error) {
	switch config.Dialect {
	case Postgres:
		return openPostgres(ctx, config.Postgres)
	case SQLite:
		return openSQLite(ctx, config.SQLite)
	}
	return nil, domain.Invalidf("open storage: dialect %s is neither %s nor %s", domain.Quote(string(config.Dialect)), Postgres, SQLite)
}

// Dialect returns which database it is.
func (db *DB) Dialect() Dialect { return db.dialect }

// Bun returns the handle for queries that are not hot. It writes arguments
// into the text of a query: payloads belong into the ports' own statements.
// A SQLite file has one writer at a time: while a transaction is open here, which
// is one at most, the ports' writes wait, and give up after a minute or so.
func (db *DB) Bun() *bun.DB { return db.bun() }

// Close closes all connections, after the calls that use them.
func (db *DB) Close() error {
	if err := db.close(); err != nil {
		return fmt.Errorf("close storage: %w", err)
	}
	return nil
}
