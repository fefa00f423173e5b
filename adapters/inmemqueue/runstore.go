package inmemqueue

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.RunStore = (*RunStore)(nil)

// RunStore keeps the latest records in the memory of one process. When it is
// full the oldest make room, and are counted. It is safe for concurrent use;
// calls with an ended context do nothing.
type RunStore struct {
	capacity int

	mu sync.Mutex
	// ring holds count records from first on, ordered by At, those of one
	// moment as they came. It grows up to the capacity.
	ring         []domain.Record
	first, count int
	// latest is the ID of the record appended last.
	latest  int64
	dropped uint64
}

// firstRing is how many records the ring has room for at first.
const firstRing = 64

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
		if s.count > 0 && records[i].At.Before(s.at(s.count-1).At) {
			s.merge(records[i:])
			break
		}
		s.latest++
		s.push(kept(&records[i], s.latest))
	}
	return nil
}

// at returns the record at a place, counted from the oldest.
func (s *RunStore) at(i int) *domain.Record {
	if i += s.first; i >= len(s.ring) {
		i -= len(s.ring)
	}
	return &s.ring[i]
}

// kept returns the record as the store keeps it.
func kept(record *domain.Record, id int64) domain.Record {
	own := *record
	own.ID, own.Fields = id, slices.Clone(record.Fields)
	return own
}

// push puts the record, which is no older than the newest, at the end.
func (s *RunStore) push(record domain.Record) {
	if s.count == s.capacity {
		s.dropped++
		s.remove(1)
	}
	if s.count == len(s.ring) {
		s.grow()
	}
	s.count++
	*s.at(s.count - 1) = record
}

// merge puts records at their times. Those that are newer than some of them are
// moved once for all: replicas whose clocks differ, or that caught up after an
// outage, may append thousands behind them.
func (s *RunStore) merge(records []domain.Record) {
	late := make([]domain.Record, len(records))
	for i := range records {
		s.latest++
		late[i] = kept(&records[i], s.latest)
	}
	slices.SortStableFunc(late, func(a, b domain.Record) int { return a.At.Compare(b.At) })
	newer := s.cut(late[0].At)
	for _, record := range late {
		for len(newer) > 0 && !newer[0].At.After(record.At) {
			s.push(newer[0])
			newer = newer[1:]
		}
		s.push(record)
	}
	for i := range newer {
		s.push(newer[i])
	}
}

// cut takes off what is newer than a time.
func (s *RunStore) cut(after time.Time) []domain.Record {
	from := sort.Search(s.count, func(i int) bool { return s.at(i).At.After(after) })
	newer := make([]domain.Record, 0, s.count-from)
	for i := from; i < s.count; i++ {
		newer = append(newer, *s.at(i))
		*s.at(i) = domain.Record{}
	}
	s.count = from
	return newer
}

func (s *RunStore) grow() {
	larger := make([]domain.Record, min(max(2*len(s.ring), firstRing), s.capacity))
	n := copy(larger, s.ring[s.first:])
	copy(larger[n:], s.ring[:s.first])
	s.ring, s.first = larger, 0
}

// remove drops the n oldest records.
func (s *RunStore) remove(n int) {
	for i := range n {
		*s.at(i) = domain.Record{}
	}
	if s.first += n; s.first >= len(s.ring) {
		s.first -= len(s.ring)
	}
	s.count -= n
}

// Query implements [ports.RunStore].
func (s *RunStore) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if filter.Limit <= 0 {
		filter.Limit = domain.DefaultRunLimit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if filter.AfterID != 0 {
		return s.appended(&filter), nil
	}
	return copied(s.selected(&filter, filter.Limit)), nil
}

// selected returns the newest records that the filter selects, limit at most.
func (s *RunStore) selected(filter *domain.RunFilter, limit int) []*domain.Record {
	var found []*domain.Record
	isLatest, selects := latestOf(filter), filter.Selector()
	for i := s.count - 1; i >= 0 && len(found) < limit; i-- {
		record := s.at(i)
		if record.At.Before(filter.Since) {
			break
		}
		if isLatest(record) && selects(record) {
			found = append(found, record)
		}
	}
	return found
}

// latestOf returns a function that is called with the records, the newest
// first, and reports whether one may be selected: of what is under way only the
// latest record may.
func latestOf(filter *domain.RunFilter) func(*domain.Record) bool {
	if !filter.UnderWay {
		return func(*domain.Record) bool { return true }
	}
	seen := map[domain.Subject]bool{}
	return func(r *domain.Record) bool {
		if _, tells := r.Event.UnderWay(); !tells || seen[r.Subject()] {
			return false
		}
		seen[r.Subject()] = true
		return true
	}
}

// appended returns the records that the filter selects in the order in which
// they came.
func (s *RunStore) appended(filter *domain.RunFilter) []domain.Record {
	selected := s.selected(filter, s.count)
	slices.SortFunc(selected, func(a, b *domain.Record) int { return cmp.Compare(a.ID, b.ID) })
	return copied(selected[:min(filter.Limit, len(selected))])
}

// copied returns records that the store does not change.
func copied(records []*domain.Record) []domain.Record {
	all := make([]domain.Record, len(records))
	for i, record := range records {
		all[i] = *record
		all[i].Fields = slices.Clone(record.Fields)
	}
	return all
}

// Prune implements [ports.RunStore]. Pruned records do not count as dropped.
func (s *RunStore) Prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	beyond := 0
	if keep.Count > 0 {
		beyond = s.count - keep.Count
	}
	n := 0
	for n < min(limit, s.count) && (n < beyond || s.at(n).At.Before(keep.Since)) {
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
