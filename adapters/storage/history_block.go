package storage

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

const (
	// leastBlock is how many records of queue jobs of one kind in a batch make a block. So
	// many come when there is a lot to do; and a million records have no more such blocks
	// than can be looked through for a job.
	leastBlock = 32
	// mostInBlock bounds what a query reads for one record, and what is pruned at
	// once.
	mostInBlock = 512
	// blockSpan is how far, in µs, the times in a block may lie apart: so a query
	// for what was before a time knows where blocks can begin that have some of it.
	blockSpan = int64(time.Second / time.Microsecond)
)

// historyBlock is one row of many records: of one kind, or of one run.
type historyBlock struct {
	// kind is counted from one, in the batch.
	kind int64
	// places are those of the records in the batch, in their order.
	places        []int
	sinceUS, atUS int64
	// plannedMS is the instant of the run; absent if the block is of none.
	plannedMS int64
}

// fitsBlock reports whether blocks can hold all that there is of the record:
// the outcome of a queue job of which there is nothing to explain.
func fitsBlock(r *domain.Record) bool {
	underWay, _ := r.Event.UnderWay()
	return !underWay && r.Queue != "" && r.Run == domain.RunKey{} && isPlain(r)
}

// isPlain reports whether the record has nothing but names and numbers.
func isPlain(r *domain.Record) bool {
	return r.Until.IsZero() && len(r.Fields) == 0 && r.Reason == "" && r.By == "" && r.Stack == "" && r.Schedule == ""
}

// divideBlocks returns the blocks of the records whose kinds are given, each of least
// records or more, and tells of each record whether it is in one.
func divideBlocks(records []domain.Record, kinds []int64, count, least int) (blocks []historyBlock, within []bool) {
	of := make([]int, count+1)
	within = make([]bool, len(records))
	for i := range records {
		if within[i] = fitsBlock(&records[i]); within[i] {
			of[kinds[i]]++
		}
	}
	latest := make([]int, count+1) // the number of a kind's latest block, counted from one
	for i := range records {
		kind := kinds[i]
		if !within[i] || of[kind] < least {
			continue
		}
		at := records[i].At.UnixMicro()
		if latest[kind] == 0 || !blocks[latest[kind]-1].add(i, at) {
			blocks = append(blocks, historyBlock{kind: kind, places: []int{i}, sinceUS: at, atUS: at, plannedMS: absent})
			latest[kind] = len(blocks)
		}
	}
	blocks = slices.DeleteFunc(blocks, func(b historyBlock) bool { return len(b.places) < least })
	clear(within)
	for i := range blocks {
		for _, place := range blocks[i].places {
			within[place] = true
		}
	}
	return blocks, within
}

// add adds a record, if there is room for it.
func (b *historyBlock) add(place int, atUS int64) bool {
	since, at := min(b.sinceUS, atUS), max(b.atUS, atUS)
	if len(b.places) == mostInBlock || at-since > blockSpan {
		return false
	}
	b.places, b.sinceUS, b.atUS = append(b.places, place), since, at
	return true
}

// last returns the place of the last record.
func (b *historyBlock) last() int { return b.places[len(b.places)-1] }

// encode returns the records as the table has them: ids, times and the rest of
// most of them are few digits.
func (b *historyBlock) encode(records []domain.Record) string {
	const usual = 40
	text := append(make([]byte, 0, usual*len(b.places)), '[')
	for n, place := range b.places {
		r := &records[place]
		if n > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(append(text, '['), int64(place-b.places[0]), 10)
		text = strconv.AppendInt(append(text, ','), r.At.UnixMicro()-b.sinceUS, 10)
		text = appendJSONText(append(text, ','), string(historyJobID(r.JobID)))
		text = append(appendNumbers(text, blockNumbers(r)), ']')
	}
	return string(append(text, ']'))
}

// timesOf returns when the oldest and the newest record of the blocks was made.
func timesOf(blocks []historyBlock) (sinceUS, atUS int64) {
	sinceUS, atUS = math.MaxInt64, math.MinInt64
	for i := range blocks {
		sinceUS, atUS = min(sinceUS, blocks[i].sinceUS), max(atUS, blocks[i].atUS)
	}
	return sinceUS, atUS
}

