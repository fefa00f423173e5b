package storage

import (
	"context"

	"github.com/taktwork/takt/core/domain"
)

// Settings under which queries of the history run on Postgres.
const (
	LookUpAll  = lookUpAll
	InOrderAll = inOrderAll
)

// WithNewest makes queries look at so many of the newest records first.
func (s *RunStore) WithNewest(newest int) *RunStore {
	s.newest = newest
	return s
}

// WithBlocks makes blocks of that many records of one kind, and has queries read so
// many blocks at first.
func (s *RunStore) WithBlocks(least, page int) *RunStore {
	s.leastBlock, s.firstPage = least, page
	return s
}

// Explained is a statement with its values.
type Explained struct {
	Text string
	Args []any
}

// Statements returns what a query asks the database.
func (s *RunStore) Statements(ctx context.Context, filter domain.RunFilter) ([]Explained, error) {
	telling := &tellingRunner{runner: s.runner}
	explained := &RunStore{runner: telling, dialect: s.dialect, namespace: s.namespace, newest: s.newest, firstPage: s.firstPage}
	_, err := explained.Query(ctx, filter)
	return telling.seen, err
}

// PruneStatements returns how removing records finds them in Postgres.
func (s *RunStore) PruneStatements(keep domain.RunRetention, limit int) (explained []Explained) {
	for _, st := range pruneStatements(s.namespace, keep, limit, new(int)) {
		if st.looksUp {
			explained = append(explained, Explained{st.text, st.args})
		}
	}
	return explained
}

type tellingRunner struct {
	runner

	seen []Explained
}

func (r *tellingRunner) read(ctx context.Context, statements ...statement) error {
	for i := range statements {
		r.seen = append(r.seen, Explained{statements[i].text, statements[i].args})
	}
	return r.runner.read(ctx, statements...)
}

// KindsSent returns of how many kinds each batch sends digests, from now on.
func (s *RunStore) KindsSent() *[]int {
	sent := new([]int)
	history := s.writer.(*postgresHistory)
	history.runner = writingRunner{history.runner, func(write func() error, statements []statement) error {
		for i := range statements {
			if statements[i].text == sqlNewKinds {
				*sent = append(*sent, len(statements[i].args[3].([][]byte)))
			}
		}
		return write()
	}}
	return sent
}

// LoseReply loses the reply to the next batch, and whether it was carried out, and then
// calls do.
func (s *RunStore) LoseReply(carriedOut bool, do func()) {
	history := s.writer.(*postgresHistory)
	runner := history.runner
	history.runner = writingRunner{runner, func(write func() error, statements []statement) error {
		history.runner = runner
		if carriedOut {
			for i := range statements {
				statements[i].row = nil
			}
			if err := write(); err != nil {
				return err
			}
		}
		do()
		return errDoubt
	}}
}

// writingRunner has writes done by another function.
type writingRunner struct {
	runner

	do func(write func() error, statements []statement) error
}

func (r writingRunner) write(ctx context.Context, statements ...statement) error {
	return r.do(func() error { return r.runner.write(ctx, statements...) }, statements)
}

// MostApart is how far the records in the block of a run may lie apart.
const MostApart = mostApart

// MostKnownKinds bounds KnownKinds.
const MostKnownKinds = mostKnownKinds

// KnownKinds are numbers of kinds.
type KnownKinds struct{ known *knownKinds }

// NewKnownKinds returns none.
func NewKnownKinds() KnownKinds { return KnownKinds{newKnownKinds(anyForgotten)} }

// Add adds the number of the kind of a job.
func (k KnownKinds) Add(job string, number int64) {
	k.known.add((&historyKind{job: job}).digest(""), number)
}

// Of returns the number of the kind of a job, or 0.
func (k KnownKinds) Of(job string) int64 { return k.known.numbers[(&historyKind{job: job}).digest("")] }

// Len returns how many there are.
func (k KnownKinds) Len() int { return len(k.known.numbers) }

// JobFilter tells of which jobs a block may tell.
type JobFilter struct{ filter jobFilter }

// NewJobFilter returns a filter for so many ids.
func NewJobFilter(ids int) JobFilter { return JobFilter{make(jobFilter, filterBytes*ids)} }

// Add adds an id.
func (f JobFilter) Add(id domain.JobID) { f.filter.add(id) }

// MayHave does what queries do.
func (f JobFilter) MayHave(id domain.JobID) bool {
	marks := marksOf(id)
	return f.filter.mayHave(&marks)
}

// BlocksWith returns the places of the blocks that may have the job.
func BlocksWith(filters []byte, id domain.JobID) (places []int64, err error) {
	blocks, err := blocksWith(filters, soughtJobs([]domain.JobID{id}))
	for _, block := range blocks {
		places = append(places, block.place)
	}
	return places, err
}

// ReadBlock returns the records in the text of a block of queue jobs.
func ReadBlock(text string) ([]domain.Record, error) { return readBlock(storedBlock{records: text}) }

// ReadRunBlock returns the records in the text of a block of a run, whose kind has the event.
func ReadRunBlock(event domain.Event, text string) ([]domain.Record, error) {
	return readBlock(storedBlock{records: text, plannedMS: new(int64), kind: domain.Record{Event: event}})
}

func readBlock(block storedBlock) (records []domain.Record, err error) {
	err = block.each(func(r *domain.Record) { records = append(records, *r) })
	return records, err
}
