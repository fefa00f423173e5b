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
	// columns are the places of its columns.
	columns []int
	// texts are the statements for the different numbers of rows.
	texts [3]string
}

func newSQLiteInsert(shape historyShape) sqliteInsert {
	insert := sqliteInsert{shape: shape, columns: shape.columns()}
	columns := []string{"space", "kind"}
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

	space int64
	// kinds are the numbers of the batch's kinds, each a value to bind.
	kinds []any
}

// appendRows writes the rows and returns the id of the first.
func (a *sqliteHistory) appendRows(ctx context.Context, tx *sqliteTx, b *sqliteRows) (first int64, err error) {
	shapes := b.shapes
	var args []any
	for i := 0; i < len(b.kind); {
		insert := a.insertFor(shapes[i])
		same := i + 1
		for same < len(shapes) && same-i < sqliteRowCounts()[0] && shapes[same]&^insert.shape == 0 {
			same++
		}
		text, rows := insert.of(same - i)
		args = append(args[:0], b.space)
		for row := i; row < i+rows; row++ {
			args = b.appendRow(append(args, b.kinds[b.kind[row]-1]), row, insert.columns)
		}
		result, err := tx.exec(ctx, text, args...)
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

// insertFor returns the narrowest insert that holds the shape.
func (a *sqliteHistory) insertFor(shape historyShape) *sqliteInsert {
	for i := range a.inserts {
		if shape&^a.inserts[i].shape == 0 {
			return &a.inserts[i]
		}
	}
	return &a.inserts[len(a.inserts)-1]
}

// of returns the statement for as many as possible of the rows, and how many
// those are.
func (s *sqliteInsert) of(available int) (text string, rows int) {
	for i, rows := range sqliteRowCounts() {
		if rows <= available {
			return s.texts[i], rows
		}
	}
	return "", 0
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
