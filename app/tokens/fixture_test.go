package tokens_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the platform's own connection

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/test/pgtest"
)

// platform is a platform's database with its table of tokens, and a connection
// of the platform's own beside that of the worker.
type platform struct {
	config storage.Config
	own    *sql.DB
	// many is a number of rows that takes many steps.
	many int
}

// onEach runs the test on both of the platform's databases.
func onEach(t *testing.T, test func(t *testing.T, p *platform)) {
	t.Helper()
	for _, dialect := range []storage.Dialect{storage.Postgres, storage.SQLite} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, dialect)
			p.createTable(t)
			test(t, p)
		})
	}
}

// newPlatform makes an empty database.
func newPlatform(t *testing.T, dialect storage.Dialect) *platform {
	t.Helper()
	p := &platform{config: storage.Config{Dialect: dialect}, many: many}
	var driver, source string
	if dialect == storage.Postgres {
		p.config.Postgres.URI = pgtest.Database(t)
		driver, source = "pgx", p.config.Postgres.URI.Reveal()
	} else {
		p.config.SQLite.Foreign = true
		p.many = manySQLite
		p.config.SQLite.Path = filepath.Join(t.TempDir(), "platform.sqlite3")
		driver, source = "sqlite", p.config.SQLite.Path+"?_pragma=busy_timeout(5000)"
	}
	own, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Close() })
	p.own = own
	return p
}

func (p *platform) createTable(t *testing.T) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", string(p.config.Dialect)+".sql"))
	if err != nil {
		t.Fatal(err)
	}
	if p.config.Dialect == storage.Postgres {
		pgtest.Exec(t, p.config.Postgres.URI, string(script))
		return
	}
	p.exec(t, string(script))
}

func (p *platform) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := p.own.ExecContext(context.Background(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// open opens the database as a worker does.
func (p *platform) open(t *testing.T) *storage.DB {
	t.Helper()
	db, err := storage.Open(t.Context(), p.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// tokenRow is a row as far as the tests look at it. Times are literals of the
// platform's, or nil.
type tokenRow struct {
	ID, Type, Status      string
	ExpiresAt, LastUsedAt any
	RevokedAt, Reason     any
	Version               int64
	Updated               bool
}

// old is when the rows of tests were last updated by the platform.
const old = "2020-01-01 00:00:00"

// insert adds an active token under the name.
func (p *platform) insert(t *testing.T, name, kind, status string, expiresAt, lastUsedAt any) {
	t.Helper()
	p.exec(t, `INSERT INTO tokens ("id", "tokenHash", "tokenType", "status", "expiresAt", "lastUsedAt", "version", "userId", "updatedAt")
		VALUES ($1, $2, $3, $4, $5, $6, 1, $1, $7)`, idOf(name), name, kind, status, expiresAt, lastUsedAt, old)
}

// idOf is a uuid with the name in its digits, so that rows have an order that
// does not depend on chance.
func idOf(name string) string {
	digits := fmt.Sprintf("%x", name)
	digits = (digits + "00000000000000000000000000000000")[:32]
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}

// token returns a row.
func (p *platform) token(t *testing.T, name string) tokenRow {
	t.Helper()
	text := func(column string) string { return column }
	if p.config.Dialect == storage.Postgres {
		text = func(column string) string { return column + "::text" }
	}
	var row tokenRow
	var updated string
	err := p.own.QueryRowContext(context.Background(), `SELECT "tokenHash", "tokenType", "status", `+text(`"expiresAt"`)+`, `+text(`"lastUsedAt"`)+
		`, `+text(`"revokedAt"`)+`, "revokedReason", "version", CAST("updatedAt" AS text) FROM tokens WHERE "tokenHash" = $1`, name).Scan(
		&row.ID, &row.Type, &row.Status, &row.ExpiresAt, &row.LastUsedAt, &row.RevokedAt, &row.Reason, &row.Version, &updated)
	if err != nil {
		t.Fatal(err)
	}
	row.Updated = updated != old
	return row
}

// statuses returns the rows' statuses by name.
func (p *platform) statuses(t *testing.T) map[string]string {
	t.Helper()
	rows, err := p.own.QueryContext(context.Background(), `SELECT "tokenHash", "status" FROM tokens`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	found := map[string]string{}
	for rows.Next() {
		var name, status string
		if err := rows.Scan(&name, &status); err != nil {
			t.Fatal(err)
		}
		found[name] = status
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// count asks for a number.
func (p *platform) count(t *testing.T, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := p.own.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// fill adds n active api keys, all of which expired and were last
// used a year ago.
func (p *platform) fill(t *testing.T, n int) {
	t.Helper()
	if p.config.Dialect == storage.Postgres {
		p.exec(t, `INSERT INTO tokens ("tokenHash", "tokenType", "expiresAt", "lastUsedAt", "version", "userId")
			SELECT 'api_key' || n, 'api_key', now() - interval '1 year' - n * interval '1 second', now() - interval '1 year', 1, gen_random_uuid() FROM generate_series(1, $1) n`, n)
		return
	}
	p.exec(t, `WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < $1)
		INSERT INTO tokens ("id", "tokenHash", "tokenType", "expiresAt", "lastUsedAt", "version", "userId")
		SELECT lower(hex(randomblob(16))), 'api_key' || n, 'api_key', strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 year', -n || ' seconds'), strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 year'), 1, 'u' FROM s`, n)
}

// stamp is a time as the platform writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }
