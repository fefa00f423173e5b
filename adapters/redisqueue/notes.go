package redisqueue

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// Annotate implements [ports.Consumer]. Progress or data that is not JSON is
// [domain.ErrInvalid]: Node's readers stop at it.
func (c *consumer) Annotate(ctx context.Context, notes []domain.Note) ([]domain.LeaseRef, error) {
	if err := ctx.Err(); err != nil || len(notes) == 0 {
		return nil, err
	}
	args := []any{nil, c.base, string(c.backend.config.Profile), len(notes)}
	refs := make([]domain.LeaseRef, len(notes))
	for i := range notes {
		if err := c.checkNote(&notes[i]); err != nil {
			return nil, err
		}
		refs[i] = notes[i].Lease
		args = c.appendNote(args, &notes[i])
	}
	reply, err := c.backend.numbered(ctx, scriptNamed("annotate"), []string{"", c.meta}, args)
	if err != nil {
		return nil, ended(ctx, err)
	}
	packed, _ := reply.(string)
	u := unpacker{rest: packed}
	positions := make([]any, 0, len(notes))
	for range u.list() {
		positions = append(positions, int64(u.number()))
	}
	if u.err != nil {
		return nil, fmt.Errorf("annotate: %w", u.err)
	}
	return c.lose(refs, positions), nil
}

// maxLog is how many lines of a job's log are kept at most, the newest.
const maxLog = 1000

func (c *consumer) appendNote(args []any, note *domain.Note) []any {
	keep := maxLog
	if held := c.heldLease(note.Lease); held != nil && held.options.keepLogs > 0 {
		keep = min(held.options.keepLogs, maxLog)
	}
	args = append(args, string(note.Lease.ID), string(note.Lease.Token),
		marked("p", note.Progress), marked("d", note.Data), keep, len(note.Log))
	for _, line := range note.Log {
		args = append(args, domain.CleanText(line, domain.MaxStack))
	}
	return args
}

// marked tells a value from none.
func marked(mark string, value []byte) string {
	if value == nil {
		return ""
	}
	return mark + string(value)
}

// checkNote refuses what must not be written.
func (c *consumer) checkNote(note *domain.Note) error {
	id, limit := domain.Quote(string(note.Lease.ID)), c.backend.config.MaxPayload
	for _, value := range [][]byte{note.Progress, note.Data} {
		if len(value) > limit {
			return fmt.Errorf("annotate job %s: %d bytes, at most %d are allowed: %w", id, len(value), limit, domain.ErrTooLarge)
		}
		if value != nil && !json.Valid(value) {
			return domain.Invalidf("annotate job %s: progress or data is not JSON", id)
		}
	}
	return nil
}
