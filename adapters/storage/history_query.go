package storage

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// Query implements [ports.RunStore].
//
// Records are found through what many have in common, their kind: a query
// first finds the kinds that the filter selects, and then the records of each,
// newest first. So rare ones are found as fast as frequent ones, and it is known
// at once that there are none.
func (s *RunStore) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if filter.Limit <= 0 {
		filter.Limit = domain.DefaultRunLimit
	}
	var kinds []int64
	if selectsKinds(&filter) {
		var err error
		if kinds, err = s.kinds(ctx, &filter); err != nil {
			return nil, fmt.Errorf("query history: %w", err)
		}
		if len(kinds) == 0 {
			return nil, nil
		}
	}
	var found []domain.Record
	search := s.query(&filter).search(kinds)
	search.row = func(scan scanner) error {
		record, err := scanRecord(scan)
		found = append(found, record)
		return err
	}
	if err := s.runner.read(ctx, search); err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	return found, nil
}

// kinds returns the numbers of the kinds that the filter selects, one more
// than are looked up if there are more.
func (s *RunStore) kinds(ctx context.Context, filter *domain.RunFilter) (kinds []int64, err error) {
	lookup := s.query(filter).findKinds()
	lookup.row = func(scan scanner) error {
		var kind int64
		err := scan(&kind)
		kinds = append(kinds, kind)
		return err
	}
	return kinds, s.runner.read(ctx, lookup)
}
