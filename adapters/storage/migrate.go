package storage

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// migrationTable is where goose keeps what it did.
const migrationTable = "migrations"

//go:embed migrations
var migrationFiles embed.FS

// Migration is one step of the schema.
type Migration struct {
	Version int64
	// Name is that of the file.
	Name string
	// AppliedAt is zero for one that is still to come.
	AppliedAt time.Time
}

// Migrate brings the schema up to date. On Postgres it creates the schema if
// it is not there, which takes the right to; processes that migrate at once
// wait for each other. It does nothing when nothing is to do.
func (db *DB) Migrate(ctx context.Context) error {
	// Most often there is nothing to do, and then no lock to wait for.
	if db.CheckSchema(ctx) == nil {
		return nil
	}
	if err := db.createSchema(ctx); err != nil {
		return fmt.Errorf("migrate: %w", translate(ctx, err))
	}
	provider, err := db.provider()
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for attempt := 0; ; attempt++ {
		_, err = provider.Up(ctx)
		if err == nil || db.dialect != SQLite || attempt == migrateTries || !isOvertaken(err) {
			break
		}
		// Another process was faster by a moment and may not be done: SQLite has
		// no lock over several transactions.
		pause(ctx, migratePause)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", translate(ctx, err))
	}
	return nil
}

// How often, and after which pause, a migration of SQLite is tried again that
// another process has overtaken.
const (
	migrateTries = 100
	migratePause = 20 * time.Millisecond
)

// isOvertaken reports whether a migration failed on what it was to make: the
// table, or the row that says so, is there already.
func isOvertaken(err error) bool {
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && (lite.Code()&0xff == sqlite3.SQLITE_ERROR || lite.Code()&0xff == sqlite3.SQLITE_CONSTRAINT)
}

func (db *DB) createSchema(ctx context.Context) error {
	if db.dialect != Postgres {
		return nil
	}
	// CREATE SCHEMA IF NOT EXISTS asks for the right to create it first.
	known, err := db.hasSchema(ctx)
	if err != nil || known {
		return err
	}
	_, err = db.standard().ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{db.schema}.Sanitize())
	return err
}

func (db *DB) hasSchema(ctx context.Context) (known bool, err error) {
	err = db.standard().QueryRowContext(ctx, "SELECT to_regnamespace($1) IS NOT NULL", db.schema).Scan(&known)
	return known, translate(ctx, err)
}

func (db *DB) provider() (*goose.Provider, error) {
	files, err := migrationsOf(db.dialect)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithTableName(migrationTable), goose.WithDisableGlobalRegistry(true)}
	if db.dialect == SQLite {
		return goose.NewProvider(goose.DialectSQLite3, db.standard(), files, options...)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db.standard(), files, append(options, goose.WithSessionLocker(locker))...)
}

func migrationsOf(dialect Dialect) (fs.FS, error) {
	return fs.Sub(migrationFiles, "migrations/"+string(dialect))
}

// Migrations returns all migrations that this program knows for a database, in
// order, as if none was applied.
func Migrations(dialect Dialect) ([]Migration, error) { return knownMigrations(dialect) }

// MigrationStatus returns all migrations that this program knows, in order,
// and when each was applied. It changes nothing.
func (db *DB) MigrationStatus(ctx context.Context) ([]Migration, error) {
	migrations, err := knownMigrations(db.dialect)
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	applied, err := db.applied(ctx)
	if err != nil && !errors.Is(err, ErrSchema) {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	for i := range migrations {
		migrations[i].AppliedAt = applied[migrations[i].Version]
	}
	return migrations, nil
}

// CheckSchema returns nil if the schema is up to date, [ErrNoSchema] if there is
// none, [ErrSchema] if a migration is still to come, and [ErrRefused] if this user
// may not look.
func (db *DB) CheckSchema(ctx context.Context) error {
	migrations, err := db.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	come := func(m Migration) bool { return m.AppliedAt.IsZero() }
	first := slices.IndexFunc(migrations, come)
	switch {
	case first < 0:
		return nil
	case !slices.ContainsFunc(migrations, func(m Migration) bool { return !come(m) }):
		return ErrNoSchema
	}
	return fmt.Errorf("migration %s: %w", migrations[first].Name, ErrSchema)
}

// noSchema returns [ErrNoSchema], or [ErrRefused] if the schema may be there and
// is not for this user to see.
func (db *DB) noSchema(ctx context.Context) error {
	if db.dialect != Postgres {
		return ErrNoSchema
	}
	const hidden = "SELECT count(*) FROM pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')"
	var count int
	if err := db.standard().QueryRowContext(ctx, hidden, db.schema).Scan(&count); err != nil {
		return translate(ctx, err)
	}
	if count > 0 {
		return fmt.Errorf("schema %s: %w", db.schema, ErrRefused)
	}
	return ErrNoSchema
}

// applied returns when each migration was applied.
func (db *DB) applied(ctx context.Context) (map[int64]time.Time, error) {
	exists := "SELECT to_regclass($1) IS NOT NULL"
	if db.dialect == SQLite {
		exists = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = $1)"
	}
	var found bool
	if err := db.standard().QueryRowContext(ctx, exists, migrationTable).Scan(&found); err != nil {
		return nil, translate(ctx, err)
	}
	if !found {
		return nil, db.noSchema(ctx)
	}
	rows, err := db.standard().QueryContext(ctx, "SELECT version_id, tstamp FROM "+migrationTable+" WHERE is_applied")
	if err != nil {
		return nil, translate(ctx, err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	applied := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, translate(ctx, err)
		}
		applied[version] = at
	}
	return applied, translate(ctx, rows.Err())
}

func knownMigrations(dialect Dialect) ([]Migration, error) {
	files, err := migrationsOf(dialect)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	migrations := make([]Migration, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		migrations[i] = Migration{Version: version, Name: name}
	}
	return migrations, nil
}
