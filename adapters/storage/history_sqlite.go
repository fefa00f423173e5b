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
	// blocks are the statements for the different numbers of blocks.
	blocks []string
	known  *knownKinds
}

func newSQLiteHistory(transact sqliteTransact, namespace string) *sqliteHistory {
	a := &sqliteHistory{transact: transact, namespace: namespace, texts: []string{
		sqliteNewHistory, sqliteGrow, sqliteNewKind, sqliteKind, sqliteFields, sqliteUnderWay, sqliteBegin, sqliteEnd,
		sqliteNumberRows, sqliteBatch,
	}}
	for _, rows := range sqliteRowCounts() {
		a.blocks = append(a.blocks, sqliteBlocks(rows))
	}
	a.texts = append(a.texts, a.blocks...)
	for _, shape := range sqliteShapes() {
		for _, numbered := range []bool{false, true} {
			a.inserts = append(a.inserts, newSQLiteInsert(shape, numbered))
			a.texts = append(a.texts, a.inserts[len(a.inserts)-1].texts[:]...)
		}
	}
	return a
}

const (
	sqliteNewHistory = `INSERT INTO histories (namespace, records, forgotten) VALUES (?1, 0, 0) ON CONFLICT DO NOTHING`
	// sqliteGrow returns also the latest number of all namespaces. A worker of the
	// version before may have given its rows some that would be next.
	sqliteGrow = `UPDATE histories AS s SET records = s.records + ?2, in_blocks = s.in_blocks + ?3, first = n.latest + 1, latest = n.latest + ?2 + ?3
FROM (
    SELECT o.namespace, max(o.latest, o.space << 44, coalesce((SELECT max(h.id) FROM history AS h WHERE h.id < (o.space + 1) << 44), 0)) AS latest
    FROM histories AS o WHERE o.namespace = ?1
) AS n
WHERE s.namespace = n.namespace
RETURNING first, space, forgotten, (SELECT coalesce(max(id), 0) FROM history)`
	// sqliteNumberRows has the next row get the number after this one.
	sqliteNumberRows = `UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'history'`
	sqliteNewKind    = `INSERT INTO history_kinds (space, digest, job, origin, queue, job_name, event, replica, fielded)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING`
	sqliteKind   = `SELECT kind FROM history_kinds WHERE digest = ?1`
	sqliteFields = `INSERT OR IGNORE INTO history_fields (path, value, kind, at_us, id)
SELECT f.value->>0, f.value->>1, h.kind, h.at_us, h.id
FROM history AS h CROSS JOIN json_each(h.fields) AS f WHERE h.id BETWEEN ?1 AND ?2 AND h.fields IS NOT NULL`
	sqliteUnderWay = `SELECT subject FROM history_under_way WHERE space = ?1 LIMIT ?2`
	sqliteBegin    = `INSERT INTO history_under_way (space, subject, kind, at_us, id)
SELECT space, subject, kind, at_us, id FROM history WHERE id BETWEEN ?1 AND ?2 AND subject IS NOT NULL
ON CONFLICT (space, subject) DO UPDATE SET kind = excluded.kind, at_us = excluded.at_us, id = excluded.id
WHERE history_under_way.at_us <= excluded.at_us`
	sqliteBatch = `INSERT OR ROLLBACK INTO history_batches (id, last_id, at_us, since_us, space, job_ids) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`
	sqliteEnd   = `DELETE FROM history_under_way WHERE space = ?1 AND subject = ?2 AND at_us <= ?3`
)

func (a *sqliteHistory) append(ctx context.Context, b *historyBatch) error {
	known := a.known
	err := a.transact(ctx, a.texts, func(tx *sqliteTx) error {
		// The transaction ends with the context; the driver would have a goroutine
		// watch it for each statement, too.
		ctx := context.WithoutCancel(ctx)
		rows, forgotten, err := a.begin(ctx, tx, b)
		if err != nil {
			return err
		}
		if known == nil || forgotten != known.forgotten {
			known = newKnownKinds(forgotten)
		}
		if rows.kinds, err = a.kindNumbers(ctx, tx, known, rows); err != nil {
			return err
		}
		if b.begins {
			b.divide()
		}
		if err := a.appendRows(ctx, tx, rows); err != nil {
			return err
		}
		if err := a.appendBlocks(ctx, tx, rows); err != nil {
			return err
		}
		return a.appendIndexed(ctx, tx, rows)
	})
	a.known = known
	if err != nil {
		// Kinds of a transaction that was undone have no number.
		a.known = nil
	}
	return err
}

