package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// ErrSchema says that the database has no schema of ours, or an older one:
// migrate it first.
var ErrSchema = errors.New("storage schema is missing or older than this program")

// ErrNoSchema is the [ErrSchema] of a database that nobody has migrated yet.
var ErrNoSchema = fmt.Errorf("nothing has been migrated: %w", ErrSchema)

// ErrRefused says that the server knows neither the user with this password nor
// the database, or does not let this user do what is asked.
var ErrRefused = errors.New("storage refuses access")

// errDoubt says that the connection broke while the server may have carried
// the statements out.
var errDoubt = errors.New("whether it took effect is unknown")

// Conditions of Postgres that callers act upon.
const (
	pgUndefinedTable  = "42P01"
	pgUndefinedColumn = "42703"
	pgInvalidSchema   = "3F000"
	pgBadData         = "22"
	pgNoNumber        = "22P02"
	pgDeadlock        = "40P01"
	pgSerialization   = "40001"
	pgReadOnly        = "25006"
	pgNoRight         = "42501"
	pgNoDatabase      = "3D000"
	pgNoAccess        = "28"
	pgLockTimeout     = "55P03"
)

// callsOnce is the constraint that a repeated write violates.
const callsOnce = "ledger_calls_once"

// pgOutage are the classes of conditions that pass without a change of ours:
// broken connections, exhausted resources, operators at work.
func pgOutage(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "53", "57", "58":
		return true
	}
	return code == pgReadOnly || code == pgLockTimeout
}

// translate turns an error of a driver into one of the port. It returns ctx's
// own error when that is the reason.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return translatePostgres(pg)
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return translateSQLite(lite)
	}
	if isBroken(err) {
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return err
}

func translatePostgres(err *pgconn.PgError) error {
	switch {
	case err.Code == pgUndefinedTable, err.Code == pgUndefinedColumn, err.Code == pgInvalidSchema:
		return fmt.Errorf("%w: %w", ErrSchema, err)
	case strings.HasPrefix(err.Code, pgBadData):
		return domain.Invalidf("value: %w", err)
	case err.Code == pgNoRight, err.Code == pgNoDatabase, strings.HasPrefix(err.Code, pgNoAccess):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case pgOutage(err.Code):
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return err
}

func translateSQLite(err *sqlite.Error) error {
	switch err.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return err
}

// isBroken reports whether the connection is at fault and not the statement.
func isBroken(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || pgconn.SafeToRetry(err)
}

// isDoubt reports whether the server may have carried out what ended with the
// error of its driver. An error proper undoes the transaction, but a broken
// connection may be all that is left to tell of a commit.
func isDoubt(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || pgconn.SafeToRetry(err) {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.SeverityUnlocalized != "ERROR"
	}
	return isBroken(err)
}

func isDoubtful(err error) bool { return errors.Is(err, errDoubt) }

func isOutage(err error) bool { return errors.Is(err, ports.ErrUnavailable) }

// isRepetition reports whether a write was refused because it was carried out
// before.
func isRepetition(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.ConstraintName == callsOnce
}

// isPartial reports whether a write was undone because some of the jobs were not
// as they had been read.
func isPartial(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == pgNoNumber
}

// isBusy reports whether another process has kept the file for long.
func isBusy(err error) bool {
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}

// isCollision reports whether a transaction was undone because of another one
// and may be tried again.
func isCollision(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == pgDeadlock || pg.Code == pgSerialization)
}
