package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/test/pgtest"
)

// migrating is a database of a kind: how it is named, and how text is run.
type migrating struct {
	environ []string
	shown   string
	exec    func(t *testing.T, sql string)
}

func inFile(t *testing.T) migrating {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new", "shop.db")
	return migrating{environ: []string{"WORKER_DB_PATH=" + path}, shown: "sqlite:" + path}
}

func inPostgres(t *testing.T) migrating {
	t.Helper()
	uri := pgtest.Database(t)
	return migrating{
		environ: []string{"DB_TYPE=postgres", "DB_URI=" + uri.Reveal()}, shown: "postgres:///",
		exec: func(t *testing.T, sql string) { pgtest.Exec(t, uri, sql) },
	}
}

// ask runs a command on the database.
func (m migrating) ask(t *testing.T, words ...string) output {
	t.Helper()
	i := args(append([]string{"migrate"}, words...)...)
	i.Environ = m.environ
	return run(t, i)
}

// columnGap is what lies between the columns of a table.
var columnGap = regexp.MustCompile(` {2,}`)

func (m migrating) want(t *testing.T, code int, parts []string, words ...string) {
	t.Helper()
	got := m.ask(t, words...)
	if got.code != code || got.stderr != "" {
		t.Errorf("migrate %s: exit code %d, stderr %q; want %d and nothing", words, got.code, got.stderr, code)
	}
	text := columnGap.ReplaceAllString(got.stdout, "  ")
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("migrate %s: %q, want %q in it", words, got.stdout, part)
		}
	}
}

func TestMigrateBringsTablesUpToDate(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) migrating{"sqlite": inFile, "postgres": inPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := open(t)
			for range 2 { // nothing is changed by looking
				m.want(t, cli.ExitUnavailable, []string{m.shown, " to come", "0001_ledger.sql  to come"}, "status")
				m.want(t, cli.ExitOK, []string{"BEGIN;", "CREATE TABLE ledger_jobs", "COMMIT;"}, "sql")
				m.want(t, cli.ExitOK, []string{"BEGIN;", "CREATE TABLE ledger_jobs", "COMMIT;"}, "sql", "--all")
			}
			m.want(t, cli.ExitOK, []string{"applied 0001_ledger.sql\n"}, "up")
			m.want(t, cli.ExitOK, []string{"nothing to do: " + m.shown}, "up")
			m.want(t, cli.ExitOK, []string{": 0 migrations to come", "0001_ledger.sql  applied 20"}, "status")
			if got := m.ask(t, "sql"); got.code != cli.ExitOK || got.stdout != "" {
				t.Errorf("migrate sql: %+v, want nothing", got)
			}
		})
	}
}

func TestMigrateAnswersInJSON(t *testing.T) {
	t.Parallel()
	m := inPostgres(t)
	var answer struct {
		Storage, Dialect string
		Pending          *int
		Migrations       []struct {
			Version   int
			Name      string
			AppliedAt *string
		}
		Applied []string
		SQL     string
	}
	decode := func(words ...string) {
		t.Helper()
		answer.Applied = nil
		if err := json.Unmarshal([]byte(m.ask(t, append(words, "--json")...).stdout), &answer); err != nil {
			t.Fatal(err)
		}
	}
	decode("status")
	if answer.Dialect != "postgres" || *answer.Pending == 0 || len(answer.Migrations) != *answer.Pending || answer.Migrations[0].AppliedAt != nil {
		t.Errorf("status = %+v, want all migrations to come", answer)
	}
	decode("sql")
	m.exec(t, answer.SQL)
	decode("up")
	if len(answer.Applied) > 0 || *answer.Pending != 0 || answer.Migrations[0].AppliedAt == nil {
		t.Errorf("up after the text = %+v, want nothing to do", answer)
	}
}

func TestMigrateSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	pgtest.Roles(t, database)
	rubbish := filepath.Join(t.TempDir(), "rubbish.db")
	if err := os.WriteFile(rubbish, []byte(strings.Repeat("rubbish ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		code    int
		want    string
	}{
		"no place":     {[]string{"HOME="}, cli.ExitConfig, "WORKER_DATA_DIR"},
		"no type":      {[]string{"DB_URI=" + database.Reveal()}, cli.ExitConfig, "DB_TYPE: unset"},
		"nobody there": {[]string{"DB_TYPE=postgres", "DB_URI=postgres:///d?host=/nonexistent"}, cli.ExitUnavailable, "store unavailable"},
		"another user": {[]string{"DB_TYPE=postgres", "DB_URI=" + pgtest.As(t, database, "nobody_knows").Reveal()}, cli.ExitConfig, "refuses access"},
		"no right":     {[]string{"DB_TYPE=postgres", "DB_URI=" + pgtest.As(t, database, "worker_run").Reveal()}, cli.ExitConfig, "refuses access"},
		"no database":  {[]string{"WORKER_DB_PATH=" + rubbish}, cli.ExitConfig, "not a database"},
	} {
		i := args("migrate", "up")
		i.Environ = append(c.environ, "WORKER_CONCURRENCY=5")
		if got := run(t, i); got.code != c.code || !strings.Contains(got.stderr, c.want) || got.stdout != "" {
			t.Errorf("%s: %+v, want exit code %d and %q", name, got, c.code, c.want)
		}
	}
	i := args("migrate", "down")
	if got := run(t, i); got.code != cli.ExitUsage {
		t.Errorf("migrate down: %+v, want exit code %d", got, cli.ExitUsage)
	}
}
