package tokens

import (
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// postgres is the platform's table in Postgres.
func postgres(zone *time.Location) dialect {
	return dialect{
		times:  postgresTimes{zone: zone},
		name:   bun.SafeQuery(`"public"."tokens"`),
		expiry: bun.SafeQuery(`"expiresAt"::text`),
		lock:   bun.SafeQuery("FOR NO KEY UPDATE SKIP LOCKED"),
		columns: `
			SELECT a.attname FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
			WHERE n.nspname = 'public' AND c.relname = 'tokens' AND a.attnum > 0 AND NOT a.attisdropped`,
		clock: "SELECT clock_timestamp()",
	}
}

// postgresTimes have no zone: they are what the clock on the wall shows where
// the platform's processes run.
type postgresTimes struct{ zone *time.Location }

// postgresTime is read by columns with and without a zone: these ignore the
// offset.
const postgresTime = "2006-01-02 15:04:05.000000-07:00"

func (p postgresTimes) stamp(t time.Time) string   { return t.In(p.zone).Format(postgresTime) }
func (p postgresTimes) updated(t time.Time) string { return p.stamp(t) }

func (p postgresTimes) before(column string, t time.Time) schema.QueryAppender {
	return bun.SafeQuery("? < ?", bun.Ident(column), p.stamp(t))
}

func (p postgresTimes) expiring(now time.Time) schema.QueryAppender {
	return p.before("expiresAt", now)
}
