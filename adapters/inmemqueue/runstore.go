package inmemqueue

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.RunStore = (*RunStore)(nil)

// defaultQueryLimit is the limit of a query that names none.
const defaultQueryLimit = 100

// RunStore keeps the latest records in the memory of one process. When it is
// full the oldest make room, and are counted. It is safe for concurrent use;
// calls with an ended context do nothing.
type RunStore struct {
	capacity int

	mu sync.Mutex
	// records are ordered by At, those of one moment as they came.
	records []domain.Record
	dropped uint64
}

// NewRunStore returns a store of at most capacity records, at least one.
func NewRunStore(capacity int) *RunStore {
	return &RunStore{capacity: max(capacity, 1)}
}

// Append implements [ports.RunStore].
func (s *RunStore) Append(ctx context.Context, records []domain.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		s.add(&records[i])
	}
	if over := len(s.records) - s.capacity; over > 0 {
		s.dropped += uint64(over)
		s.remove(over)
	}
	return nil
}

// add inserts the record at its time, which is nearly always the end.
func (s *RunStore) add(record *domain.Record) {
	i := len(s.records)
	for i > 0 && s.records[i-1].At.After(record.At) {
		i--
	}
	s.records = slices.Insert(s.records, i, *record)
}

// remove drops the n oldest records. The room of the dropped is given back
// when the slice next grows.
func (s *RunStore) remove(n int) {
	clear(s.records[:n])
	s.records = s.records[n:]
}

// Query implements [ports.RunStore].
func (s *RunStore) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	limit := filter.Limit
	if limit <= 0 {
		limit = defaultQueryLimit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []domain.Record
	for i := len(s.records) - 1; i >= 0 && len(found) < limit; i-- {
		record := &s.records[i]
		if record.At.Before(filter.Since) {
			break
		}
		if selects(&filter, record) {
			found = append(found, *record)
		}
	}
	return found, nil
}

// selects reports whether the filter's fields but Since select the record.
func selects(filter *domain.RunFilter, record *domain.Record) bool {
	switch {
	case filter.Job != "" && filter.Job != record.Run.Job,
		filter.Queue != "" && filter.Queue != record.Queue,
		filter.JobID != "" && filter.JobID != record.JobID,
		len(filter.Events) > 0 && !slices.Contains(filter.Events, record.Event),
		!filter.Before.IsZero() && !record.At.Before(filter.Before):
		return false
	}
	return true
}

// Prune implements [ports.RunStore]. Pruned records do not count as dropped.
func (s *RunStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < min(limit, len(s.records)) && s.records[n].At.Before(before) {
		n++
	}
	s.remove(n)
	return n, nil
}

// Dropped returns how many records were dropped because the store was full.
func (s *RunStore) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
