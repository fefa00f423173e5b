package redisqueue

import (
	"context"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// orphanPage is how many keys are looked at in one step.
const orphanPage = 1000

// RemoveOrphans removes the jobs that are in none of the queue's lists and
// sets, as damage or a removal half done leaves them, and returns how many
// there were. Keys that are no jobs stay, whatever their names: a job has a name
// or a time in its hash, and without a hash only what it keeps beside it is
// removed, if it is of the type that it has there. It needs the
// right to SCAN, which deploy/redis-acl.conf does not give to workers, and
// eight bytes of memory or some more for each job that waits or is active.
func (q *Queue) RemoveOrphans(ctx context.Context, bulk Bulk) (int, error) {
	op := domain.Operation{Kind: "remove orphans of"}
	return q.run(ctx, &op, &bulk, func(w *walk) error {
		o := orphans{walk: w, seed: maphash.MakeSeed(), listed: map[uint64]struct{}{}}
		if err := o.readLists(ctx); err != nil {
			return err
		}
		return o.scan(ctx)
	})
}

// orphans looks for jobs that are nowhere.
type orphans struct {
	*walk

	// listed has the hashes of the ids that were in lists: to look for one
	// there takes the server long. That an orphan is taken for one of them is
	// next to impossible, and leaves it where it is.
	listed map[uint64]struct{}
	seed   maphash.Seed
}

func (o *orphans) readLists(ctx context.Context) error {
	l := o.queue.backend.listing(o.queue.name)
	for _, name := range []string{"wait", "paused", "active"} {
		for from := 0; ; from += orphanPage {
			ids, err := l.head(ctx, l.base+name, from, orphanPage)
			if err != nil {
				return err
			}
			for _, id := range ids {
				o.listed[maphash.String(o.seed, id)] = struct{}{}
			}
			if len(ids) < orphanPage {
				break
			}
		}
	}
	return nil
}

// scan goes through the keys of the queue. On a cluster the backend's client is
// that of the node which has them.
func (o *orphans) scan(ctx context.Context) error {
	b := o.queue.backend
	pattern := globQuote(o.queue.base) + "*"
	var cursor uint64
	for more := true; more && o.left() > 0; more = cursor != 0 {
		var next uint64
		names, err := ask(ctx, b, "scan", func() (names []string, err error) {
			names, next, err = b.client.Scan(ctx, cursor, pattern, orphanPage).Result()
			return names, err
		})
		if err != nil {
			return err
		}
		cursor = next
		if err := o.remove(ctx, o.unlisted(names)); err != nil {
			return err
		}
	}
	return nil
}

// globQuote has a pattern mean the text itself.
func globQuote(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// unlisted returns the ids that the keys may be named after, each once, those
// excepted that were in lists.
func (o *orphans) unlisted(names []string) []string {
	var ids []string
	seen := map[string]bool{}
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, o.queue.base), ":")
		if id == "" || seen[id] || isReserved(domain.JobID(id)) {
			continue
		}
		seen[id] = true
		if _, listed := o.listed[maphash.String(o.seed, id)]; !listed {
			ids = append(ids, id)
		}
	}
	return ids
}

// remove removes those of the ids that are orphans.
func (o *orphans) remove(ctx context.Context, ids []string) error {
	for len(ids) > 0 && o.left() > 0 {
		n := min(len(ids), purgeSlice)
		u, err := o.call(ctx, "operate_orphans", append([]string{strconv.Itoa(o.left())}, ids[:n]...)...)
		if err != nil {
			return err
		}
		handled := u.number()
		removed := u.texts()
		if u.err != nil || handled == 0 || handled > n {
			return fmt.Errorf("remove orphans: %w", errReply)
		}
		o.add(removed)
		ids = ids[handled:]
	}
	return nil
}
