package storage

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// historySource is where records are looked for: a table with the columns
// kind, at_us and id, as h. Its parts have no record in common. The ids are those of
// the rows of found.
type historySource struct {
	table, found string
	parts        []sourcePart
	// order is that in which a part gives its records; empty if it gives all.
	order string
}

// sourcePart is what an index leads to: one for the records of a kind, and one for
// those of all, if they are looked for.
type sourcePart struct{ where, index, whole string }

const (
	newestFirst = "h.at_us DESC, h.id DESC"
	asAppended  = "h.id"
)

// Tables of records.
const (
	rowsTable   = "history"
	blocksTable = "history_blocks"
)

// search returns the statement that finds the records, of these kinds if the
// filter selects some.
func (q *historyQuery) search(kinds []int64) statement {
	if len(q.filter.Runs) > 0 {
		return q.searchRuns()
	}
	source := q.source()
	if q.filter.AfterID != 0 {
		return q.found(q.inAll(&source), asAppended)
	}
	if len(q.filter.JobIDs) > 0 || len(kinds) == 0 {
		return q.found(q.inAll(&source), newestFirst)
	}
	return q.found(q.inEach(&source, kinds), newestFirst)
}

// found returns the records of the ids.
func (q *historyQuery) found(ids, order string) statement {
	table, columns := rowsTable, historyColumns
	if q.blocks != nil {
		table, columns = blocksTable, blockColumns+", "+q.latest()
	}
	return q.statement(fmt.Sprintf("SELECT %s FROM %s AS h JOIN history_kinds AS k ON k.kind = h.kind WHERE h.id %s ORDER BY %s",
		columns, table, q.among(ids), order))
}

// inAll looks among the records of all kinds, in their order.
func (q *historyQuery) inAll(source *historySource) string {
	where := "h.space = " + q.space()
	if !strings.HasSuffix(source.parts[0].whole, "_at") {
		// Adding nothing keeps planners from the index of times.
		where = "h.space + 0 = " + q.space()
	}
	if selectsKinds(q.filter) {
		where += " AND " + q.isSelected("h")
	}
	return q.idsOf(source, where, false)
}

// isSelected tells whether the kind of the table's row is selected. Being a
// subquery it keeps planners from beginning with the kinds.
func (q *historyQuery) isSelected(table string) string {
	return "(SELECT " + q.whereKinds() + " FROM history_kinds AS k WHERE k.kind = " + table + ".kind)"
}

// searchNewest returns the statement that looks at a number of the newest
// records only.
func (q *historyQuery) searchNewest(window int) statement {
	table, index, times := rowsTable, "history_at", q.whereTime
	switch {
	case q.blocks != nil:
		table, index, times = blocksTable, "history_blocks_at", q.whereBlocks
	case q.amongUnderWay():
		table, index = "history_under_way", "history_under_way_at"
	}
	where := strings.Join(nonEmpty("h.space = "+q.space(), times()), " AND ")
	newest := fmt.Sprintf("SELECT h.id, h.at_us, h.kind FROM %s AS h%s WHERE %s ORDER BY %s LIMIT %d",
		table, q.via(index), where, newestFirst, window)
	return q.found(fmt.Sprintf("SELECT n.id FROM (%s) AS n WHERE %s ORDER BY n.at_us DESC, n.id DESC LIMIT %d",
		newest, q.isSelected("n"), q.limit()), newestFirst)
}

// inEach looks for the newest records of each kind; of more kinds than records
// are wanted, in those whose newest are the newest, and no further back.
func (q *historyQuery) inEach(source *historySource, kinds []int64) string {
	limit := q.limit()
	table, where := q.rows("kind", kinds), "h.kind = w.kind"
	if len(kinds) > limit && source.order != "" {
		newest := q.idsOf(source, where, true)
		newest = strings.TrimSuffix(newest, fmt.Sprint(limit)) + "1"
		table = fmt.Sprintf(`(SELECT w.kind, CASE WHEN count(*) OVER () = %d THEN min(w.at_us) OVER () ELSE %d END AS oldest_us
    FROM (SELECT w.kind, h.at_us FROM %s JOIN %s AS h ON h.id = (%s) ORDER BY %s LIMIT %d) AS w) AS w`,
			limit, math.MinInt64, table, source.found, newest, newestFirst, limit)
		where += " AND h.at_us >= w.oldest_us"
	}
	ids := q.idsOf(source, where, true)
	return fmt.Sprintf("SELECT h.id FROM %s CROSS JOIN %s AS h WHERE h.id %s ORDER BY %s LIMIT %d", table, source.found, q.among(ids), newestFirst, limit)
}

// idsOf selects ids from the source.
func (q *historyQuery) idsOf(source *historySource, where string, ofOneKind bool) string {
	var parts []string
	for _, part := range source.parts {
		index := part.whole
		if ofOneKind {
			index = part.index
		}
		parts = append(parts, fmt.Sprintf("SELECT h.id FROM %s AS h%s WHERE %s", source.table, q.via(index), strings.Join(nonEmpty(where, part.where), " AND ")))
	}
	ids := strings.Join(parts, " UNION ALL ")
	if source.order != "" {
		ids += fmt.Sprintf(" ORDER BY %s LIMIT %d", source.order, q.limit())
	}
	return ids
}

// via names the index that SQLite is to use.
func (q *historyQuery) via(index string) string {
	switch {
	case q.dialect == Postgres, index == "":
		return ""
	case index == noIndex:
		return " NOT INDEXED"
	}
	return " INDEXED BY " + index
}

