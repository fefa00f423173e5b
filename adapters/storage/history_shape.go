package storage

import "strings"

// historyShape is a set of the columns of the table history, by their place
// among the numbers and then the texts of a batch. Most records have few of
// them, and each that is written costs time, nulls too.
type historyShape uint32

// Places of numbers.
const (
	atColumn = iota
	attemptColumn
	plannedColumn
	untilColumn
	tookColumn
	lateColumn
	waitColumn
	countColumn
	// subjectColumn is set for the records after which what they are about is
	// under way.
	subjectColumn
	historyNumbers
)

// Places of texts.
const (
	originIDColumn = iota
	jobIDColumn
	reasonColumn
	byColumn
	stackColumn
	scheduleColumn
	fieldsColumn
	historyTexts
)

// historyColumnList are the names of the columns: numbers first, then texts.
func historyColumnList() []string {
	return []string{
		"at_us", "attempt", "planned_ms", "until_ms", "took_us", "late_us", "wait_us", "count", "subject",
		"origin_id", "job_id", "reason", "by", "stack", "schedule", "fields",
	}
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

// isValue tells whether the number stands for anything in its column: runs on
// start are planned at zero.
func isValue(column int, v int64) bool {
	return v != absent && (v != 0 || column == plannedColumn || column == atColumn)
}

func (s historyShape) has(column int) bool { return s&(1<<column) != 0 }

// columns returns the places of the columns.
func (s historyShape) columns() (columns []int) {
	for i := range historyNumbers + historyTexts {
		if s.has(i) {
			columns = append(columns, i)
		}
	}
	return columns
}
