package redisqueue

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Sizes of the slices that operations work in: each keeps the server busy for
// about two ms.
const (
	removeSlice = 100
	reviveSlice = 250
	purgeSlice  = 250
	pauseSlice  = 1000
)

// walk carries out one operation, slice by slice.
type walk struct {
	queue *Queue
	op    *domain.Operation
	limit int
	// each is told the ids of the jobs that a slice has changed, done counts
	// them.
	each func([]domain.JobID)
	done int
	// latest is the largest score of the jobs that are revived, empty for any.
	latest string
}

func (q *Queue) walk(op *domain.Operation, each func([]domain.JobID)) *walk {
	w := &walk{queue: q, op: op, limit: op.Limit, each: each}
	if w.limit == 0 {
		w.limit = math.MaxInt32
	}
	return w
}

// left returns how many jobs more may be changed.
func (w *walk) left() int { return w.limit - w.done }

// call runs a script for the operation.
func (w *walk) call(ctx context.Context, name string, more ...string) (unpacker, error) {
	return w.queue.operate(ctx, name, w.op.DryRun, more...)
}

// add takes note of jobs that were changed.
func (w *walk) add(ids []string) {
	changed := make([]domain.JobID, 0, len(ids))
	for _, id := range ids {
		if !strings.HasPrefix(id, legacyMarker) {
			changed = append(changed, domain.JobID(id))
		}
	}
	w.done += len(changed)
	if w.each != nil && len(changed) > 0 {
		w.each(changed)
	}
}

// legacyMarker is what the markers of BullMQ 4 among the waiting ids begin with.
const legacyMarker = "0:"

// hold pauses or resumes the queue.
func (w *walk) hold(ctx context.Context) error {
	for more := !w.op.DryRun; more; {
		u, err := w.call(ctx, "operate_pause", string(w.op.Kind), strconv.Itoa(pauseSlice))
		if err != nil {
			return err
		}
		if more = u.number() == 1; u.err != nil {
			return u.err
		}
	}
	return nil
}

// remove removes the jobs with the ids. Those that were begun and then taken by
// a worker come back in the error, once it is through with all.
func (w *walk) remove(ctx context.Context) error {
	var partly []error
	for ids := distinct(w.op.IDs); len(ids) > 0 && w.left() > 0; {
		handled, err := w.removeSome(ctx, ids[:min(len(ids), removeSlice)])
		switch {
		case errors.Is(err, ErrLocked):
			partly = append(partly, err)
		case err != nil && !errors.Is(err, ports.ErrNotFound):
			return errors.Join(append(partly, err)...)
		}
		ids = ids[handled:]
	}
	return errors.Join(partly...)
}

// removeSome removes the first of the jobs, and returns how many are dealt
// with.
func (w *walk) removeSome(ctx context.Context, ids []string) (handled int, err error) {
	u, err := w.call(ctx, "operate_remove", append([]string{strconv.Itoa(w.left())}, ids...)...)
	if err != nil {
		return 0, err
	}
	handled = u.number()
	w.add(u.texts())
	begun, gone := u.number(), u.texts()
	if handled += begun; u.err != nil || handled == 0 || handled > len(ids) {
		return 0, errReply
	}
	if begun == 1 {
		last := ids[handled-1 : handled]
		if err = w.queue.remove(ctx, domain.JobID(last[0]), RemoveOptions{}, gone); err == nil {
			w.add(last)
		}
	}
	return handled, err
}

// distinct returns the ids in order, each once.
func distinct(ids []domain.JobID) []string {
	seen := make(map[domain.JobID]bool, len(ids))
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			texts = append(texts, string(id))
		}
		seen[id] = true
	}
	return texts
}

// revive makes failed or delayed jobs ready.
func (w *walk) revive(ctx context.Context, source domain.State) error {
	if len(w.op.IDs) == 0 {
		return w.slices(ctx, func(skip int) (unpacker, error) {
			n := min(reviveSlice, w.left())
			return w.call(ctx, "operate_revive", string(source), "all", strconv.Itoa(skip), strconv.Itoa(n), w.latest)
		})
	}
	for ids := distinct(w.op.IDs); len(ids) > 0 && w.left() > 0; {
		n := min(len(ids), reviveSlice, w.left())
		u, err := w.call(ctx, "operate_revive", append([]string{string(source), "ids"}, ids[:n]...)...)
		if err != nil {
			return err
		}
		w.add(u.texts())
		if w.queue.warnOf(ctx, u.texts()); u.err != nil {
			return u.err
		}
		ids = ids[n:]
	}
	return nil
}

// slices goes through one list or set as long as the limit allows. next makes
// the call for the slice behind the first skip jobs; its reply says how many
// jobs there are, how many to skip in the next call, whether it is the last,
// and what was changed. Jobs that join meanwhile are not waited for: as many
// are looked at as there were.
func (w *walk) slices(ctx context.Context, next func(skip int) (unpacker, error)) error {
	skip, looked, first := 0, 0, -1
	for w.left() > 0 && (first < 0 || looked < first) {
		u, err := next(skip)
		if err != nil {
			return err
		}
		total, following, last := u.number(), u.number(), u.number() == 1
		ids := u.texts()
		untold := u.texts()
		if u.err != nil {
			return u.err
		}
		w.add(ids)
		w.queue.warnOf(ctx, untold)
		seen := following - skip
		if !w.op.DryRun {
			seen += len(ids)
		}
		if last || seen <= 0 {
			return nil
		}
		if first < 0 {
			first = total
		}
		looked, skip = looked+seen, following
	}
	return ctx.Err()
}
