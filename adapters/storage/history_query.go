package storage

import (
	"context"
	"fmt"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// Query implements [ports.RunStore].
//
// Records are found through what many have in common, their kind: a query
// first finds the kinds that the filter selects, and then the records of each,
// newest first. So rare ones are found as fast as frequent ones, and it is known
// at once that there are none. Runs are found by their instants, among the kinds of
// their jobs, in one statement.
func (s *RunStore) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if filter.Limit <= 0 {
		filter.Limit = domain.DefaultRunLimit
	}
	if !asKept(&filter) {
		return nil, nil
	}
	found, few, err := s.amongUnderWay(ctx, &filter)
	if err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	if len(found) > 0 {
		return found, nil
	}
	var kinds selectedKinds
	if selectsKinds(&filter) && len(filter.Runs) == 0 && !few {
		if kinds, err = s.kinds(ctx, &filter); err != nil {
			return nil, fmt.Errorf("query history: %w", err)
		}
		if kinds.count == 0 {
			return nil, nil
		}
	}
	if err := s.rarestFirst(ctx, &filter); err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	if found, err = s.find(ctx, &filter, kinds); err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	return found, nil
}

// asKept has the filter select job ids and runs as they are kept, and reports whether any
// is left of those that are wanted.
func asKept(f *domain.RunFilter) bool {
	ids, runs := historyJobIDs(f.JobIDs), historyRuns(f.Runs)
	none := len(ids) == 0 && len(f.JobIDs) > 0 || len(runs) == 0 && len(f.Runs) > 0
	f.JobIDs, f.Runs = ids, runs
	return !none
}

// selectedKinds are those that a filter selects.
type selectedKinds struct {
	// count is how many there are; zero if the filter selects records of every kind.
	count int
	// inRows and inBlocks are the numbers of those whose records can be there.
	inRows, inBlocks []int64
}

// kinds returns the kinds that the filter selects.
func (s *RunStore) kinds(ctx context.Context, filter *domain.RunFilter) (kinds selectedKinds, err error) {
	lookup := s.query(filter).findKinds()
	lookup.row = func(scan scanner) error {
		var kind int64
		var inRows, inBlocks bool
		err := scan(&kind, &inRows, &inBlocks)
		kinds.count++
		if inRows {
			kinds.inRows = append(kinds.inRows, kind)
		}
		if inBlocks {
			kinds.inBlocks = append(kinds.inBlocks, kind)
		}
		return err
	}
	err = s.runner.read(ctx, lookup)
	return kinds, err
}

// enoughRecords is how many records make a field a frequent one.
const enoughRecords = 1000

// rarestFirst puts that field first which the fewest records have: they are
// looked up by it.
func (s *RunStore) rarestFirst(ctx context.Context, filter *domain.RunFilter) error {
	if len(filter.Fields) < 2 {
		return nil
	}
	counts := make([]int, len(filter.Fields))
	lookups := make([]statement, len(filter.Fields))
	for i := range lookups {
		lookups[i] = s.query(filter).countField(filter.Fields[i])
		lookups[i].row = func(scan scanner) error { return scan(&counts[i]) }
	}
	if err := s.runner.read(ctx, lookups...); err != nil {
		return err
	}
	rarest := slices.Index(counts, slices.Min(counts))
	fields := slices.Clone(filter.Fields)
	fields[0], fields[rarest] = fields[rarest], fields[0]
	filter.Fields = fields
	return nil
}

// find returns the records that the filter selects, of these kinds. Where so many are
// wanted of so many kinds, most often they are among the newest of all.
func (s *RunStore) find(ctx context.Context, filter *domain.RunFilter, kinds selectedKinds) ([]domain.Record, error) {
	search := newRecordSearch(s, filter, kinds)
	if !kinds.mayBeInRows(filter) {
		return search.run(ctx)
	}
	if len(kinds.inRows)*filter.Limit > s.newest && selectsKindsOnly(filter) {
		newest, err := s.records(ctx, s.query(filter).searchNewest(s.newest))
		if err != nil {
			return nil, err
		}
		if len(newest) == filter.Limit {
			search.found = newest
			return search.run(ctx)
		}
	}
	return search.run(ctx, s.query(filter).search(kinds.inRows))
}

// selectsKindsOnly reports whether the filter selects all records of its
// kinds, but for their time.
func selectsKindsOnly(f *domain.RunFilter) bool {
	return !f.UnderWay && f.AfterID == 0 && len(f.JobIDs) == 0 && len(f.Runs) == 0 && f.Tick.IsZero() && len(f.Fields) == 0
}

func (s *RunStore) records(ctx context.Context, search statement) (found []domain.Record, err error) {
	search.row = func(scan scanner) error {
		record, err := scanRecord(scan)
		found = append(found, record)
		return err
	}
	return found, s.runner.read(ctx, search)
}
