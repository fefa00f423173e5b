package storage

import (
	"context"
)

// sqliteHistory writes batches with prepared statements of many rows each.
// It remembers the numbers of kinds until somebody removes some.
type sqliteHistory struct {
	transact  sqliteTransact
	namespace string
	texts     []string
	inserts   []sqliteInsert
	known     *knownKinds
}

// knownKinds are the numbers of kinds, as long as nobody removes some.
type knownKinds struct {
	space, forgotten int64
	numbers          map[historyKind]int64
}

func newSQLiteHistory(transact sqliteTransact, namespace string) *sqliteHistory {
	a := &sqliteHistory{transact: transact, namespace: namespace, texts: []string{
		sqliteNewHistory, sqliteGrow, sqliteNewKind, sqliteKind, sqliteFields,
	}}
	for _, shape := range sqliteShapes() {
		a.inserts = append(a.inserts, newSQLiteInsert(shape))
		a.texts = append(a.texts, a.inserts[len(a.inserts)-1].texts[:]...)
	}
	return a
}

const (
	sqliteNewHistory = `INSERT INTO histories (namespace, records, forgotten) VALUES (?1, 0, 0) ON CONFLICT DO NOTHING`
	sqliteGrow       = `UPDATE histories SET records = records + ?2 WHERE namespace = ?1 RETURNING space, forgotten`
	sqliteNewKind    = `INSERT INTO history_kinds (space, digest, job, origin, queue, job_name, event, replica, fielded)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING`
	sqliteKind   = `SELECT kind FROM history_kinds WHERE digest = ?1`
	sqliteFields = `INSERT OR IGNORE INTO history_fields (path, value, kind, at_us, id)
SELECT f.value->>0, f.value->>1, h.kind, h.at_us, h.id
FROM history AS h CROSS JOIN json_each(h.fields) AS f WHERE h.id >= ?1 AND h.fields IS NOT NULL`
)

func (a *sqliteHistory) append(ctx context.Context, b *historyBatch) error {
	known := a.known
	err := a.transact(ctx, a.texts, func(tx *sqliteTx) error {
		if _, err := tx.exec(ctx, sqliteNewHistory, a.namespace); err != nil {
			return err
		}
		var space, forgotten int64
		if err := tx.scan(ctx, sqliteGrow, []any{a.namespace, len(b.kind)}, &space, &forgotten); err != nil {
			return err
		}
		if known == nil || forgotten != known.forgotten {
			known = &knownKinds{space: space, forgotten: forgotten, numbers: make(map[historyKind]int64)}
		}
		numbers, err := a.kindNumbers(ctx, tx, known, b.kinds)
		if err != nil {
			return err
		}
		first, err := a.appendRows(ctx, tx, &sqliteRows{historyBatch: b, space: space, kinds: numbers, shapes: b.sqliteShapes()})
		if err != nil || !b.fielded {
			return err
		}
		_, err = tx.exec(ctx, sqliteFields, first)
		return err
	})
	a.known = known
	if err != nil {
		// Kinds of a transaction that was undone have no number.
		a.known = nil
	}
	return err
}

// mostKnownKinds bounds what is remembered: names of jobs come from outside, too.
const mostKnownKinds = 8192

// kindNumbers returns the numbers of the kinds, after those that are new got
// theirs.
func (a *sqliteHistory) kindNumbers(ctx context.Context, tx *sqliteTx, known *knownKinds, kinds []historyKind) ([]int64, error) {
	numbers := make([]int64, len(kinds))
	for i, k := range kinds {
		number, found := known.numbers[k]
		if !found {
			args := []any{known.space, k.digest(a.namespace), k.job, k.origin, k.queue, k.jobName, k.event, k.replica, k.fielded}
			if _, err := tx.exec(ctx, sqliteNewKind, args...); err != nil {
				return nil, err
			}
			if err := tx.scan(ctx, sqliteKind, args[1:2], &number); err != nil {
				return nil, err
			}
			if len(known.numbers) >= mostKnownKinds {
				clear(known.numbers)
			}
			known.numbers[k] = number
		}
		numbers[i] = number
	}
	return numbers, nil
}
