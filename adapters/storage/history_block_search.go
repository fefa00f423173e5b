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
	where := q.whereSpan()
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
		where = append(where, "h.id > "+q.following(f.AfterID-mostInBatch, "false"), "h.last_id > "+q.number(f.AfterID))
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
