package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/core/ports"
)

// Survey is what a database tells of itself to whoever looks for what is wrong.
type Survey struct {
	// Version is that of Postgres, or of the SQLite that is built in.
	Version string
	// RoundTrip is how long a question took.
	RoundTrip time.Duration
	// ClockAhead is by how much the clock of the server is ahead of this host's,
	// known to within RoundTrip; nil for a file, which has none.
	ClockAhead *time.Duration
	// ReadOnly tells that it takes no writes, as a standby does not.
	ReadOnly bool
	// Proxied tells that something between lends connections of the server.
	Proxied bool
	// Connections are those of all clients, of MaxConnections; zero for a file.
	Connections, MaxConnections int
	// Migrations are those that this program knows, Newer the numbers of
	// applied ones that it does not.
	Migrations []Migration
	Newer      []int64
	// Hidden tells that there is a schema that this user may not look into.
	Hidden bool
	// Denied are the worker's tables whose rows this user may not read and write.
	Denied []string
}

// Pending are the migrations that are still to come.
func (s *Survey) Pending() []Migration {
	return slices.DeleteFunc(slices.Clone(s.Migrations), func(m Migration) bool { return !m.AppliedAt.IsZero() })
}

// Survey asks the database and changes nothing. Errors are those of a database
// that does not answer, [ports.ErrUnavailable], or refuses to, [ErrRefused].
func (db *DB) Survey(ctx context.Context) (Survey, error) {
	var s Survey
	ask := db.surveyServer
	if db.dialect == SQLite {
		ask = db.surveyFile
	}
	err := ask(ctx, &s)
	if err == nil {
		err = db.surveySchema(ctx, &s)
	}
	if err != nil {
		return s, surveyed(ctx, err)
	}
	return s, nil
}

// surveyed words an error. Who does not answer in time is away.
func surveyed(ctx context.Context, err error) error {
	err = translate(ctx, err)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("survey: %w: no answer in time", ports.ErrUnavailable)
	}
	return fmt.Errorf("survey: %w", err)
}

func (db *DB) surveyFile(ctx context.Context, s *Survey) error {
	begun := time.Now()
	err := db.standard().QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&s.Version)
	s.RoundTrip = time.Since(begun)
	return err
}

const surveyQuery = `SELECT current_setting('server_version'), pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
	pg_backend_pid(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
	(SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database), current_setting('max_connections')::int`

// surveyServer asks over a connection of its own: the server tells each one the
// number of the process that serves it, and who lends connections tells another.
func (db *DB) surveyServer(ctx context.Context, s *Survey) (err error) {
	conn, err := db.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	begun := time.Now()
	if err := conn.Ping(ctx); err != nil {
		return err
	}
	asked := time.Now()
	s.RoundTrip = asked.Sub(begun)
	var serving uint32
	var micros int64
	err = conn.QueryRow(ctx, surveyQuery, pgx.QueryExecModeSimpleProtocol).
		Scan(&s.Version, &s.ReadOnly, &serving, &micros, &s.Connections, &s.MaxConnections)
	if err != nil {
		return err
	}
	ahead := time.UnixMicro(micros).Sub(asked.Add(time.Since(asked) / 2).Round(0))
	s.ClockAhead, s.Proxied = &ahead, serving != conn.PgConn().PID()
	return nil
}

func (db *DB) surveySchema(ctx context.Context, s *Survey) error {
	var err error
	if s.Migrations, err = knownMigrations(db.dialect); err != nil {
		return err
	}
	applied, err := db.applied(ctx)
	switch {
	case errors.Is(err, ErrRefused):
		s.Hidden = true
		return nil
	case errors.Is(err, ErrSchema):
		return nil
	case err != nil:
		return err
	}
	for i := range s.Migrations {
		s.Migrations[i].AppliedAt = applied[s.Migrations[i].Version]
		delete(applied, s.Migrations[i].Version)
	}
	for version := range applied {
		if version > 0 { // goose begins with a row of its own
			s.Newer = append(s.Newer, version)
		}
	}
	slices.Sort(s.Newer)
	return db.surveyRights(ctx, s)
}

// surveyRights looks which tables of the worker lack a right to their rows.
func (db *DB) surveyRights(ctx context.Context, s *Survey) error {
	if db.dialect != Postgres {
		return nil
	}
	rows, err := db.standard().QueryContext(ctx, `SELECT relname FROM pg_class
		WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' AND relname <> $2 AND NOT (has_table_privilege(oid, 'SELECT')
			AND has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
		ORDER BY relname`, db.schema, migrationTable)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		s.Denied = append(s.Denied, table)
	}
	return rows.Err()
}