// noIndex stands for the table itself, in the order of ids.
const noIndex = "-"

func nonEmpty(texts ...string) []string {
	kept := texts[:0]
	for _, text := range texts {
		if text != "" {
			kept = append(kept, text)
		}
	}
	return kept
}

// source returns where what the filter selects is found with the least work.
func (q *historyQuery) source() historySource {
	f := q.filter
	part := sourcePart{index: "history_kind", whole: "history_at"}
	source := historySource{table: rowsTable, found: rowsTable, order: newestFirst}
	switch {
	case q.blocks != nil:
		return q.blockSource()
	case q.amongUnderWay():
		part = sourcePart{index: "history_under_way_kind", whole: "history_under_way_at"}
		source.table = "history_under_way"
	case f.AfterID != 0:
		part.whole, source.order = noIndex, asAppended
	case len(f.JobIDs) > 0:
		part.whole = "history_job_id"
		if q.dialect == Postgres {
			source.order = "h.at_us + 0 DESC, h.id DESC"
		}
	case !f.Tick.IsZero():
		tick := q.number(f.Tick.UnixMilli())
		source.order, source.parts = "", []sourcePart{
			{index: "history_planned", where: q.whereRecords("h.planned_ms = " + tick)},
			{index: "history_until", where: q.whereRecords("h.until_ms >= " + tick + " AND h.planned_ms < " + tick)},
		}
		return source
	case len(f.Fields) > 0:
		return q.fieldSource()
	}
	part.where = q.whereRecords("")
	if f.AfterID != 0 {
		part.where += " AND h.id <= " + q.latest()
	}
	source.parts = []sourcePart{part}
	return source
}

// amongUnderWay reports whether the query looks through what is under way: for
// one run or job, or in the order of appending, it does not.
func (q *historyQuery) amongUnderWay() bool {
	f := q.filter
	return f.UnderWay && f.AfterID == 0 && len(f.JobIDs) == 0 && f.Tick.IsZero() && len(f.Runs) == 0
}

// countUnderWay counts what is under way, up to the limit.
func (q *historyQuery) countUnderWay(limit int) statement {
	return q.statement(fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM history_under_way AS u WHERE u.space = %s LIMIT %d) AS n", q.space(), limit))
}

// fieldSource finds records by their first field.
func (q *historyQuery) fieldSource() historySource {
	first := historyField(q.filter.Fields[0])
	where := "h.path = " + q.text(first[0]) + " AND h.value = " + q.text(first[1])
	for _, field := range q.filter.Fields[1:] {
		where += " AND " + q.hasField(field)
	}
	where = strings.Join(nonEmpty(where, q.whereTime()), " AND ")
	return historySource{table: "history_fields", found: rowsTable, parts: []sourcePart{{where: where}}, order: newestFirst}
}

// countField counts the records that have the field, up to enough.
func (q *historyQuery) countField(field domain.Field) statement {
	f := historyField(field)
	return q.statement(fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM history_fields AS f WHERE f.path = %s AND f.value = %s LIMIT %d) AS n",
		q.text(f[0]), q.text(f[1]), enoughRecords))
}

func (q *historyQuery) hasField(field domain.Field) string {
	f := historyField(field)
	return "EXISTS (SELECT 1 FROM history_fields AS o WHERE o.path = " + q.text(f[0]) + " AND o.value = " + q.text(f[1]) +
		" AND o.kind = h.kind AND o.at_us = h.at_us AND o.id = h.id)"
}

// whereRecords returns conditions on the table history as h; that about the
// tick is given.
func (q *historyQuery) whereRecords(tick string) string {
	f := q.filter
	var where []string
	if tick == "" && !f.Tick.IsZero() {
		at := q.number(f.Tick.UnixMilli())
		tick = "(h.planned_ms = " + at + " OR h.until_ms >= " + at + " AND h.planned_ms < " + at + ")"
	}
	where = append(where, tick)
	if len(f.JobIDs) > 0 {
		where = append(where, "h.job_id "+q.anyOf(plainTexts(f.JobIDs)))
	}
	for _, field := range f.Fields {
		where = append(where, q.hasField(field))
	}
	if f.UnderWay && !q.amongUnderWay() {
		where = append(where, "EXISTS (SELECT 1 FROM history_under_way AS u WHERE u.space = h.space AND u.subject = h.subject AND u.id = h.id)")
	}
	return strings.Join(nonEmpty(append(where, q.whereTime())...), " AND ")
}

// whereTime returns conditions on time and id.
func (q *historyQuery) whereTime() string {
	f := q.filter
	var where []string
	if !f.Since.IsZero() {
		where = append(where, "h.at_us >= "+q.number(ceilMicro(f.Since)))
	}
	if !f.Before.IsZero() {
		// Of the moment itself, records with lower ids are selected.
		before, id := f.Before.UnixMicro(), f.BeforeID
		if ceilMicro(f.Before) != before {
			id = math.MaxInt64
		}
		moment := q.number(before)
		where = append(where, "h.at_us <= "+moment, "(h.at_us < "+moment+" OR h.id < "+q.number(id)+")")
	}
	if f.AfterID != 0 {
		where = append(where, "h.id > "+q.following(f.AfterID))
	}
	return strings.Join(where, " AND ")
}

// ceilMicro returns the first microsecond that is not before t.
func ceilMicro(t time.Time) int64 { return t.Add(time.Microsecond - time.Nanosecond).UnixMicro() }
