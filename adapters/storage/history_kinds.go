package storage

import (
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// selectsKinds reports whether the filter selects some kinds only.
func selectsKinds(f *domain.RunFilter) bool {
	return f.Job != "" || len(f.Runs) > 0 || !f.Tick.IsZero() || len(f.Origins) > 0 ||
		f.Queue != "" || f.JobName != "" || len(f.Fields) > 0 || len(f.Events) > 0 || f.Replica != ""
}

// whereKinds returns conditions on the table k.
func (q *historyQuery) whereKinds() string { return q.whereKindsOf(q.space()) }

// whereKindsOf returns the same for kinds of the namespace with that number.
func (q *historyQuery) whereKindsOf(space string) string {
	f := q.filter
	where := []string{"k.space = " + space}
	equal := func(column, text string) {
		if text != "" {
			// That no value is empty tells planners that indexes without empty ones do.
			where = append(where, "k."+column+" = "+q.text(domain.CleanText(text, maxHistoryName)), "k."+column+" <> ''")
		}
	}
	equal("job", f.Job)
	equal("queue", string(f.Queue))
	equal("job_name", f.JobName)
	equal("replica", f.Replica)
	if len(f.Events) > 0 {
		where = append(where, "k.event "+q.anyOf(append(texts(f.Events), runKindsWith(f.Events)...)))
	}
	if len(f.Origins) > 0 {
		where = append(where, "k.origin "+q.anyOf(texts(f.Origins)))
	}
	if !f.Tick.IsZero() {
		where = append(where, "k.origin "+q.anyOf(texts([]domain.Origin{domain.OriginSchedule, domain.OriginBackfill})))
	}
	if len(f.Fields) > 0 {
		where = append(where, "k.fielded")
	}
	return strings.Join(where, " AND ")
}

func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = domain.CleanText(string(v), maxHistoryName)
	}
	return all
}

// findKinds selects the kinds, and whether their records can be in rows and in blocks.
// Blocks of runs have no job ids.
func (q *historyQuery) findKinds() statement {
	const ofRuns = "k.event IN ('" + wholeRun + "', '" + endOfRun + "')"
	blocks := "k.queue <> '' AND k.origin = '' AND NOT k.fielded"
	if len(q.filter.JobIDs) == 0 {
		blocks += " OR " + ofRuns
	}
	return q.statement("SELECT k.kind, NOT (" + ofRuns + "), " + blocks + " FROM history_kinds AS k WHERE " + q.whereKinds())
}
