package storage

import (
	"context"
	"strings"
)

// sqliteShapes are those that most outcomes of queue jobs have, those that most
// decisions about runs have, and all columns: each value that is bound costs
// time, nulls too.
func sqliteShapes() []historyShape {
	return []historyShape{shapeOf("at_us attempt took_us job_id"), shapeOf("at_us attempt planned_ms took_us late_us"), shapeOf(strings.Join(historyColumnList(), " "))}
}

// How many rows one statement writes: as many as there are, in few steps.
func sqliteRowCounts() [3]int { return [...]int{256, 16, 1} }

// sqliteInsert writes rows of a shape.
type sqliteInsert struct {
	shape historyShape
	// numbered tells that it writes the numbers of the rows, too. SQLite itself
	// numbers them in a third less time, if they follow one another.
	numbered bool
	// columns are the places of its columns.
	columns []int
	// texts are the statements for the different numbers of rows.
	texts [3]string
}

func newSQLiteInsert(shape historyShape, numbered bool) sqliteInsert {
	insert := sqliteInsert{shape: shape, numbered: numbered, columns: shape.columns()}
	columns := []string{"space", "kind"}
	if numbered {
		columns = []string{"space", "id", "kind"}
	}
	for _, i := range insert.columns {
		columns = append(columns, historyColumnList()[i])
	}
	// The namespace is bound once for all rows.
	row := ", (?1" + strings.Repeat(", ?", len(columns)-1) + ")"
	for i, rows := range sqliteRowCounts() {
		// The transaction is given up whole: so no statement needs a journal of
		// its own.
		insert.texts[i] = "INSERT OR ROLLBACK INTO history (" + strings.Join(columns, ", ") + ") VALUES " + strings.Repeat(row, rows)[2:]
	}
	return insert
}

// sqliteRows are the rows of a batch.
type sqliteRows struct {
	*historyBatch

	// first is the number of the batch's first record, latest that of the latest row
	// of all namespaces.
	first, latest, space int64
	// kinds are the numbers of the batch's kinds, each a value to bind.
	kinds []any
}

// last returns the number of the batch's last record.
func (b *sqliteRows) last() int64 { return b.first + int64(len(b.records)) - 1 }

// appendRows writes the rows. Where there are blocks, their numbers are not all that
// follow one another; and SQLite gives none that are not larger than all others.
func (a *sqliteHistory) appendRows(ctx context.Context, tx *sqliteTx, b *sqliteRows) error {
	shapes, numbered := b.shapes, len(b.blocks) > 0 || b.latest >= b.first
	if !numbered {
		if _, err := tx.exec(ctx, sqliteNumberRows, b.first-1); err != nil {
			return err
		}
	}
	var args []any
	for i := 0; i < len(shapes); {
		insert := a.insertFor(shapes[i], numbered)
		same := i + 1
		for same < len(shapes) && same-i < sqliteRowCounts()[0] && shapes[same]&^insert.shape == 0 {
			same++
		}
		text, rows := sqliteOf(insert.texts[:], same-i)
		args = append(args[:0], b.space)
		for row := i; row < i+rows; row++ {
			if numbered {
				args = append(args, b.first+b.places[row])
			}
			args = b.appendRow(append(args, b.kinds[b.kind[row]-1]), row, insert.columns)
		}
		if _, err := tx.exec(ctx, text, args...); err != nil {
			return err
		}
		i += rows
	}
	return nil
}

// insertFor returns the narrowest insert that holds the shape.
func (a *sqliteHistory) insertFor(shape historyShape, numbered bool) *sqliteInsert {
	for i := range a.inserts {
		if shape&^a.inserts[i].shape == 0 && a.inserts[i].numbered == numbered {
			return &a.inserts[i]
		}
	}
	return &a.inserts[len(a.inserts)-1]
}

// sqliteOf returns that of the statements for as many as possible of the rows, and how
// many those are.
func sqliteOf(texts []string, available int) (text string, rows int) {
	for i, rows := range sqliteRowCounts() {
		if rows <= available {
			return texts[i], rows
		}
	}
	return "", 0
}

// sqliteBlocks writes so many blocks.
func sqliteBlocks(rows int) string {
	const head = "INSERT OR ROLLBACK INTO history_blocks (space, id, last_id, at_us, since_us, kind, count, planned_ms, records) VALUES "
	return head + strings.Repeat(", (?1, ?, ?, ?, ?, ?, ?, ?, ?)", rows)[2:]
}

// appendBlock appends the columns of a block.
func (b *sqliteRows) appendBlock(args []any, block *historyBlock) []any {
	id, last := b.first+int64(block.places[0]), b.first+int64(block.last())
	args = append(args, id, last, block.atUS, block.sinceUS, b.kinds[block.kind-1], len(block.places))
	if block.plannedMS == absent {
		args = append(args, nil)
	} else {
		args = append(args, block.plannedMS)
	}
	return append(args, block.encode(b.records))
}

// appendRow appends the columns; what the record lacks is null.
func (b *historyBatch) appendRow(args []any, row int, columns []int) []any {
	shape := b.shapes[row]
	for _, column := range columns {
		switch {
		case !shape.has(column):
			args = append(args, nil)
		case column < historyNumbers:
			args = append(args, b.numbers[column][row])
		default:
			args = append(args, b.texts[column-historyNumbers][row])
		}
	}
	return args
}