// begin numbers the batch, and returns how often kinds were removed.
func (a *sqliteHistory) begin(ctx context.Context, tx *sqliteTx, b *historyBatch) (rows *sqliteRows, forgotten int64, err error) {
	if _, err := tx.exec(ctx, sqliteNewHistory, a.namespace); err != nil {
		return nil, 0, err
	}
	rows = &sqliteRows{historyBatch: b}
	args := []any{a.namespace, len(b.places), len(b.records) - len(b.places)}
	err = tx.scan(ctx, sqliteGrow, args, &rows.first, &rows.space, &forgotten, &rows.latest)
	return rows, forgotten, err
}

// appendBlocks writes the blocks, and of which jobs those of queues may tell.
func (a *sqliteHistory) appendBlocks(ctx context.Context, tx *sqliteTx, b *sqliteRows) error {
	var args []any
	for left := b.blocks; len(left) > 0; {
		text, rows := sqliteOf(a.blocks, len(left))
		args = append(args[:0], b.space)
		for i := range left[:rows] {
			args = b.appendBlock(args, &left[i])
		}
		if _, err := tx.exec(ctx, text, args...); err != nil {
			return err
		}
		left = left[rows:]
	}
	if len(b.alike) == 0 {
		return nil
	}
	since, at := timesOf(b.alike)
	_, err := tx.exec(ctx, sqliteBatch, b.first, b.last(), at, since, b.space, encodeFilters(b.alike, b.records))
	return err
}

// appendIndexed writes by what else the records of the batch are found.
func (a *sqliteHistory) appendIndexed(ctx context.Context, tx *sqliteTx, b *sqliteRows) error {
	if b.fielded {
		if _, err := tx.exec(ctx, sqliteFields, b.first, b.last()); err != nil {
			return err
		}
	}
	if err := a.end(ctx, tx, b); err != nil {
		return err
	}
	if !b.begun {
		return nil
	}
	_, err := tx.exec(ctx, sqliteBegin, b.first, b.last())
	return err
}

// end takes what has ended out of what is under way. Most of what ends began in
// the same batch, and so is not there: if there is little, it is looked through.
func (a *sqliteHistory) end(ctx context.Context, tx *sqliteTx, b *sqliteRows) error {
	most := 2 * len(b.records)
	if b.divided {
		most = 2 * len(b.ended.subjects)
	}
	if most == 0 {
		return nil
	}
	there, err := a.underWay(ctx, tx, b.space, most)
	if err != nil || len(there) == 0 {
		return err
	}
	b.divide()
	for i, subject := range b.ended.subjects {
		if len(there) < most && !there[subject] {
			continue
		}
		if _, err := tx.exec(ctx, sqliteEnd, b.space, subject, b.ended.atUS[i]); err != nil {
			return err
		}
	}
	return nil
}

// underWay returns what is under way, up to the limit.
func (a *sqliteHistory) underWay(ctx context.Context, tx *sqliteTx, space int64, limit int) (map[int64]bool, error) {
	rows, err := tx.bound(ctx, sqliteUnderWay).QueryContext(ctx, space, limit) //nolint:sqlclosecheck // closed with the database
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	there := make(map[int64]bool)
	for rows.Next() {
		var subject int64
		if err := rows.Scan(&subject); err != nil {
			return nil, err
		}
		there[subject] = true
	}
	return there, rows.Err()
}

// kindNumbers returns the numbers of the kinds, after those that are new got
// theirs.
func (a *sqliteHistory) kindNumbers(ctx context.Context, tx *sqliteTx, known *knownKinds, b *sqliteRows) ([]any, error) {
	numbers := make([]any, len(b.historyBatch.kinds))
	for i, k := range b.historyBatch.kinds {
		digest := k.digest(a.namespace)
		number, found := known.numbers[digest]
		if !found {
			args := []any{b.space, digest[:], k.job, k.origin, k.queue, k.jobName, k.event, k.replica, k.fielded}
			if _, err := tx.exec(ctx, sqliteNewKind, args...); err != nil {
				return nil, err
			}
			if err := tx.scan(ctx, sqliteKind, args[1:2], &number); err != nil {
				return nil, err
			}
			known.add(digest, number)
		}
		numbers[i] = number
	}
	return numbers, nil
}
