package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/ports"
)

// migrateAnswer is what migrate prints as JSON.
type migrateAnswer struct {
	Storage    string          `json:"storage"`
	Dialect    storage.Dialect `json:"dialect"`
	Pending    int             `json:"pending"`
	Migrations []migrationInfo `json:"migrations"`
	// Applied names those that this command applied.
	Applied []string `json:"applied,omitempty"`
}

// migrationInfo is one migration.
type migrationInfo struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"appliedAt"`
}

const migrateLong = `The worker's own tables are in the schema worker of Postgres with DB_TYPE=postgres, else
in a SQLite file of its own, which it also makes and migrates by itself when it starts.
The platform's tables and file are never changed. No worker needs to run.

`

func (s *session) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the worker's tables up to date",
		Long:  migrateLong + exitCodes,
		Example: `  worker migrate status
  worker migrate up
  worker migrate sql > schema.sql`,
		Args: noArgs,
		RunE: group,
	}
	cmd.AddCommand(s.migrateUpCommand(), s.migrateStatusCommand(), s.migrateSQLCommand())
	return cmd
}

func (s *session) migrateUpCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Apply the migrations that are still to come",
		Long: `Applies the migrations that are still to come; with none it does nothing. Several at once
wait for each other. In Postgres the schema is made if it is not there, and belongs to who
runs this: the role that migrates, and not the one that works.

` + exitCodes,
		Example: `  worker migrate up
  DB_USER=worker_migrate worker migrate up --json`,
		Args: noArgs,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			return s.migrateUp(ctx, asJSON)
		}),
	}
	addJSON(cmd, &asJSON)
	return cmd
}

func (s *session) migrateStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the migrations and when they were applied",
		Long: `Lists all migrations that this version knows, and when each was applied. Nothing is
changed. The exit code is 69 if one is still to come.

` + exitCodes,
		Example: `  worker migrate status
  worker migrate status --json`,
		Args: noArgs,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			return s.migrateStatus(ctx, asJSON)
		}),
	}
	addJSON(cmd, &asJSON)
	return cmd
}

func (s *session) migrateSQLCommand() *cobra.Command {
	var whole, asJSON bool
	cmd := &cobra.Command{
		Use:   "sql",
		Short: "Print what migrate up would do, as SQL",
		Long: `Prints what "migrate up" would do now, for an administrator to run in its place: one
transaction, or nothing if nothing is to do. With --all, what makes a new database; then
none is connected.

