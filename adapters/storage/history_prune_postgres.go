package storage

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// writerMemory is how long a writer that appends nothing is remembered.
const writerMemory = 24 * time.Hour

// The turn is another's while a replica prunes. Counts and records are those
// of one moment, so nobody ever removes more than is to be removed.
const sqlPruneHistory = `
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended('takt history ' || $1::text, 0)) AS mine
), due AS MATERIALIZED (
    SELECT h.space, CASE WHEN $3::bigint > 0 THEN h.records - $3::bigint ELSE 0 END AS beyond
    FROM histories AS h CROSS JOIN turn WHERE h.namespace = $1::text AND turn.mine
), oldest AS MATERIALIZED (
    SELECT h.id, h.at_us, row_number() OVER (ORDER BY h.at_us, h.id) AS n
    FROM (SELECT id, at_us FROM history WHERE space = (SELECT space FROM due) ORDER BY at_us, id LIMIT $4::bigint) AS h
), gone AS (
    DELETE FROM history WHERE id = ANY (ARRAY(
        SELECT o.id FROM oldest AS o WHERE o.at_us < $2::bigint OR o.n <= (SELECT beyond FROM due)))
    RETURNING id, kind, at_us, fields
), fields AS (
    DELETE FROM history_fields AS f
    USING gone CROSS JOIN json_array_elements(gone.fields::json) AS p
    WHERE gone.fields IS NOT NULL AND f.path = p->>0 AND f.value = p->>1 AND f.kind = gone.kind
        AND f.at_us = gone.at_us AND f.id = gone.id
)
UPDATE histories SET records = records - (SELECT count(*) FROM gone)
WHERE namespace = $1::text AND EXISTS (SELECT 1 FROM gone)
RETURNING (SELECT count(*) FROM gone)`

// sqlPruneUnderWay forgets what was under way by the records that were removed. It
// comes after them, when the namespace's row is held: no append waits for one
// while this waits for the other.
const sqlPruneUnderWay = `
DELETE FROM history_under_way AS u USING histories AS s
WHERE s.namespace = $1::text AND u.space = s.space AND (u.at_us, u.id) <
    (SELECT h.at_us, h.id FROM history AS h WHERE h.space = s.space ORDER BY h.at_us, h.id LIMIT 1)`

const sqlForgetWriters = `
DELETE FROM history_writers WHERE at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1::bigint`

func (a *postgresHistory) prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error) {
	removed := 0
	prune := statement{
		text: sqlPruneHistory, args: []any{a.namespace, microsSince(keep.Since), keep.Count, limit}, looksUp: true,
		row: func(scan scanner) error { return scan(&removed) },
	}
	err := a.runner.write(ctx, prune,
		statement{text: sqlForgetWriters, args: []any{writerMemory.Microseconds()}},
		statement{text: sqlPruneUnderWay, args: []any{a.namespace}, looksUp: true})
	if isCollision(err) {
		return 0, nil
	}
	return removed, err
}

// microsSince returns the first microsecond to keep; that of the zero time is
// before all.
func microsSince(since time.Time) int64 {
	if since.IsZero() {
		return absent
	}
	return ceilMicro(since)
}

const sqlLockHistory = `SELECT 1 FROM histories WHERE namespace = $1::text FOR UPDATE`

const sqlForgetKinds = `
DELETE FROM history_kinds AS k
WHERE k.kind = ANY ($1::integer[]) AND NOT EXISTS (SELECT 1 FROM history AS h WHERE h.kind = k.kind)`

func (a *postgresHistory) forget(ctx context.Context, kinds []int64) error {
	return a.runner.write(ctx,
		statement{text: sqlLockHistory, args: []any{a.namespace}},
		statement{text: sqlForgetKinds, args: []any{kinds}, looksUp: true})
}
