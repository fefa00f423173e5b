package tokens

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/taktwork/takt/adapters/storage"
)

// pageSize is how many rows one step looks at, and at most changes.
const pageSize = 1000

// table is the platform's table of tokens.
type table struct {
	db *bun.DB
	dialect
}

// dialect is what differs between the platform's databases.
type dialect struct {
	times
	// name is the table's, expiry the value of expiresAt as it can be given
	// back.
	name, expiry schema.QueryAppender
	// lock keeps the rows of a query from others for the statement, those
	// excepted that others keep.
	lock schema.QueryAppender
	// columns asks for the names of the table's columns, clock for the time;
	// without one it is the host's.
	columns, clock string
	// rest is how long to leave the database to others after a change.
	rest time.Duration
}

// times are what the platform writes and compares.
type times interface {
	// stamp is a time in a column of its own, updated one in updatedAt.
	stamp(t time.Time) string
	updated(t time.Time) string
	// before holds for rows whose time in the column is before t.
	before(column string, t time.Time) schema.QueryAppender
	// expiring holds for all rows that have expired, and for few others. An
	// index on expiresAt answers it.
	expiring(now time.Time) schema.QueryAppender
}

func newTable(db *storage.DB, zone *time.Location) *table {
	if db.Dialect() == storage.Postgres {
		return &table{db: db.Bun(), dialect: postgres(zone)}
	}
	return &table{db: db.Bun(), dialect: sqlite()}
}

// needed are the columns that the clean-up reads or writes.
func needed() []string {
	return []string{"id", "tokenType", "status", "expiresAt", "lastUsedAt", "revokedAt", "revokedReason", "version", "updatedAt"}
}

// missing returns the needed columns that the table has not; all of them if
// there is no table.
func (t *table) missing(ctx context.Context) ([]string, error) {
	var there []string
	if err := t.db.NewRaw(t.columns).Scan(ctx, &there); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(needed(), func(column string) bool { return slices.Contains(there, column) }), nil
}

// now returns the database's time.
func (t *table) now(ctx context.Context) (time.Time, error) {
	if t.clock == "" {
		return time.Now(), nil
	}
	var now time.Time
	err := t.db.NewRaw(t.clock).Scan(ctx, &now)
	return now, err
}

// found is a row that a walk came by.
type found struct {
	ID     string `bun:"id"`
	Type   string `bun:"tokenType"`
	Expiry any    `bun:"expiry"`
	Due    bool   `bun:"due"`
}

// pageByExpiry returns the rows that are due among the next ones in the order
// of expiresAt, and the last of these whether it is due or not; nothing at the
// end.
func (t *table) pageByExpiry(ctx context.Context, after *found, within, due schema.QueryAppender) ([]found, error) {
	follows := bun.SafeQuery("TRUE")
	if after != nil {
		follows = bun.SafeQuery(`("expiresAt", "id") > (?, ?)`, after.Expiry, after.ID)
	}
	var rows []found
	err := t.db.NewRaw(`
		WITH page AS MATERIALIZED (
			SELECT "id", "tokenType", "status", "expiresAt" FROM ?0 WHERE ?1 AND ?2 ORDER BY "expiresAt", "id" LIMIT ?3
		)
		SELECT "id", "tokenType", ?4 AS "expiry", "status" = 'ACTIVE' AND ?5 AS "due" FROM page
		WHERE "status" = 'ACTIVE' AND ?5 OR "id" = (SELECT "id" FROM page ORDER BY "expiresAt" DESC, "id" DESC LIMIT 1)
		ORDER BY "expiresAt", "id"`,
		t.name, within, follows, pageSize, t.expiry, due).Scan(ctx, &rows)
	return rows, err
}

// pageByID is pageByExpiry in the order of id.
func (t *table) pageByID(ctx context.Context, after *found, due schema.QueryAppender) ([]found, error) {
	follows := bun.SafeQuery("TRUE")
	if after != nil {
		follows = bun.SafeQuery(`"id" > ?`, after.ID)
	}
	var rows []found
	err := t.db.NewRaw(`
		WITH page AS MATERIALIZED (
			SELECT "id", "tokenType", "status", "lastUsedAt" FROM ?0 WHERE ?1 ORDER BY "id" LIMIT ?2
		)
		SELECT "id", "tokenType", NULL AS "expiry", "status" = 'ACTIVE' AND ?3 AS "due" FROM page
		WHERE "status" = 'ACTIVE' AND ?3 OR "id" = (SELECT "id" FROM page ORDER BY "id" DESC LIMIT 1)
		ORDER BY "id"`,
		t.name, follows, pageSize, due).Scan(ctx, &rows)
	return rows, err
}

// change updates those of the rows that are still active and due and that
// nobody else keeps, and returns how many these were. It commits by itself.
func (t *table) change(ctx context.Context, rows []found, due schema.QueryAppender, set func(now time.Time) schema.QueryAppender) (int64, error) {
	now, err := t.now(ctx)
	if err != nil {
		return 0, err
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	result, err := t.db.NewRaw(`
		WITH due AS MATERIALIZED (
			SELECT "id" FROM ?0 WHERE "id" IN (?1) AND "status" = 'ACTIVE' AND ?2 ?3
		)
		UPDATE ?0 AS token SET ?4, "version" = "version" + 1, "updatedAt" = ?5 FROM due WHERE token."id" = due."id"`,
		t.name, bun.List(ids), due, t.lock, set(now), t.updated(now)).Exec(ctx)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
