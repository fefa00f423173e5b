package storage

import "strings"

// historyShape is a set of the columns of the table history, by their place
// among the numbers and then the texts of a batch. Most records have few of
// them, and each that is written costs time, nulls too.
type historyShape uint32

// Places of the columns whose zero is a value: runs on start are planned at
// zero.
const (
	atColumn      = 0
	plannedColumn = 2
)

// historyColumnNames are the names of those columns: numbers of them first,
// then texts.
func historyColumnNames() (numbers, texts []string) {
	return []string{"at_us", "attempt", "planned_ms", "until_ms", "took_us", "late_us", "wait_us", "count", "subject"},
		[]string{"origin_id", "job_id", "reason", "by", "stack", "schedule", "fields"}
}

func historyColumnList() []string {
	numbers, texts := historyColumnNames()
	return append(numbers, texts...)
}

func shapeOf(columns string) (shape historyShape) {
	wanted := strings.Fields(columns)
	for i, name := range historyColumnList() {
		for _, w := range wanted {
			if w == name {
				shape |= 1 << i
			}
		}
	}
	return shape
}

// isValue tells whether the number stands for anything in its column.
func isValue(column int, v int64) bool {
	return v != absent && (v != 0 || column == plannedColumn || column == atColumn)
}

func (s historyShape) has(column int) bool { return s&(1<<column) != 0 }

// shapes returns which columns each record has.
func (b *historyBatch) shapes() []historyShape {
	shapes := make([]historyShape, len(b.kind))
	numbers := b.numbers()
	for i, column := range numbers {
		for row, v := range *column {
			if isValue(i, v) {
				shapes[row] |= 1 << i
			}
		}
	}
	for i, column := range b.texts() {
		for row, v := range *column {
			if v != "" {
				shapes[row] |= 1 << (len(numbers) + i)
			}
		}
	}
	return shapes
}

// shape returns which columns any of the records has.
func (b *historyBatch) shape() (shape historyShape) {
	for _, s := range b.shapes() {
		shape |= s
	}
	return shape
}
