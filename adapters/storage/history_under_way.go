package storage

import (
	"github.com/taktwork/takt/core/domain"
)

// endings are the subjects that are under way no more, and since when.
type endings struct{ subjects, atUS []int64 }

func (e *endings) add(subject, atUS int64) {
	e.subjects, e.atUS = append(e.subjects, subject), append(e.atUS, atUS)
}

// divide finds out what is under way after the batch and what has ended: the
// latest record of each subject tells.
func (b *historyBatch) divide(records []domain.Record) {
	latest := make(map[int64]int, len(records))
	for i := range records {
		r := &records[i]
		if _, tells := r.Event.UnderWay(); !tells || !r.IsDecision() {
			continue
		}
		about := r.Subject()
		digest := about.Digest()
		if before, seen := latest[digest]; !seen || b.at[before] <= b.at[i] {
			latest[digest] = i
		}
	}
	for digest, i := range latest {
		if underWay, _ := records[i].Event.UnderWay(); underWay {
			b.subject[i], b.begun = digest, true
		} else {
			b.ended.add(digest, b.at[i])
		}
	}
}
