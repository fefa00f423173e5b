package storage

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// kindIsUsed tells whether a kind of the table k has records.
const kindIsUsed = `(EXISTS (SELECT 1 FROM history AS h WHERE h.kind = k.kind) OR EXISTS (SELECT 1 FROM history_blocks AS b WHERE b.kind = k.kind))`

// Prune implements [ports.RunStore]. A block goes whole, when its newest record may:
// so some more than the limit may go at once, and some are kept a second longer
// or beyond the number. When no more records are to be removed it
// looks for kinds that have none, some at each call.
func (s *RunStore) Prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if limit <= 0 {
		return 0, nil
	}
	removed, err := s.writer.prune(ctx, keep, limit)
	if err == nil && removed < limit {
		err = s.sweep(ctx, limit)
	}
	if err != nil {
		return removed, fmt.Errorf("prune history: %w", err)
	}
	return removed, nil
}

// sweep removes kinds that have no record, of the next ones limit at most.
func (s *RunStore) sweep(ctx context.Context, limit int) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	var unused []int64
	seen := 0
	q := s.query(&domain.RunFilter{})
	lookup := q.statement(fmt.Sprintf(`SELECT k.kind, NOT `+kindIsUsed+`
FROM history_kinds AS k WHERE k.space = %s AND k.kind > %s ORDER BY k.kind LIMIT %d`, q.space(), q.number(s.swept), limit))
	lookup.row = func(scan scanner) error {
		var isUnused bool
		err := scan(&s.swept, &isUnused)
		if seen++; isUnused {
			unused = append(unused, s.swept)
		}
		return err
	}
	if err := s.runner.read(ctx, lookup); err != nil {
		return err
	}
	if seen < limit {
		s.swept = 0
	}
	if len(unused) == 0 {
		return nil
	}
	return s.writer.forget(ctx, unused)
}
