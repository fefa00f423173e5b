package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// Blocks are read page by page until they cannot have anything more that is
// wanted: a few at first, for one may have all.
const (
	firstPage = 8
	pageGrows = 4
	mostPage  = 512
)

// recordSearch looks for what a filter selects, in rows and blocks.
type recordSearch struct {
	store  *RunStore
	filter *domain.RunFilter
	kinds  selectedKinds
	// selects tells of records of the blocks whether they are wanted, if their kinds are.
	selects func(*domain.Record) bool
	// jobs are those that are selected, if these are.
	jobs []soughtJob
	page blockPage
	// newestFirst tells that of many kinds the newest blocks are looked at before those
	// of each kind.
	newestFirst bool
	// exhausted tells that no blocks are left.
	exhausted bool
	found     []domain.Record
	// taken is how many records of blocks were wanted.
	taken int
}

// blockPage is which blocks are read next.
type blockPage struct {
	limit int
	// after is the last one, of blocks or of batches, that was read; nil at first.
	after *blockKey
	// latest is the number of the record that was the latest when the first page was
	// read, and the rows; zero before.
	latest int64
}

// blockKey is where a block or batch stands in the order of time, and of numbers.
type blockKey struct{ atUS, id int64 }

func newRecordSearch(s *RunStore, f *domain.RunFilter, kinds selectedKinds) *recordSearch {
	within := domain.RunFilter{JobIDs: f.JobIDs, Since: f.Since, Before: f.Before, BeforeID: f.BeforeID, AfterID: f.AfterID}
	for _, event := range texts(f.Events) {
		within.Events = append(within.Events, domain.Event(event))
	}
	search := &recordSearch{
		store: s, filter: f, kinds: kinds, exhausted: !kinds.mayBeInBlocks(f), selects: within.Selector(), jobs: soughtJobs(f.JobIDs),
		page: blockPage{limit: pageFor(len(f.Runs), s.firstPage)}, newestFirst: len(kinds.inBlocks) > s.firstPage && selectsKindsOnly(f),
	}
	return search
}

// mayBeOthers reports whether records of other kinds than these may be wanted. Who
// follows a history is not to miss the first of a kind that was unknown when the kinds
// were looked up.
func (k *selectedKinds) mayBeOthers(f *domain.RunFilter) bool { return k.count == 0 || f.AfterID != 0 }

// mayBeInRows reports whether rows can have what the filter selects.
func (k *selectedKinds) mayBeInRows(f *domain.RunFilter) bool {
	return len(k.inRows) > 0 || k.mayBeOthers(f)
}

// mayBeInBlocks reports whether blocks can have what the filter selects.
func (k *selectedKinds) mayBeInBlocks(f *domain.RunFilter) bool {
	ofRuns := f.Job != "" || len(f.Runs) > 0 || !f.Tick.IsZero() || len(f.Origins) > 0
	switch {
	case f.UnderWay, len(f.Fields) > 0, ofRuns && len(f.JobIDs) > 0:
		return false
	}
	return len(k.inBlocks) > 0 || k.mayBeOthers(f)
}

// run returns what it finds by the statement for rows and in blocks. The first
// page of blocks is of one state with the rows: who follows a history goes on after
// the last record that he was given.
func (s *recordSearch) run(ctx context.Context, rows ...statement) ([]domain.Record, error) {
	for i := range rows {
		rows[i].row = func(scan scanner) error {
			record, err := scanRecord(scan)
			s.found = append(s.found, record)
			return err
		}
	}
	if s.exhausted && len(rows) > 0 {
		err := s.store.runner.read(ctx, rows...)
		return s.found, err
	}
	for !s.isDone() {
		if err := s.next(ctx, rows); err != nil {
			return nil, err
		}
		rows = nil
	}
	return s.found, nil
}

// keep keeps what is wanted of what was found, in its order.
func (s *recordSearch) keep() {
	slices.SortFunc(s.found, s.order)
	s.found = s.found[:min(len(s.found), s.filter.Limit)]
}

