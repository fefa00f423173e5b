package tokens

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// postgres is the platform's table in Postgres. Its times have no zone: they
// are what the clock on the wall shows where the platform's processes run.
type postgres struct{ zone *time.Location }

// postgresTime is read by columns with and without a zone: these ignore the
// offset.
const postgresTime = "2006-01-02 15:04:05.000000-07:00"

func (postgres) name() schema.QueryAppender { return bun.SafeQuery(`"public"."tokens"`) }

func (postgres) columns(ctx context.Context, db *bun.DB) ([]string, error) {
	var names []string
	err := db.NewRaw(`
		SELECT a.attname FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
		WHERE n.nspname = 'public' AND c.relname = 'tokens' AND a.attnum > 0 AND NOT a.attisdropped`).Scan(ctx, &names)
	return names, err
}

func (postgres) now(ctx context.Context, db *bun.DB) (time.Time, error) {
	var now time.Time
	err := db.NewRaw("SELECT clock_timestamp()").Scan(ctx, &now)
	return now, err
}

func (p postgres) stamp(t time.Time) string   { return t.In(p.zone).Format(postgresTime) }
func (p postgres) updated(t time.Time) string { return p.stamp(t) }

func (p postgres) before(column string, t time.Time) schema.QueryAppender {
	return bun.SafeQuery("? < ?", bun.Ident(column), p.stamp(t))
}

func (p postgres) expiring(now time.Time) schema.QueryAppender { return p.before("expiresAt", now) }

func (postgres) expiry() schema.QueryAppender { return bun.SafeQuery(`"expiresAt"::text`) }

func (postgres) rest() time.Duration { return 0 }

func (postgres) lock() schema.QueryAppender { return bun.SafeQuery("FOR NO KEY UPDATE SKIP LOCKED") }
