package storage_test

import (
	"path/filepath"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/test/pgtest"
)

func openSQLite(tb testing.TB) *storage.DB {
	tb.Helper()
	return open(tb, storage.Config{
		Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(tb.TempDir(), "takt.db")},
	})
}

func openPostgres(tb testing.TB) *storage.DB {
	tb.Helper()
	db := open(tb, storage.Config{
		Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: pgtest.Database(tb)},
	})
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatalf("Migrate = %v, want no error", err)
	}
	return db
}

func open(tb testing.TB, config storage.Config) *storage.DB {
	tb.Helper()
	db, err := storage.Open(tb.Context(), config)
	if err != nil {
		tb.Fatalf("Open = %v, want no error", err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("Close = %v, want no error", err)
		}
	})
	return db
}