// isDone keeps what is wanted, and reports whether no block can have more of it.
func (s *recordSearch) isDone() bool {
	s.keep()
	if s.exhausted {
		return true
	}
	last := s.page.after
	if last == nil || len(s.found) < s.filter.Limit {
		return false
	}
	furthest := &s.found[len(s.found)-1]
	if s.filter.AfterID != 0 {
		return furthest.ID < last.id
	}
	return furthest.At.UnixMicro() > last.atUS
}

func (s *recordSearch) order(a, b domain.Record) int {
	if s.filter.AfterID != 0 {
		return cmp.Compare(a.ID, b.ID)
	}
	return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
}

// next reads the next page, and the rows with it.
func (s *recordSearch) next(ctx context.Context, rows []statement) error {
	taken, read := s.taken, s.nextBlocks
	if len(s.jobs) > 0 && s.filter.AfterID == 0 {
		read = s.nextBatches
	}
	count, err := read(ctx, rows)
	if count < s.page.limit {
		s.exhausted, s.newestFirst = !s.newestFirst, false
	}
	s.page.limit = s.nextPage(count, s.taken-taken)
	return err
}

// nextPage returns how many blocks are read next, if of the last page so many records
// were wanted: blocks of runs have three at most. One more tells that there is enough.
func (s *recordSearch) nextPage(blocks, taken int) int {
	needed := 0
	if taken > 0 {
		needed = (s.filter.Limit-s.taken)*blocks/taken + 1
	}
	return pageFor(needed, s.page.limit*pageGrows)
}

// pageFor returns the size of a page that has so many blocks, and no fewer than least.
// Pages have few sizes, for these are part of the statements.
func pageFor(needed, least int) int {
	page := least
	for page < min(needed, mostPage) {
		page *= pageGrows
	}
	return min(page, mostPage)
}

// nextBlocks reads the next blocks and returns how many there are.
func (s *recordSearch) nextBlocks(ctx context.Context, rows []statement) (count int, err error) {
	q := s.query()
	search := q.search
	if s.newestFirst {
		search = func([]int64) statement { return q.searchNewest(s.store.newest) }
	}
	blocks := search(s.kinds.inBlocks)
	var latest int64
	after := s.page.after
	blocks.row = func(scan scanner) error {
		block, err := scanBlock(scan, &latest)
		if err != nil {
			return err
		}
		count++
		after = &blockKey{block.atUS, block.id}
		return s.take(&block)
	}
	err = s.store.runner.read(ctx, append(rows, blocks)...)
	s.page.after, s.page.latest = after, cmp.Or(s.page.latest, latest)
	return count, err
}

// nextBatches reads those blocks of the next batches that may tell of the jobs, and
// returns how many batches these are.
func (s *recordSearch) nextBatches(ctx context.Context, rows []statement) (count int, err error) {
	var ids []int64
	jobs := map[int64][]int{} // by the id of the block
	after := s.page.after
	batches := s.query().searchBatches()
	batches.row = func(scan scanner) error {
		count++
		after = new(blockKey)
		var filters []byte
		if err := scan(&after.id, &after.atUS, &filters); err != nil {
			return err
		}
		blocks, err := blocksWith(filters, s.jobs)
		if err != nil {
			return fmt.Errorf("batch %d: %w", after.id, err)
		}
		for _, block := range blocks {
			id := after.id + block.place
			ids, jobs[id] = append(ids, id), block.jobs
		}
		return nil
	}
	if err := s.store.runner.read(ctx, append(rows, batches)...); err != nil {
		return 0, err
	}
	s.page.after = after
	if len(ids) == 0 {
		return count, nil
	}
	blocks := s.query().blocksOf(ids)
	blocks.row = func(scan scanner) error {
		block, err := scanBlock(scan)
		if err != nil || !tellOf(block.records, s.jobs, jobs[block.id]) {
			return err
		}
		return s.take(&block)
	}
	return count, s.store.runner.read(ctx, blocks)
}

func (s *recordSearch) query() *historyQuery {
	q := s.store.query(s.filter)
	q.blocks = &s.page
	return q
}

// take takes what is selected of the block.
func (s *recordSearch) take(block *storedBlock) error {
	err := block.each(func(r *domain.Record) {
		if s.selects(r) {
			s.found = append(s.found, *r)
			s.taken++
		}
	})
	if len(s.found) > 2*s.filter.Limit {
		s.keep()
	}
	return err
}
