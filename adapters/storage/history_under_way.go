package storage

import (
	"context"

	"github.com/taktwork/takt/core/domain"
)

// endings are the subjects that are under way no more, and since when.
type endings struct{ subjects, atUS []int64 }

func (e *endings) add(subject, atUS int64) {
	e.subjects, e.atUS = append(e.subjects, subject), append(e.atUS, atUS)
}

// divide finds out, once, what is under way after the batch and what has
// ended: the latest record of each subject tells.
func (b *historyBatch) divide() {
	if b.divided {
		return
	}
	b.divided = true
	at, latest := b.numbers[atColumn], make(map[int64]int, len(b.records))
	for i := range b.records {
		r := &b.records[i]
		if _, tells := r.Event.UnderWay(); !tells || !r.IsDecision() {
			continue
		}
		about := r.Subject()
		digest := about.Digest()
		if before, seen := latest[digest]; !seen || at[before] <= at[i] {
			latest[digest] = i
		}
	}
	for digest, i := range latest {
		if underWay, _ := b.records[i].Event.UnderWay(); underWay {
			b.putNumber(subjectColumn, i, digest)
			b.begun = true
		} else {
			b.ended.add(digest, at[i])
		}
	}
}

// amongUnderWay looks among what is under way, if the filter selects of that. If
// it is little, few is true: then all of it can be looked at. Of more the newest
// are, which mostly is enough; found is empty if it is not.
func (s *RunStore) amongUnderWay(ctx context.Context, filter *domain.RunFilter) (found []domain.Record, few bool, err error) {
	q := s.query(filter)
	if !q.amongUnderWay() {
		return nil, false, nil
	}
	count := 0
	lookup := q.countUnderWay(s.newest)
	lookup.row = func(scan scanner) error { return scan(&count) }
	if err := s.runner.read(ctx, lookup); err != nil || count < s.newest || len(filter.Fields) > 0 {
		return nil, count < s.newest, err
	}
	found, err = s.records(ctx, s.query(filter).searchNewest(s.newest))
	if len(found) < filter.Limit {
		found = nil
	}
	return found, false, err
}
