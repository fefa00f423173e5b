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
    SELECT h.space, CASE WHEN $3::bigint > 0 THEN h.records + h.in_blocks - $3::bigint ELSE 0 END AS beyond
    FROM histories AS h CROSS JOIN turn WHERE h.namespace = $1::text AND turn.mine
), oldest AS MATERIALIZED (
    SELECT h.id, h.at_us, h.count, h.is_block, sum(h.count) OVER (ORDER BY h.at_us, h.id) AS n
    FROM (
        (SELECT id, at_us, 1 AS count, false AS is_block FROM history WHERE space = (SELECT space FROM due) ORDER BY at_us, id LIMIT $4::bigint)
        UNION ALL
        (SELECT id, at_us, count, true FROM history_blocks WHERE space = (SELECT space FROM due) ORDER BY at_us, id LIMIT $4::bigint)
    ) AS h
), going AS MATERIALIZED (
    SELECT id, is_block FROM oldest WHERE n - count < $4::bigint AND (at_us < $2::bigint OR n <= (SELECT beyond FROM due))
), blocks AS (
    DELETE FROM history_blocks WHERE id = ANY (ARRAY(SELECT id FROM going WHERE is_block)) RETURNING count
), gone AS (
    DELETE FROM history WHERE id = ANY (ARRAY(SELECT id FROM going WHERE NOT is_block)) RETURNING id, kind, at_us, fields
), values AS MATERIALIZED (
    SELECT p->>0 AS path, p->>1 AS value, gone.kind, gone.at_us, gone.id
    FROM gone CROSS JOIN json_array_elements(gone.fields::json) AS p WHERE gone.fields IS NOT NULL
), fields AS (
    DELETE FROM history_fields AS f USING values AS v
    WHERE f.path = v.path AND f.value = v.value AND f.kind = v.kind AND f.at_us = v.at_us AND f.id = v.id
), total AS (
    SELECT (SELECT count(*) FROM gone) AS records, (SELECT coalesce(sum(count), 0) FROM blocks) AS in_blocks
)
UPDATE histories AS h SET records = h.records - total.records, in_blocks = h.in_blocks - total.in_blocks FROM total
WHERE h.namespace = $1::text AND total.records + total.in_blocks > 0
RETURNING total.records + total.in_blocks`

// sqlPruneBatches removes the batches that have no blocks any more: they are no newer than
// the oldest block that is left.
const sqlPruneBatches = `
DELETE FROM history_batches WHERE id = ANY (ARRAY(
    SELECT m.id FROM (
        SELECT b.id, b.last_id FROM histories AS s CROSS JOIN history_batches AS b
        WHERE s.namespace = $1::text AND b.space = s.space AND b.at_us <= coalesce(
            (SELECT o.at_us FROM history_blocks AS o WHERE o.space = s.space ORDER BY o.at_us, o.id LIMIT 1), 9223372036854775807)
        ORDER BY b.at_us, b.id LIMIT $2::bigint
    ) AS m
    WHERE NOT EXISTS (SELECT 1 FROM history_blocks AS b WHERE b.id >= m.id AND b.id <= m.last_id)))`

// sqlPruneUnderWay forgets what was under way by the records that were removed. It
// comes after them, when the namespace's row is held: no append waits for one
// while this waits for the other.
const sqlPruneUnderWay = `
DELETE FROM history_under_way AS u USING (
    SELECT s.space, o.at_us, o.id
    FROM histories AS s LEFT JOIN LATERAL (SELECT h.at_us, h.id FROM history AS h WHERE h.space = s.space ORDER BY h.at_us, h.id LIMIT 1) AS o ON true
    WHERE s.namespace = $1::text OFFSET 0
) AS oldest
WHERE u.space = oldest.space AND (u.at_us, u.id) < (coalesce(oldest.at_us, 9223372036854775807), coalesce(oldest.id, 9223372036854775807))`

const sqlForgetWriters = `
DELETE FROM history_writers WHERE at_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1::bigint`

func (a *postgresHistory) prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error) {
	removed := 0
	err := a.runner.write(ctx, pruneStatements(a.namespace, keep, limit, &removed)...)
	if isCollision(err) {
		return 0, nil
	}
	return removed, err
}

func pruneStatements(namespace string, keep domain.RunRetention, limit int, removed *int) []statement {
	prune := statement{
		text: sqlPruneHistory, args: []any{namespace, microsSince(keep.Since), keep.Count, limit}, looksUp: true,
		row: func(scan scanner) error { return scan(removed) },
	}
	return []statement{
		prune,
		{text: sqlForgetWriters, args: []any{writerMemory.Microseconds()}},
		{text: sqlPruneUnderWay, args: []any{namespace}, looksUp: true},
		{text: sqlPruneBatches, args: []any{namespace, limit}, looksUp: true},
	}
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
WHERE k.kind = ANY ($1::integer[]) AND NOT ` + kindIsUsed

func (a *postgresHistory) forget(ctx context.Context, kinds []int64) error {
	return a.runner.write(ctx,
		statement{text: sqlLockHistory, args: []any{a.namespace}},
		statement{text: sqlForgetKinds, args: []any{kinds}, looksUp: true})
}
