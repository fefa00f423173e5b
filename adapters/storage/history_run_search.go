package storage

import (
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// historyRuns returns the runs as they are kept, each once, without keys that are none.
func historyRuns(runs []domain.RunKey) []domain.RunKey {
	kept := make([]domain.RunKey, 0, len(runs))
	seen := make(map[domain.RunKey]bool, len(runs))
	for _, run := range runs {
		run.Job = domain.CleanText(run.Job, maxHistoryName)
		run.Origin = domain.Origin(domain.CleanText(string(run.Origin), maxHistoryName))
		run.OriginID = domain.CleanText(run.OriginID, maxHistoryJobID)
		if run.Job != "" && run.Origin != "" && !seen[run] {
			seen[run], kept = true, append(kept, run)
		}
	}
	return kept
}

// searchRuns returns the statement that finds the records of the runs that the filter
// has. It goes from each run to the kinds of its job, and of each kind to what was
// recorded of that instant: no record of a run is missed whose kind is new.
func (q *historyQuery) searchRuns() statement {
	order := newestFirst
	if q.filter.AfterID != 0 {
		order = asAppended
	}
	table, index := rowsTable, "history_planned"
	where := []string{"h.kind = w.kind", "h.planned_ms = w.planned_ms"}
	if q.blocks != nil {
		table, index = blocksTable, "history_blocks_kind"
		where = append(where, "h.at_us >= w.first_us", "h.at_us <= w.last_us", "w.origin_id = ''", q.whereBlocks())
	} else {
		where = append(where, "coalesce(h.origin_id, '') = w.origin_id", q.whereRecords(""))
	}
	return q.found(fmt.Sprintf("SELECT h.id FROM %s CROSS JOIN %s AS h%s WHERE %s ORDER BY %s LIMIT %d",
		q.runsOfKinds(), table, q.via(index), strings.Join(nonEmpty(where...), " AND "), order, q.limit()), order)
}

// runsOfKinds returns the runs of the filter as the table w, with each selected kind of
// their jobs.
func (q *historyQuery) runsOfKinds() string {
	return fmt.Sprintf("(SELECT k.kind, w.* FROM %s CROSS JOIN history_kinds AS k%s WHERE k.job = w.job AND k.job <> '' AND k.origin = w.origin AND %s %s) AS w",
		q.runs(), q.via("history_kinds_job"), q.whereKindsOf("w.space"), fence(q.dialect))
}

// runs returns the runs of the filter as the table w, with the namespace, and the first
// and the last time that a block of each can have. Of a constant namespace planners
// think that few kinds have it, and look at all of those.
func (q *historyQuery) runs() string {
	names := [...]string{"job", "origin", "origin_id", "planned_ms", "first_us", "last_us"}
	n := len(q.filter.Runs)
	job, origin, id := make([]string, n), make([]string, n), make([]string, n)
	planned, first, last := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, run := range q.filter.Runs {
		job[i], origin[i], id[i], planned[i] = run.Job, string(run.Origin), run.OriginID, run.PlannedMS
		first[i], last[i], _ = runTimes(run.PlannedMS) // of an instant that has none there is no block
	}
	if q.dialect == Postgres {
		arrays := []string{q.value(job, "text[]"), q.value(origin, "text[]"), q.value(id, "text[]")}
		for _, numbers := range [...][]int64{planned, first, last} {
			arrays = append(arrays, q.value(numbers, "bigint[]"))
		}
		return fmt.Sprintf("(SELECT %s AS space, u.* FROM unnest(%s) AS u (%s) %s) AS w", q.space(), strings.Join(arrays, ", "), strings.Join(names[:], ", "), fence(q.dialect))
	}
	columns := make([]string, len(names))
	for i, name := range names {
		columns[i] = fmt.Sprintf("value->>%d AS %s", i, name)
	}
	return fmt.Sprintf("(SELECT %s AS space, %s FROM json_each(%s)) AS w",
		q.space(), strings.Join(columns, ", "), q.value(jsonRows([]any{job, origin, id, planned, first, last}), ""))
}
