package pgtest

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// roles keeps tests of one server from changing its roles at once: they belong
// to all databases.
//
//nolint:gochecknoglobals // one server for a process
var roles sync.Mutex

// ExecRoles is [Exec] for SQL that changes roles.
func ExecRoles(tb testing.TB, uri domain.Secret, sql string) {
	tb.Helper()
	roles.Lock()
	defer roles.Unlock()
	Exec(tb, uri, sql)
}

// Roles makes the roles of deploy/postgres-roles.sql, and their schema, in the
// database. It returns its address for the one that migrates, and for the one that
// works with what is there.
func Roles(tb testing.TB, uri domain.Secret) (migrate, run domain.Secret) {
	tb.Helper()
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("it is not known where the sources are")
	}
	sql, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "deploy", "postgres-roles.sql"))
	if err != nil {
		tb.Fatal(err)
	}
	ExecRoles(tb, uri, string(sql))
	return As(tb, uri, "worker_migrate"), As(tb, uri, "worker_run")
}

// As returns the address of a database with another user.
func As(tb testing.TB, uri domain.Secret, role string) domain.Secret {
	tb.Helper()
	address, err := url.Parse(uri.Reveal())
	if err != nil {
		tb.Fatal(err)
	}
	address.User = url.User(role)
	return domain.NewSecret(address.String())
}

// Migrate makes the roles and, as the one that migrates, the schema of the worker
// in an empty database. It returns its address for the role that works with it.
func Migrate(tb testing.TB, uri domain.Secret) domain.Secret {
	tb.Helper()
	migrate, run := Roles(tb, uri)
	db, err := storage.Open(tb.Context(), storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: migrate}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(db.Migrate(tb.Context()), db.Close()); err != nil {
		tb.Fatalf("Migrate as worker_migrate = %v, want no error", err)
	}
	return run
}
