package storage_test

import (
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

func TestTheRoleThatWorksHasTheRowsOfEveryTableAndNothingElse(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	var tables []string
	query := "SELECT tablename FROM pg_tables WHERE schemaname = 'worker' ORDER BY 1"
	if err := db.Bun().NewRaw(query).Scan(t.Context(), &tables); err != nil || len(tables) < 2 {
		t.Fatalf("tables = %v, %v, want those of the migrations", tables, err)
	}
	for _, table := range tables {
		var rights string
		query := `SELECT coalesce(string_agg(name, ' ' ORDER BY name), '')
			FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS name
			WHERE has_table_privilege('worker_run', 'worker.' || quote_ident(?), name)`
		if err := db.Bun().NewRaw(query, table).Scan(t.Context(), &rights); err != nil || rights != "DELETE INSERT SELECT UPDATE" {
			t.Errorf("rights on %s = %q, %v, want DELETE INSERT SELECT UPDATE", table, rights, err)
		}
	}
	for _, refused := range []string{
		"CREATE TABLE worker.mine (id int)", "CREATE TABLE public.mine (id int)", "CREATE SCHEMA mine", "CREATE ROLE mine",
		"DROP TABLE worker." + tables[0], "TRUNCATE worker." + tables[0], "ALTER TABLE worker." + tables[0] + " ADD COLUMN mine int",
		"SELECT * FROM pg_authid", "COPY worker." + tables[0] + " TO PROGRAM 'true'", "ALTER ROLE worker_run SUPERUSER",
	} {
		if _, err := db.Bun().NewRaw(refused).Exec(t.Context()); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s = %v, want insufficient privilege", refused, err)
		}
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Errorf("Migrate of what is migrated = %v, want no error", err)
	}
}

// TestTheRolesAreMadeByAnOwnerThatIsNoSuperuser is how managed databases are: their administrator makes roles, and is none
// of the operator's.
func TestTheRolesAreMadeByAnOwnerThatIsNoSuperuser(t *testing.T) {
	t.Parallel()
	roles, err := os.ReadFile("../../deploy/postgres-roles.sql")
	if err != nil {
		t.Fatal(err)
	}
	uri := pgtest.Start(t).URI
	pgtest.Exec(t, uri, "CREATE ROLE doadmin LOGIN CREATEROLE CREATEDB")
	pgtest.Exec(t, uri, "CREATE DATABASE shop OWNER doadmin")
	address, err := url.Parse(uri.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	address.Path = "/shop"
	shop := domain.NewSecret(address.String())
	admin := pgtest.As(t, shop, "doadmin")
	pgtest.Exec(t, admin, `CREATE TABLE tokens (id int PRIMARY KEY, "tokenType" text, status text, "expiresAt" timestamptz, "lastUsedAt" timestamptz,
		"revokedAt" timestamptz, "revokedReason" text, version int, "updatedAt" timestamptz)`)
	pgtest.Exec(t, admin, string(roles))
	if err := openAs(t, shop, "worker_migrate").Migrate(t.Context()); err != nil {
		t.Fatalf("Migrate as worker_migrate = %v", err)
	}
	pgtest.Exec(t, admin, string(roles)) // with tables there
	db := openAs(t, shop, "worker_run")
	if err := db.CheckSchema(t.Context()); err != nil {
		t.Errorf("CheckSchema as worker_run = %v", err)
	}
	if _, err := db.Bun().NewRaw("UPDATE public.tokens SET status = 'EXPIRED'").Exec(t.Context()); err != nil {
		t.Errorf("update tokens as worker_run = %v", err)
	}
	var mighty []string
	query := `SELECT rolname FROM pg_roles WHERE rolname LIKE 'worker\_%' AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)`
	if err := db.Bun().NewRaw(query).Scan(t.Context(), &mighty); err != nil || len(mighty) > 0 {
		t.Errorf("roles with rights beyond tables are %v, %v, want none", mighty, err)
	}
}

func TestTheRoleThatWorksCannotMigrate(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	for range 2 { // again does no harm
		pgtest.Roles(t, uri)
	}
	if err := openAs(t, uri, "worker_run").Migrate(t.Context()); !errors.Is(err, storage.ErrRefused) {
		t.Errorf("Migrate as worker_run = %v, want ErrRefused", err)
	}
}

func TestThePlatformsTokensAreReadAndUpdatedAndNothingElse(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	pgtest.Exec(t, uri, `CREATE TABLE tokens (id int PRIMARY KEY, "tokenHash" text, "tokenType" text, status text, "expiresAt" timestamptz, "lastUsedAt" timestamptz,
		"revokedAt" timestamptz, "revokedReason" text, version int, "updatedAt" timestamptz); CREATE TABLE secrets (id int)`)
	pgtest.Roles(t, uri)
	db := openAs(t, uri, "worker_run")
	var refused []string
	for _, statement := range []string{
		"SELECT id FROM public.tokens FOR NO KEY UPDATE", "UPDATE public.tokens SET status = 'EXPIRED'",
		"DELETE FROM public.tokens", "INSERT INTO public.tokens VALUES (1)", "SELECT id FROM public.secrets",
		`SELECT "tokenHash" FROM public.tokens`, "UPDATE public.tokens SET id = 1",
	} {
		if _, err := db.Bun().NewRaw(statement).Exec(t.Context()); err != nil {
			refused = append(refused, strings.Fields(statement)[0])
		}
	}
	if !slices.Equal(refused, []string{"DELETE", "INSERT", "SELECT", "SELECT", "UPDATE"}) {
		t.Errorf("refused are %v, want to delete, to insert, to read another table or column, and to write a key", refused)
	}
}

func TestAServerThatRefusesTheUserIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	for name, uri := range map[string]string{
		"user":     pgtest.As(t, uri, "nobody_knows").Reveal(),
		"database": strings.Replace(uri.Reveal(), "/test_", "/nowhere_", 1),
	} {
		_, err := storage.Open(t.Context(), postgresAt(uri))
		if !errors.Is(err, storage.ErrRefused) {
			t.Errorf("Open(another %s) = %v, want ErrRefused", name, err)
		}
	}
}
