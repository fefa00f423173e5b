package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

func TestOpen_makesAPrivateSQLiteFileAndMigratesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "my takt%41.db")
	config := storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}}
	db := open(t, config)
	if err := db.CheckSchema(t.Context()); err != nil {
		t.Errorf("CheckSchema = %v, want no error", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v, want it for its owner alone", info, err)
	}
	var mode string
	if err := db.Bun().NewRaw("PRAGMA journal_mode").Scan(t.Context(), &mode); err != nil || mode != "wal" {
		t.Errorf("journal_mode = %q, %v, want wal", mode, err)
	}
}

func TestOpen_letsNoStatementHarmTheSQLiteFileOrLoadCode(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	for statement, want := range map[string]string{
		"UPDATE sqlite_schema SET sql = '' WHERE name = 'ledgers'": "may not be modified",
		"SELECT load_extension('harm')":                            "not authorized",
	} {
		conn, err := db.Writer().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), "PRAGMA writable_schema = 1"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %v, want %q", statement, err, want)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpen_letsSeveralMakeOneSQLiteFile(t *testing.T) {
	config := storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(t.TempDir(), "takt.db")}}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			db, err := storage.Open(t.Context(), config)
			if err != nil {
				t.Errorf("Open = %v, want no error", err)
				return
			}
			if err := db.Close(); err != nil {
				t.Errorf("Close = %v, want no error", err)
			}
		})
	}
	group.Wait()
}

func TestMigrate_onPostgres(t *testing.T) {
	db := open(t, storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: pgtest.Database(t), Schema: "elsewhere"}})
	if err := db.CheckSchema(t.Context()); !errors.Is(err, storage.ErrSchema) {
		t.Errorf("CheckSchema(empty database) = %v, want ErrSchema", err)
	}
	if _, err := db.Ledger("").Sync(t.Context(), domain.SyncRequest{Replica: "ann"}); !errors.Is(err, storage.ErrSchema) {
		t.Errorf("Sync(empty database) = %v, want ErrSchema", err)
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := db.Migrate(t.Context()); err != nil {
				t.Errorf("Migrate = %v, want no error", err)
			}
		})
	}
	group.Wait()
	wantApplied(t, db)
	var schema string
	query := "SELECT string_agg(DISTINCT schemaname, ',') FROM pg_tables WHERE tablename IN ('ledgers', 'migrations')"
	if err := db.Bun().NewRaw(query).Scan(t.Context(), &schema); err != nil || schema != "elsewhere" {
		t.Errorf("the tables lie in %q, %v, want elsewhere", schema, err)
	}
}

func TestMigrationSQL_doesWhatMigrateDoes(t *testing.T) {
	uri := pgtest.Database(t)
	db := open(t, storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: uri}})
	text, err := db.MigrationSQL(t.Context())
	if err != nil {
		t.Fatalf("MigrationSQL = %v, want no error", err)
	}
	if all, err := storage.MigrationSQL(storage.Config{Dialect: storage.Postgres}); err != nil || all != text {
		t.Errorf("for a new database the text is %q, %v, want %q", all, err, text)
	}
	pgtest.Exec(t, uri, text)
	wantApplied(t, db)
	if err := db.Migrate(t.Context()); err != nil {
		t.Errorf("Migrate after the text = %v, want no error", err)
	}
	if again, err := db.MigrationSQL(t.Context()); err != nil || again != "" {
		t.Errorf("MigrationSQL of what is migrated = %q, %v, want nothing", again, err)
	}
	pgtest.Exec(t, uri, "DELETE FROM worker.migrations WHERE version_id = 1")
	if first, err := db.MigrationSQL(t.Context()); err != nil || strings.Contains(first, "CREATE SCHEMA") || !strings.Contains(first, "0001_ledger") {
		t.Errorf("MigrationSQL of the first one = %q, %v, want that alone", first, err)
	}
	if _, err := db.Ledger("").Sync(t.Context(), domain.SyncRequest{Replica: "ann"}); err != nil {
		t.Errorf("Sync = %v, want no error", err)
	}
}

func wantApplied(t *testing.T, db *storage.DB) {
	t.Helper()
	migrations, err := db.MigrationStatus(t.Context())
	if err != nil || len(migrations) == 0 {
		t.Fatalf("MigrationStatus = %v, %v, want some", migrations, err)
	}
	for _, m := range migrations {
		if m.AppliedAt.IsZero() {
			t.Errorf("migration %s is not applied", m.Name)
		}
	}
}

func TestOpen_refusesWhatMakesNoSense(t *testing.T) {
	const canary = "pa55-w0rd"
	secret := domain.NewSecret
	for name, config := range map[string]storage.Config{
		"no dialect":     {},
		"no path":        {Dialect: storage.SQLite},
		"memory":         {Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: ":memory:"}},
		"options":        {Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: "a.db?mode=ro"}},
		"another scheme": postgres(storage.PostgresConfig{URI: secret("mysql://u:" + canary + "@h/d")}),
		"bare @":         postgres(storage.PostgresConfig{URI: secret("postgres://u:" + canary + "@x@h/d")}),
		"bare #":         postgres(storage.PostgresConfig{URI: secret("postgres://u:" + canary + "#x@h/d")}),
		"bad escape":     postgres(storage.PostgresConfig{URI: secret("postgres://u:" + canary + "%zz@h/d")}),
		"bad port":       postgres(storage.PostgresConfig{URI: secret("postgres://u:" + canary + "@h:99999/d")}),
		"service":        postgres(storage.PostgresConfig{URI: secret("postgres://u:" + canary + "@h/d?service=x")}),
		"options of pg":  postgres(storage.PostgresConfig{URI: secret("postgres://u:" + canary + "@h/d?options=-cx")}),
		"prefer":         postgres(storage.PostgresConfig{Password: secret(canary), SSLMode: "prefer"}),
		"hosts":          postgres(storage.PostgresConfig{Password: secret(canary), Host: "a,b"}),
		"schema":         postgres(storage.PostgresConfig{Password: secret(canary), Schema: `x"; DROP`}),
		"no CA":          postgres(storage.PostgresConfig{Password: secret(canary), SSLMode: "verify-full", CACert: "none"}),
	} {
		db, err := storage.Open(t.Context(), config)
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Open(%s) = %v, %v, want ErrInvalid", name, db, err)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("Open(%s) tells the password: %v", name, err)
		}
	}
}

func postgres(config storage.PostgresConfig) storage.Config {
	return storage.Config{Dialect: storage.Postgres, Postgres: config}
}

func TestOpen_ignoresTheVariablesOfPostgres(t *testing.T) {
	uri := pgtest.Database(t)
	for name, value := range map[string]string{
		"PGSERVICE": "nowhere", "PGHOST": "nowhere", "PGOPTIONS": "-c search_path=x", "PGSSLMODE": "verify-full", "PGTARGETSESSIONATTRS": "none",
	} {
		t.Setenv(name, value)
	}
	open(t, postgres(storage.PostgresConfig{URI: uri}))
	if got := os.Getenv("PGSERVICE"); got != "nowhere" {
		t.Errorf("PGSERVICE = %q afterwards, want it as it was", got)
	}
}
