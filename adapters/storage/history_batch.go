package storage

import (
	"math"

	"github.com/taktwork/takt/core/domain"
)

// absent stands for a time that a record lacks.
const absent = math.MinInt64

// historyBatch holds records by column, as the tables have them.
type historyBatch struct {
	records []domain.Record
	// kinds are the different ones; kind tells that of each record, counted
	// from one.
	kinds []historyKind
	kind  []int64
	// shapes tells which columns each record has, shape which any of them has.
	// Columns that none has are nil.
	shapes  []historyShape
	shape   historyShape
	numbers [historyNumbers][]int64
	texts   [historyTexts][]string

	// fielded tells that a record has fields, begins that one says that what it
	// is about is under way.
	fielded, begins bool
	// divided tells that the batch was divided: begun that something is under
	// way after it; ended holds what is no more.
	divided, begun bool
	ended          endings
}

func newHistoryBatch(records []domain.Record) *historyBatch {
	b := &historyBatch{records: records, kind: make([]int64, len(records)), shapes: make([]historyShape, len(records))}
	counter := kindCounter{numbers: make(map[historyKind]int64)}
	for i := range records {
		r := &records[i]
		b.kind[i] = counter.of(r)
		b.putNumbers(i, r)
		b.putTexts(i, r)
		if underWay, _ := r.Event.UnderWay(); underWay && r.IsDecision() {
			b.begins = true
		}
	}
	b.kinds = counter.kinds
	return b
}

func (b *historyBatch) putNumbers(i int, r *domain.Record) {
	b.putNumber(atColumn, i, r.At.UnixMicro())
	// It may come from the record of a foreign job.
	b.putNumber(attemptColumn, i, int64(min(max(r.Attempt, 0), math.MaxInt32)))
	if r.Run.Origin != "" || r.Run.PlannedMS != 0 {
		b.putNumber(plannedColumn, i, r.Run.PlannedMS)
	}
	if !r.Until.IsZero() {
		b.putNumber(untilColumn, i, r.Until.UnixMilli())
	}
	b.putNumber(tookColumn, i, r.Took.Microseconds())
	b.putNumber(lateColumn, i, r.Late.Microseconds())
	b.putNumber(waitColumn, i, r.Wait.Microseconds())
	b.putNumber(countColumn, i, int64(r.Count))
}

func (b *historyBatch) putTexts(i int, r *domain.Record) {
	b.putText(originIDColumn, i, r.Run.OriginID, maxHistoryJobID)
	b.putText(jobIDColumn, i, string(r.JobID), maxHistoryJobID)
	b.putText(reasonColumn, i, r.Reason, maxHistoryReason)
	b.putText(byColumn, i, r.By, maxHistoryReason)
	b.putText(stackColumn, i, r.Stack, maxHistoryStack)
	b.putText(scheduleColumn, i, r.Schedule, maxHistoryReason)
	if len(r.Fields) > 0 {
		fields := encodeFields(r.Fields)
		b.putText(fieldsColumn, i, fields, len(fields))
		b.fielded = true
	}
}

func (b *historyBatch) putNumber(column, row int, v int64) {
	if !isValue(column, v) {
		return
	}
	if b.numbers[column] == nil {
		b.numbers[column] = newNumbers(column, len(b.kind))
	}
	b.numbers[column][row] = v
	b.has(row, column)
}

// newNumbers returns a column of which no record has a value.
func newNumbers(column, rows int) []int64 {
	numbers := make([]int64, rows)
	if column == plannedColumn || column == untilColumn {
		for row := range numbers {
			numbers[row] = absent
		}
	}
	return numbers
}

func (b *historyBatch) putText(column, row int, v string, limit int) {
	if v == "" {
		return
	}
	if v = domain.CleanText(v, limit); v == "" {
		return
	}
	if b.texts[column] == nil {
		b.texts[column] = make([]string, len(b.kind))
	}
	b.texts[column][row] = v
	b.has(row, historyNumbers+column)
}

func (b *historyBatch) has(row, column int) {
	b.shapes[row] |= 1 << column
	b.shape |= 1 << column
}
