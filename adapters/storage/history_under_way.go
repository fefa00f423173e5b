package storage

import (
	"cmp"
	"context"
	"slices"

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
	told := b.told()
	for n, about := range told {
		if n+1 < len(told) && told[n+1].digest == about.digest {
			continue
		}
		if underWay, _ := b.records[about.place].Event.UnderWay(); underWay {
			row, _ := slices.BinarySearch(b.places, int64(about.place)) // blocks hold none that is
			b.putNumber(subjectColumn, row, about.digest)
			b.begun = true
		} else {
			b.ended.add(about.digest, about.atUS)
		}
	}
}

// toldRecord is a record that tells whether its subject is under way.
type toldRecord struct {
	digest, atUS int64
	place        int
}

// told returns the records that tell, those of a subject beside each other, the
// latest last. Databases find what is sorted with less work.
func (b *historyBatch) told() []toldRecord {
	told := make([]toldRecord, 0, len(b.records))
	for place := range b.records {
		r := &b.records[place]
		if b.isOfRun(place) && r.Event != domain.EventCompleted {
			continue // the block ends the run, and nothing else in the batch is about it
		}
		if _, tells := r.Event.UnderWay(); tells && r.IsDecision() {
			about := r.Subject()
			told = append(told, toldRecord{digest: about.Digest(), atUS: r.At.UnixMicro(), place: place})
		}
	}
	slices.SortFunc(told, func(a, b toldRecord) int {
		if a.digest != b.digest { // nearly always
			return cmp.Compare(a.digest, b.digest)
		}
		return cmp.Or(cmp.Compare(a.atUS, b.atUS), cmp.Compare(a.place, b.place))
	})
	return told
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
