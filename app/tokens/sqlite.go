package tokens

import (
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// sqliteRest is longer than the pauses of SQLite's busy handler, 100 ms at
// most: a writer that waits finds the file free, however fast the steps follow.
const sqliteRest = 150 * time.Millisecond

// sqlite is the platform's table in SQLite. It has no locks of rows, for a
// statement that writes is alone.
func sqlite() dialect {
	return dialect{
		times: sqliteTimes{},
		name:  bun.SafeQuery(`"tokens"`),
		// Of a column the driver would make a time, whose text may be another.
		expiry:  bun.SafeQuery(`+"expiresAt"`),
		lock:    bun.SafeQuery(""),
		columns: `SELECT name FROM pragma_table_info('tokens')`,
		rest:    sqliteRest,
	}
}

// sqliteTimes are texts in UTC, or numbers of milliseconds where the platform
// runs on its other mapper. SQLite compares what is stored, and to it every
// number is less than every text.
type sqliteTimes struct{}

const (
	sqliteTime = "2006-01-02 15:04:05.000"
	// sqliteUpdated is the form of datetime('now').
	sqliteUpdated = "2006-01-02 15:04:05"
	// sqliteDay comes after all texts of that day, with a blank or a T before
	// the hour.
	sqliteDay = "2006-01-02U"
	// farthestEast is how far the texts of a zone may be ahead of UTC.
	farthestEast = 14 * time.Hour
)

func (sqliteTimes) stamp(t time.Time) string   { return t.UTC().Format(sqliteTime) }
func (sqliteTimes) updated(t time.Time) string { return t.UTC().Format(sqliteUpdated) }

func (s sqliteTimes) before(column string, t time.Time) schema.QueryAppender {
	return bun.SafeQuery(`CASE typeof(?0)
		WHEN 'text' THEN coalesce(julianday(?0) < julianday(?1), FALSE)
		WHEN 'integer' THEN ?0 < ?2 WHEN 'real' THEN ?0 < ?2 ELSE FALSE END`,
		bun.Ident(column), s.stamp(t), t.UnixMilli())
}

func (sqliteTimes) expiring(now time.Time) schema.QueryAppender {
	return bun.SafeQuery(`"expiresAt" < ?`, now.UTC().Add(farthestEast).Format(sqliteDay))
}
