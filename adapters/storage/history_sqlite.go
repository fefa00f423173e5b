package storage

import (
	"context"
	"strings"
)

// sqliteHistory writes batches with prepared statements of many rows each.
// It remembers the numbers of kinds until somebody removes some.
type sqliteHistory struct {
	transact  sqliteTransact
	namespace string
	texts     []string
	known     map[historyKind]int64
	forgotten int64
}

func newSQLiteHistory(transact sqliteTransact, namespace string) *sqliteHistory {
	return &sqliteHistory{transact: transact, namespace: namespace, texts: []string{
		sqliteNewHistory, sqliteGrow, sqliteNewKind, sqliteKind, sqliteFields,
		sqliteInsert(sqliteRows), sqliteInsert(sqliteFewRows), sqliteInsert(1),
	}}
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
		if known == nil || forgotten != a.forgotten {
			known, a.forgotten = make(map[historyKind]int64), forgotten
		}
		numbers, err := a.kindNumbers(ctx, tx, space, b.kinds, known)
		if err != nil {
			return err
		}
		first, err := appendRows(ctx, tx, space, numbers, b)
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

// kindNumbers returns the numbers of the kinds, after those that are new got
// theirs.
func (a *sqliteHistory) kindNumbers(ctx context.Context, tx *sqliteTx, space int64, kinds []historyKind, known map[historyKind]int64) ([]int64, error) {
	numbers := make([]int64, len(kinds))
	for i, k := range kinds {
		number, found := known[k]
		if !found {
			args := []any{space, k.digest(a.namespace), k.job, k.origin, k.queue, k.jobName, k.event, k.replica, k.fielded}
			if _, err := tx.exec(ctx, sqliteNewKind, args...); err != nil {
				return nil, err
			}
			if err := tx.scan(ctx, sqliteKind, args[1:2], &number); err != nil {
				return nil, err
			}
			known[k] = number
		}
		numbers[i] = number
	}
	return numbers, nil
}

// sqliteColumns are those of a row; sqliteRows is how many one statement
// writes, or else sqliteFewRows, or one.
const (
	sqliteColumns = "kind, space, at_us, attempt, planned_ms, until_ms, took_us, late_us, wait_us, count, origin_id, job_id, reason, by, stack, schedule, fields"
	sqliteWidth   = 17
	sqliteRows    = 64
	sqliteFewRows = 8
)

func sqliteInsert(rows int) string {
	row := "(" + strings.Repeat(", ?", sqliteWidth)[2:] + ")"
	return "INSERT OR ROLLBACK INTO history (" + sqliteColumns + ") VALUES " + strings.Repeat(", "+row, rows)[2:]
}

// appendRows writes the rows and returns the id of the first.
func appendRows(ctx context.Context, tx *sqliteTx, space int64, kinds []int64, b *historyBatch) (first int64, err error) {
	args := make([]any, 0, sqliteRows*sqliteWidth)
	for i := 0; i < len(b.kind); {
		rows := sqliteRows
		for _, fewer := range []int{sqliteFewRows, 1} {
			if len(b.kind)-i < rows {
				rows = fewer
			}
		}
		args = args[:0]
		for row := i; row < i+rows; row++ {
			args = append(args, kinds[b.kind[row]-1], space)
			args = b.appendRow(args, row)
		}
		result, err := tx.exec(ctx, sqliteInsert(rows), args...)
		if err != nil {
			return 0, err
		}
		if i == 0 {
			last, err := result.LastInsertId()
			if err != nil {
				return 0, err
			}
			first = last - int64(rows) + 1
		}
		i += rows
	}
	return first, nil
}

// appendRow appends the columns of a row; what the record lacks is null.
func (b *historyBatch) appendRow(args []any, row int) []any {
	args = append(args, b.at[row])
	for _, column := range [...][]int64{b.attempt, b.planned, b.until, b.took, b.late, b.wait, b.count} {
		args = append(args, nil)
		if v := column[row]; v != 0 && v != absent {
			args[len(args)-1] = v
		}
	}
	if b.planned[row] == 0 {
		args[len(args)-6] = int64(0)
	}
	for _, column := range [...][]string{b.originID, b.jobID, b.reason, b.by, b.stack, b.schedule, b.fields} {
		args = append(args, nil)
		if v := column[row]; v != "" {
			args[len(args)-1] = v
		}
	}
	return args
}
