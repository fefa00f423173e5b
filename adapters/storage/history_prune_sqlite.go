package storage

import (
	"context"
	"database/sql"
	"errors"

	"github.com/taktwork/takt/core/domain"
)

// sqliteOldest selects those of the limit (?4) oldest records that are older
// than ?2 or among the ?3 oldest.
const sqliteOldest = `
SELECT id FROM (
    SELECT id, at_us, row_number() OVER (ORDER BY at_us, id) AS n
    FROM (SELECT id, at_us FROM history INDEXED BY history_at WHERE space = ?1 ORDER BY at_us, id LIMIT ?4))
WHERE at_us < ?2 OR n <= ?3`

const (
	sqliteRecords     = `SELECT space, records FROM histories WHERE namespace = ?1`
	sqlitePruneFields = `
DELETE FROM history_fields WHERE (path, value, kind, at_us, id) IN (
    SELECT f.value->>0, f.value->>1, h.kind, h.at_us, h.id
    FROM history AS h CROSS JOIN json_each(h.fields) AS f WHERE h.id IN (` + sqliteOldest + `) AND h.fields IS NOT NULL)`
	sqlitePrune = `DELETE FROM history WHERE id IN (` + sqliteOldest + `)`
	// sqlitePruneUnderWay forgets what was under way by records that are gone.
	sqlitePruneUnderWay = `
DELETE FROM history_under_way WHERE space = ?1 AND (at_us, id) <
    (SELECT at_us, id FROM history INDEXED BY history_at WHERE space = ?1 ORDER BY at_us, id LIMIT 1)`
	sqliteShrink      = `UPDATE histories SET records = records - ?2 WHERE space = ?1`
	sqliteForgetKinds = `
DELETE FROM history_kinds WHERE kind IN (SELECT value FROM json_each(?1))
    AND NOT EXISTS (SELECT 1 FROM history AS h WHERE h.kind = history_kinds.kind)`
	sqliteForgotten = `UPDATE histories SET forgotten = forgotten + 1 WHERE namespace = ?1`
)

func (a *sqliteHistory) prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error) {
	removed := int64(0)
	texts := []string{sqliteRecords, sqlitePruneFields, sqlitePrune, sqliteShrink, sqlitePruneUnderWay}
	err := a.transact(ctx, texts, func(tx *sqliteTx) error {
		var space, records int64
		err := tx.scan(ctx, sqliteRecords, []any{a.namespace}, &space, &records)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		beyond := int64(0)
		if keep.Count > 0 {
			beyond = records - int64(keep.Count)
		}
		args := []any{space, microsSince(keep.Since), beyond, limit}
		if err == nil {
			_, err = tx.exec(ctx, sqlitePruneFields, args...)
		}
		if err != nil {
			return err
		}
		result, err := tx.exec(ctx, sqlitePrune, args...)
		if err != nil {
			return err
		}
		if removed, err = result.RowsAffected(); err != nil {
			return err
		}
		if _, err = tx.exec(ctx, sqliteShrink, space, removed); err != nil {
			return err
		}
		_, err = tx.exec(ctx, sqlitePruneUnderWay, space)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(removed), nil
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
