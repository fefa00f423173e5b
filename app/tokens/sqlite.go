package tokens

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// sqlite is the platform's table in SQLite. Its times are texts in UTC, or
// numbers of milliseconds where the platform runs on its other mapper; SQLite
// compares what is stored, and to it every number is less than every text.
type sqlite struct{}

const (
	sqliteTime = "2006-01-02 15:04:05.000"
	// sqliteUpdated is the form of datetime('now').
	sqliteUpdated = "2006-01-02 15:04:05"
	// sqliteDay comes after all texts of that day, with a blank or a T before
	// the hour.
	sqliteDay = "2006-01-02U"
)

func (sqlite) name() schema.QueryAppender { return bun.SafeQuery(`"tokens"`) }

func (sqlite) columns(ctx context.Context, db *bun.DB) ([]string, error) {
	var names []string
	err := db.NewRaw(`SELECT name FROM pragma_table_info('tokens')`).Scan(ctx, &names)
	return names, err
}

// now is the host's time, which is that of SQLite, too.
func (sqlite) now(context.Context, *bun.DB) (time.Time, error) { return time.Now(), nil }

func (sqlite) stamp(t time.Time) string   { return t.UTC().Format(sqliteTime) }
func (sqlite) updated(t time.Time) string { return t.UTC().Format(sqliteUpdated) }

func (s sqlite) before(column string, t time.Time) schema.QueryAppender {
	return bun.SafeQuery(`CASE typeof(?0)
		WHEN 'text' THEN coalesce(julianday(?0) < julianday(?1), FALSE)
		WHEN 'integer' THEN ?0 < ?2 WHEN 'real' THEN ?0 < ?2 ELSE FALSE END`,
		bun.Ident(column), s.stamp(t), t.UnixMilli())
}

func (sqlite) expiring(now time.Time) schema.QueryAppender {
	return bun.SafeQuery(`"expiresAt" < ?`, now.UTC().Format(sqliteDay))
}

// expiry is an expression: of a column the driver would make a time, whose
// text may be another one.
func (sqlite) expiry() schema.QueryAppender { return bun.SafeQuery(`+"expiresAt"`) }

// rest is longer than the pauses of SQLite's busy handler, 100 ms at most: a
// writer that waits finds the file free, however fast the steps follow.
func (sqlite) rest() time.Duration { return 150 * time.Millisecond }

// lock is nothing: a statement that writes is alone.
func (sqlite) lock() schema.QueryAppender { return bun.SafeQuery("") }
