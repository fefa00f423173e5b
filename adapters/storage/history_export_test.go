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

// ReadBlock returns the records in the text of a block.
func ReadBlock(text string) (records []domain.Record, err error) {
	block := storedBlock{records: text}
	err = block.each(func(r *domain.Record) { records = append(records, *r) })
	return records, err
}
