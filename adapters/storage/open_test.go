package storage_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

func openSQLite(tb testing.TB) *storage.DB {
	tb.Helper()
	return openFile(tb, filepath.Join(tb.TempDir(), "takt.db"))
}

func openFile(tb testing.TB, path string) *storage.DB {
	tb.Helper()
	return open(tb, storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}})
}

// openPostgres opens a database as the role that works with it, so that all
// suites fail without a right that they need.
func openPostgres(tb testing.TB) *storage.DB {
	tb.Helper()
	return openAs(tb, migrated(tb), "worker_run")
}

// migrated is a database whose schema the role that migrates made.
func migrated(tb testing.TB) domain.Secret {
	tb.Helper()
	template.once.Do(func() { template.uri = migrate(tb) })
	if template.uri.Reveal() == "" {
		tb.Fatal("the database that others are copied from could not be made")
	}
	return pgtest.Copy(tb, template.uri)
}

// template is migrated once: to copy it takes less.
var template struct {
	once sync.Once
	uri  domain.Secret
}

func migrate(tb testing.TB) domain.Secret {
	tb.Helper()
	uri := pgtest.Database(tb)
	pgtest.Migrate(tb, uri)
	return uri
}

func openAs(tb testing.TB, uri domain.Secret, role string) *storage.DB {
	tb.Helper()
	return open(tb, as(tb, uri, role))
}

func as(tb testing.TB, uri domain.Secret, role string) storage.Config {
	tb.Helper()
	return storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: pgtest.As(tb, uri, role)}}
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

func postgresAt(uri string) storage.Config {
	return storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: domain.NewSecret(uri)}}
}
