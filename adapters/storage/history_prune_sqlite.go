package storage

import (
	"context"
	"database/sql"
	"errors"

	"github.com/taktwork/takt/core/domain"
)

// sqliteGoing selects the ids of the rows and those of the blocks that are to go, and
// how many records they have: of the ?4 oldest records those that are older than ?2 or
// among the ?3 oldest.
const sqliteGoing = `
SELECT count(*) FILTER (WHERE NOT is_block), coalesce(sum(count) FILTER (WHERE is_block), 0), json_group_array(id) FILTER (WHERE NOT is_block), json_group_array(id) FILTER (WHERE is_block)
FROM (
    SELECT id, at_us, count, is_block, sum(count) OVER (ORDER BY at_us, id ROWS UNBOUNDED PRECEDING) AS n
    FROM (
        SELECT * FROM (SELECT id, at_us, 1 AS count, false AS is_block FROM history INDEXED BY history_at WHERE space = ?1 ORDER BY at_us, id LIMIT ?4)
        UNION ALL
        SELECT * FROM (SELECT id, at_us, count, true FROM history_blocks INDEXED BY history_blocks_at WHERE space = ?1 ORDER BY at_us, id LIMIT ?4)))
WHERE n - count < ?4 AND (at_us < ?2 OR n <= ?3)`

const (
	sqliteRecords     = `SELECT space, records + in_blocks FROM histories WHERE namespace = ?1`
	sqlitePruneFields = `
DELETE FROM history_fields WHERE (path, value, kind, at_us, id) IN (
    SELECT f.value->>0, f.value->>1, h.kind, h.at_us, h.id
    FROM history AS h CROSS JOIN json_each(h.fields) AS f WHERE h.id IN (SELECT value FROM json_each(?1)) AND h.fields IS NOT NULL)`
	sqlitePrune        = `DELETE FROM history WHERE id IN (SELECT value FROM json_each(?1))`
	sqlitePruneBlocks  = `DELETE FROM history_blocks WHERE id IN (SELECT value FROM json_each(?1))`
	sqlitePruneBatches = `
DELETE FROM history_batches WHERE id IN (
    SELECT m.id FROM (
        SELECT id, last_id FROM history_batches INDEXED BY history_batches_at WHERE space = ?1 AND at_us <= coalesce(
            (SELECT o.at_us FROM history_blocks AS o INDEXED BY history_blocks_at WHERE o.space = ?1 ORDER BY o.at_us, o.id LIMIT 1), 9223372036854775807)
        ORDER BY at_us, id LIMIT ?2) AS m
    WHERE NOT EXISTS (SELECT 1 FROM history_blocks AS b WHERE b.id >= m.id AND b.id <= m.last_id))`
	// sqlitePruneUnderWay forgets what was under way by records that are gone.
	sqlitePruneUnderWay = `
DELETE FROM history_under_way WHERE space = ?1 AND (at_us, id) < (
    SELECT at_us, id FROM (SELECT at_us, id FROM history INDEXED BY history_at WHERE space = ?1 ORDER BY at_us, id LIMIT 1)
    UNION ALL SELECT 9223372036854775807, 9223372036854775807 LIMIT 1)`
	sqliteShrink      = `UPDATE histories SET records = records - ?2, in_blocks = in_blocks - ?3 WHERE space = ?1`
	sqliteForgetKinds = `
DELETE FROM history_kinds WHERE kind IN (SELECT k.kind FROM history_kinds AS k WHERE k.kind IN (SELECT value FROM json_each(?1)) AND NOT ` + kindIsUsed + `)`
	sqliteForgotten = `UPDATE histories SET forgotten = forgotten + 1 WHERE namespace = ?1`
)

func (a *sqliteHistory) prune(ctx context.Context, keep domain.RunRetention, limit int) (removed int, err error) {
	texts := []string{
		sqliteRecords, sqliteGoing, sqlitePruneFields, sqlitePrune, sqlitePruneBlocks, sqliteShrink, sqlitePruneUnderWay, sqlitePruneBatches,
	}
	err = a.transact(ctx, texts, func(tx *sqliteTx) error {
		var space, records int64
		err := tx.scan(ctx, sqliteRecords, []any{a.namespace}, &space, &records)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		beyond := int64(0)
		if keep.Count > 0 {
			beyond = records - int64(keep.Count)
		}
		var inBlocks int
		var rows, blocks string
		if err == nil {
			err = tx.scan(ctx, sqliteGoing, []any{space, microsSince(keep.Since), beyond, limit}, &removed, &inBlocks, &rows, &blocks)
		}
		for _, remove := range []struct {
			text string
			args []any
		}{
			{sqlitePruneFields, []any{rows}},
			{sqlitePrune, []any{rows}},
			{sqlitePruneBlocks, []any{blocks}},
			{sqliteShrink, []any{space, removed, inBlocks}},
			{sqlitePruneUnderWay, []any{space}},
			{sqlitePruneBatches, []any{space, limit}},
		} {
			if err == nil {
				_, err = tx.exec(ctx, remove.text, remove.args...)
			}
		}
		removed += inBlocks
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

func (a *sqliteHistory) forget(ctx context.Context, kinds []int64) error {
	return a.transact(ctx, []string{sqliteForgetKinds, sqliteForgotten}, func(tx *sqliteTx) error {
		if _, err := tx.exec(ctx, sqliteForgetKinds, jsonText(kinds)); err != nil {
			return err
		}
		_, err := tx.exec(ctx, sqliteForgotten, a.namespace)
		return err
	})
}