// blockNumbers are the numbers of a record that follow its job.
func blockNumbers(r *domain.Record) [5]int64 {
	return [...]int64{historyAttempt(r.Attempt), r.Took.Microseconds(), r.Late.Microseconds(), r.Wait.Microseconds(), int64(r.Count)}
}

// appendNumbers appends the numbers up to the last that is not zero.
func appendNumbers(text []byte, numbers [5]int64) []byte {
	last := len(numbers)
	for last > 0 && numbers[last-1] == 0 {
		last--
	}
	for _, n := range numbers[:last] {
		text = strconv.AppendInt(append(text, ','), n, 10)
	}
	return text
}

// storedBlock is a row of the table, with what its kind says of each record, and for
// a run its instant.
type storedBlock struct {
	id, atUS, sinceUS int64
	records           string
	kind              domain.Record
	// plannedMS is the instant of the run; nil if the block is of none.
	plannedMS *int64
}

// blockColumns are those that scanBlock reads, of the tables h and k.
const blockColumns = `h.id, h.at_us, h.since_us, h.records, h.planned_ms, k.replica, k.event, k.job, k.origin, k.queue, k.job_name`

func scanBlock(scan scanner, more ...any) (b storedBlock, err error) {
	k := &b.kind
	err = scan(append([]any{
		&b.id, &b.atUS, &b.sinceUS, &b.records, &b.plannedMS, &k.Replica, &k.Event, &k.Run.Job, &k.Run.Origin, &k.Queue, &k.JobName,
	}, more...)...)
	if b.plannedMS != nil {
		k.Run.PlannedMS = *b.plannedMS
	}
	return b, err
}

// each calls yield for each record.
func (b *storedBlock) each(yield func(*domain.Record)) error {
	reader, events := jsonReader{text: b.records}, b.events()
	before, n := byte('['), 0
	for ; reader.next() == before; n++ {
		reader.at++
		r, err := b.kind, errRunBlock
		if b.plannedMS == nil || n < len(events) {
			err = b.read(&reader, &r)
		}
		if err != nil {
			return fmt.Errorf("block %d: %w", b.id, err)
		}
		if b.plannedMS != nil {
			r.Event = events[n]
		}
		yield(&r)
		before = ','
	}
	if b.plannedMS != nil && n < len(events) {
		return fmt.Errorf("block %d: %w", b.id, errRunBlock)
	}
	if reader.text[reader.at:] != "]" {
		return fmt.Errorf("block %d: %w", b.id, reader.unexpected())
	}
	return nil
}

var errRunBlock = errors.New("a run has not as many records as events")

// events returns those of the records, one by one, if the block is of a run.
func (b *storedBlock) events() []domain.Event {
	events := runEvents()
	switch {
	case b.plannedMS == nil:
		return nil
	case b.kind.Event == endOfRun:
		return events[1:]
	}
	return events[:]
}

// read reads the next record.
func (b *storedBlock) read(reader *jsonReader, r *domain.Record) error {
	id, atUS, jobID, err := readBlockHead(reader)
	if err != nil {
		return err
	}
	var numbers [5]int64
	for i := 0; i < len(numbers) && reader.next() == ','; i++ {
		reader.at++
		if numbers[i], err = reader.number(); err != nil {
			return err
		}
	}
	r.ID, r.At, r.JobID = b.id+id, time.UnixMicro(b.sinceUS+atUS).UTC(), domain.JobID(jobID)
	r.Attempt, r.Took, r.Late, r.Wait, r.Count = int(numbers[0]), microsOf(numbers[1]), microsOf(numbers[2]), microsOf(numbers[3]), int(numbers[4])
	return reader.pass(']')
}

func readBlockHead(reader *jsonReader) (id, atUS int64, jobID string, err error) {
	if err = reader.pass('['); err != nil {
		return 0, 0, "", err
	}
	if id, err = reader.number(); err != nil {
		return 0, 0, "", err
	}
	if err = reader.pass(','); err != nil {
		return 0, 0, "", err
	}
	if atUS, err = reader.number(); err != nil {
		return 0, 0, "", err
	}
	if err = reader.pass(','); err != nil {
		return 0, 0, "", err
	}
	jobID, err = reader.quoted()
	return id, atUS, jobID, err
}