` + exitCodes,
		Example: `  worker migrate sql
  worker migrate sql --all > schema.sql`,
		Args: noArgs,
		RunE: s.interruptibly(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			return s.migrateSQL(ctx, whole, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&whole, "all", false, "everything that a new database needs, without connecting")
	addJSON(cmd, &asJSON)
	return cmd
}

// storageVariables are those that say where the worker's tables are.
func storageVariables() []string {
	return []string{
		"WORKER_NAMESPACE", "WORKER_DB_PATH", "WORKER_DATA_DIR", "DB_TYPE", "DB_URI", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER",
		"DB_PASS", "DB_SSL_MODE", "DB_REQUIRE_TLS", "DB_CA_CERT", "DB_POOL_SIZE", "DB_PATH",
	}
}

// ownStorage returns where the worker's tables are.
func (s *session) ownStorage() (storage.Config, error) {
	loaded, report, err := s.loadPart(storageVariables()...)
	if err != nil {
		return storage.Config{}, err
	}
	s.warn(report)
	return app.SettingsFrom(loaded).Storage, nil
}

// withStorage opens the database for what is to be done, and closes it after.
func withStorage(ctx context.Context, config storage.Config, do func(*storage.DB) error) error {
	db, err := storage.Open(ctx, config)
	if err == nil {
		err = errors.Join(do(db), db.Close())
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ports.ErrUnavailable):
		return fmt.Errorf("%s: %w", config, err)
	}
	return fmt.Errorf("%s: %w: %w", config, app.ErrStorage, err)
}

func (s *session) migrateUp(ctx context.Context, asJSON bool) error {
	config, err := s.ownStorage()
	if err != nil {
		return err
	}
	before, err := migrationsIn(ctx, config)
	if err != nil {
		return err
	}
	var after []storage.Migration
	err = withStorage(ctx, config, func(db *storage.DB) error {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		after, err = db.MigrationStatus(ctx)
		return err
	})
	if err != nil {
		return err
	}
	answer := answerOf(config, after)
	for i := range before {
		if before[i].AppliedAt.IsZero() {
			answer.Applied = append(answer.Applied, before[i].Name)
		}
	}
	if asJSON {
		return s.printJSON(answer)
	}
	for _, name := range answer.Applied {
		s.printf("applied %s\n", name)
	}
	if len(answer.Applied) == 0 {
		s.printf("nothing to do: %s is up to date\n", printable(answer.Storage))
	}
	return nil
}

func (s *session) migrateStatus(ctx context.Context, asJSON bool) error {
	config, err := s.ownStorage()
	if err != nil {
		return err
	}
	migrations, err := migrationsIn(ctx, config)
	if err != nil {
		return err
	}
	answer := answerOf(config, migrations)
	if asJSON {
		err = s.printJSON(answer)
	} else {
		s.showMigrations(&answer)
	}
	if err == nil && answer.Pending > 0 {
		return &exitError{code: ExitUnavailable}
	}
	return err
}

func (s *session) showMigrations(answer *migrateAnswer) {
	s.printf("%s: %s to come\n", printable(answer.Storage), plural(answer.Pending, "migration"))
	var rows [][]string
	for _, m := range answer.Migrations {
		state := "to come"
		if m.AppliedAt != nil {
			state = "applied " + m.AppliedAt.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{"  " + m.Name, state})
	}
	table(s.out, rows)
}

func (s *session) migrateSQL(ctx context.Context, whole, asJSON bool) error {
	config, err := s.ownStorage()
	if err != nil {
		return err
	}
	var text string
	switch {
	case whole || isMissing(config):
		text, err = storage.MigrationSQL(config)
	default:
		err = withStorage(ctx, unchanged(config), func(db *storage.DB) error {
			text, err = db.MigrationSQL(ctx)
			return err
		})
	}
	if err != nil {
		return err
	}
	if asJSON {
		return s.printJSON(struct {
			Storage string `json:"storage"`
			SQL     string `json:"sql"`
		}{config.String(), text})
	}
	s.printf("%s", text)
	return nil
}

// migrationsIn returns the state of all migrations, and changes nothing.
func migrationsIn(ctx context.Context, config storage.Config) (migrations []storage.Migration, err error) {
	if isMissing(config) {
		return storage.Migrations(config.Dialect)
	}
	err = withStorage(ctx, unchanged(config), func(db *storage.DB) error {
		migrations, err = db.MigrationStatus(ctx)
		return err
	})
	return migrations, err
}

// isMissing reports a SQLite file that nobody made yet.
func isMissing(config storage.Config) bool {
	_, err := os.Stat(config.SQLite.Path)
	return config.Dialect == storage.SQLite && errors.Is(err, fs.ErrNotExist)
}

// unchanged opens the database without migrating it.
func unchanged(config storage.Config) storage.Config {
	config.SQLite.Foreign = true
	return config
}

func answerOf(config storage.Config, migrations []storage.Migration) migrateAnswer {
	answer := migrateAnswer{Storage: config.String(), Dialect: config.Dialect, Migrations: []migrationInfo{}}
	for _, m := range migrations {
		info := migrationInfo{Version: m.Version, Name: m.Name}
		if m.AppliedAt.IsZero() {
			answer.Pending++
		} else {
			info.AppliedAt = &m.AppliedAt
		}
		answer.Migrations = append(answer.Migrations, info)
	}
	return answer
}
