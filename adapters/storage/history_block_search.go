package storage

import (
	"fmt"
	"math"
	"strings"
)

// blockSource returns where blocks are found that may have what the filter
// selects.
func (q *historyQuery) blockSource() historySource {
	part := sourcePart{index: "history_blocks_kind", whole: "history_blocks_at", where: q.whereBlocks()}
	order := newestFirst
	if q.filter.AfterID != 0 {
		part.whole, order = noIndex, asAppended
	}
	return historySource{table: blocksTable, found: blocksTable, parts: []sourcePart{part}, order: order}
}

// whereBlocks returns conditions on time and number of the blocks, and that they come
// after those of the page before.
func (q *historyQuery) whereBlocks() string {
	f, page := q.filter, q.blocks
	where := append(q.whereSpan(), q.whereTick()...)
	if !f.Before.IsZero() {
		where = append(where, "h.at_us <= "+q.number(addSpan(f.Before.UnixMicro())))
	}
	switch {
	case page.latest != 0:
		where = append(where, "h.id <= "+q.number(page.latest))
	case f.AfterID != 0:
		where = append(where, "h.id <= "+q.latest()) // what comes after them is others'
	}
	switch {
	case f.AfterID != 0 && page.after != nil:
		where = append(where, "h.id > "+q.number(page.after.id))
	case f.AfterID != 0:
		where = append(where, "h.id > "+q.followingBlocks(f.AfterID), "h.last_id > "+q.number(f.AfterID))
	default:
		where = append(where, q.whereOlder())
	}
	return strings.Join(nonEmpty(where...), " AND ")
}

// whereSpan returns conditions that the times of blocks or batches are among those
// of the filter.
func (q *historyQuery) whereSpan() (where []string) {
	if since := q.filter.Since; !since.IsZero() {
		where = append(where, "h.at_us >= "+q.number(ceilMicro(since)))
	}
	if before := q.filter.Before; !before.IsZero() {
		where = append(where, "h.since_us <= "+q.number(before.UnixMicro()))
	}
	return where
}

// whereTick returns conditions that blocks are of runs that were planned when the filter
// says.
func (q *historyQuery) whereTick() []string {
	if q.filter.Tick.IsZero() {
		return nil
	}
	planned := q.filter.Tick.UnixMilli()
	first, last, _ := runTimes(planned) // of an instant that has none there is no block
	return []string{"h.planned_ms = " + q.number(planned), "h.at_us >= " + q.number(first), "h.at_us <= " + q.number(last)}
}

// followingBlocks returns the number after which the blocks are found that have what
// follows on the given one: those of queue jobs are of its batch, and those of runs begin
// not far before it.
func (q *historyQuery) followingBlocks(id int64) string {
	after := q.number(id)
	batch := fmt.Sprintf("(SELECT CASE WHEN b.last_id > %[1]s THEN b.id - 1 ELSE %[1]s END FROM history_batches AS b%[2]s WHERE b.id <= %[1]s ORDER BY b.id DESC LIMIT 1)",
		after, q.via(noIndex))
	return fmt.Sprintf("(SELECT %s FROM histories WHERE namespace = %s)",
		q.larger(firstNumber, q.smaller(q.number(id-mostApart), "coalesce("+batch+", "+after+")")), q.text(q.namespace))
}

// whereOlder returns the condition that blocks or batches come after those that
// were read, newest first.
func (q *historyQuery) whereOlder() string {
	after := q.blocks.after
	if after == nil {
		return ""
	}
	at := q.number(after.atUS)
	return fmt.Sprintf("h.at_us <= %[1]s AND (h.at_us < %[1]s OR h.id < %[2]s)", at, q.number(after.id))
}

// addSpan returns the last time that a block can have with the given one.
func addSpan(us int64) int64 {
	if us > math.MaxInt64-blockSpan {
		return us
	}
	return us + blockSpan
}

// searchBatches selects the next batches.
func (q *historyQuery) searchBatches() statement {
	where := append([]string{"h.space = " + q.space(), q.whereOlder()}, q.whereSpan()...)
	return q.statement(fmt.Sprintf("SELECT h.id, h.at_us, h.job_ids FROM history_batches AS h%s WHERE %s ORDER BY %s LIMIT %d",
		q.via("history_batches_at"), strings.Join(nonEmpty(where...), " AND "), newestFirst, q.limit()))
}

// blocksOf selects those of the blocks whose kind the filter selects. Adding nothing
// keeps planners from beginning with the kinds.
func (q *historyQuery) blocksOf(ids []int64) statement {
	return q.statement(fmt.Sprintf(`SELECT %s FROM %s CROSS JOIN %s AS h%s CROSS JOIN history_kinds AS k
WHERE h.id = w.id AND k.kind = h.kind + 0 AND %s`,
		blockColumns, q.rows("id", ids), blocksTable, q.via(noIndex), q.isSelected("h")))
}
