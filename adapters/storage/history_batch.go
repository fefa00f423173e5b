package storage

import (
	"math"

	"github.com/taktwork/takt/core/domain"
)

// absent stands for a time that a record lacks.
const absent = math.MinInt64

// mostInBatch is how many records a batch may have.
const mostInBatch = 1 << 15

// historyBatch holds records: many that are alike as blocks, the others as rows,
// by column as the tables have them.
type historyBatch struct {
	records []domain.Record
	// kinds are the different ones of rows and blocks.
	kinds []historyKind
	// blocks are those of records that are alike, which alike holds, and then those of
	// runs.
	blocks, alike []historyBlock
	// places are those of the rows among the records, in their order.
	places []int64
	// kind is that of each row, counted from one.
	kind []int64
	// shapes tells which columns each row has, shape which any of them has.
	// Columns that none has are nil.
	shapes  []historyShape
	shape   historyShape
	numbers [historyNumbers][]int64
	texts   [historyTexts][]string

	// ofRun tells of each record whether it is in the block of a run; nil if there is
	// no such block.
	ofRun []bool
	// fielded tells that a record has fields, begins that one that is in no block says
	// that what it is about is under way.
	fielded, begins bool
	// divided tells that the batch was divided: begun that something is under
	// way after it; ended holds what is no more.
	divided, begun bool
	ended          endings
}

// newHistoryBatch makes blocks of short runs, and of the records of which there are
// least of one kind.
func newHistoryBatch(records []domain.Record, least int) *historyBatch {
	b := &historyBatch{records: records}
	runs, ofRun := divideRuns(records)
	b.ofRun = ofRun
	kinds := b.count(runs)
	alike, within := divideBlocks(records, kinds, len(b.kinds), least)
	b.blocks = append(alike, runs...)
	b.alike = b.blocks[:len(alike)]
	rows := len(records)
	for i := range b.blocks {
		rows -= len(b.blocks[i].places)
	}
	b.places, b.kind, b.shapes = make([]int64, 0, rows), make([]int64, 0, rows), make([]historyShape, rows)
	for i := range records {
		if within[i] || b.isOfRun(i) {
			continue
		}
		row := len(b.places)
		b.places, b.kind = append(b.places, int64(i)), append(b.kind, kinds[i])
		b.putNumbers(row, &records[i])
		b.putTexts(row, &records[i])
	}
	return b
}

// isOfRun reports whether the record at the place is in the block of a run.
func (b *historyBatch) isOfRun(place int) bool { return b.ofRun != nil && b.ofRun[place] }

// count numbers the kinds of the blocks of runs, and returns those of all other records.
func (b *historyBatch) count(runs []historyBlock) []int64 {
	kinds := make([]int64, len(b.records))
	counter := kindCounter{numbers: make(map[historyKind]int64)}
	for i := range runs {
		runs[i].kind = counter.ofRun(&b.records[runs[i].places[0]])
	}
	for i := range b.records {
		if b.isOfRun(i) {
			continue
		}
		r := &b.records[i]
		kinds[i] = counter.of(r)
		if underWay, _ := r.Event.UnderWay(); underWay && r.IsDecision() {
			b.begins = true
		}
	}
	b.kinds = counter.kinds
	return kinds
}

func (b *historyBatch) putNumbers(i int, r *domain.Record) {
	b.putNumber(atColumn, i, r.At.UnixMicro())
	b.putNumber(attemptColumn, i, historyAttempt(r.Attempt))
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
		b.numbers[column] = newNumbers(column, len(b.shapes))
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
		b.texts[column] = make([]string, len(b.shapes))
	}
	b.texts[column][row] = v
	b.has(row, historyNumbers+column)
}

func (b *historyBatch) has(row, column int) {
	b.shapes[row] |= 1 << column
	b.shape |= 1 << column
}
