package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// listing reads ids of one queue.
type listing struct {
	*Backend

	// base is what the names of the queue's keys begin with, delayed is one of
	// them; parked has the names of the parked jobs by id.
	base, delayed, parked string
}

func (b *Backend) listing(queue domain.QueueName) listing {
	base := b.keys.queue(queue)
	return listing{Backend: b, base: base, delayed: base + "delayed", parked: b.keys.parked(queue)}
}

// ids returns up to n ids of the jobs in the state behind the first from,
// in the order in which they will be worked, finished ones newest first.
func (l listing) ids(ctx context.Context, state domain.State, from, n int) ([]string, error) {
	switch state {
	case domain.StateWait:
		return l.ready(ctx, from, n)
	case domain.StateActive:
		return l.tail(ctx, l.base+"active", from, n)
	case domain.StateCompleted, domain.StateFailed:
		return l.ask(ctx, func() *redis.StringSliceCmd {
			return l.client.ZRevRange(ctx, l.base+string(state), int64(from), int64(from+n-1))
		})
	case domain.StateDelayed:
		return l.putOff(ctx, from, n)
	case domain.StateParked:
		return l.parkedJobs(ctx, from, n)
	case domain.StatePrioritized, domain.StateWaitingChildren:
	}
	return l.ranked(ctx, l.base+string(state), from, n)
}

// reading is [Backend.repeat] for what lists ids. A key that is damaged is named.
func (l listing) reading(ctx context.Context, ask func() error) error {
	return l.named(ctx, []string{l.base + "meta"}, nil, l.repeat(ctx, "list ids", ask))
}

func (l listing) ask(ctx context.Context, send func() *redis.StringSliceCmd) (ids []string, err error) {
	err = l.reading(ctx, func() error {
		ids, err = send().Result()
		return err
	})
	return ids, err
}

func (l listing) ranked(ctx context.Context, key string, from, n int) ([]string, error) {
	return l.ask(ctx, func() *redis.StringSliceCmd { return l.client.ZRange(ctx, key, int64(from), int64(from+n-1)) })
}

// tail returns ids of a list from its tail on, where workers take them.
func (l listing) tail(ctx context.Context, key string, from, n int) ([]string, error) {
	ids, err := l.ask(ctx, func() *redis.StringSliceCmd { return l.client.LRange(ctx, key, int64(-from-n), int64(-from-1)) })
	slices.Reverse(ids)
	return ids, err
}

// ready lists the two lists of ready jobs: what BullMQ 5 set aside for a
// pause comes first when the pause ends.
func (l listing) ready(ctx context.Context, from, n int) ([]string, error) {
	var aside int64
	err := l.reading(ctx, func() (err error) {
		aside, err = l.client.LLen(ctx, l.base+"paused").Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	if int64(from) < aside {
		if ids, err = l.tail(ctx, l.base+"paused", from, n); err != nil || len(ids) == n {
			return ids, err
		}
	}
	rest, err := l.tail(ctx, l.base+"wait", max(from-int(aside), 0), n-len(ids))
	return append(ids, rest...), err
}

// idPageOf returns how many ids of a state are listed at a time. Those of delayed
// and of parked jobs are told apart one by one, from the first on: all that are
// wanted are listed in one go.
func idPageOf(state domain.State) int {
	if state == domain.StateDelayed || state == domain.StateParked {
		return maxOffset
	}
	return idPage
}

// putOff lists the delayed jobs that are not parked.
func (l listing) putOff(ctx context.Context, from, n int) ([]string, error) {
	var count int64
	err := l.reading(ctx, func() (err error) {
		count, err = l.client.HLen(ctx, l.parked).Result()
		return err
	})
	at, skip, size := 0, from, idPage
	if count == 0 {
		at, skip, size = from, 0, min(n, idPage)
	}
	var ids []string
	for err == nil && len(ids) < n {
		var page []string
		if page, err = l.ranked(ctx, l.delayed, at, size); err != nil || len(page) == 0 {
			break
		}
		at += len(page)
		if count > 0 {
			page, err = l.unparked(ctx, page)
		}
		passed := min(skip, len(page))
		ids, skip = append(ids, page[passed:]...), skip-passed
	}
	return ids[:min(n, len(ids))], err
}

// unparked returns those of the ids that are not parked.
func (l listing) unparked(ctx context.Context, ids []string) ([]string, error) {
	names, err := l.parkedNames(ctx, ids)
	if err != nil {
		return nil, err
	}
	var unparked []string
	for i, id := range ids {
		if names[i] == nil {
			unparked = append(unparked, id)
		}
	}
	return unparked, nil
}

// parkedNames returns the job names under which the ids are parked, nil for
// those that are not.
func (l listing) parkedNames(ctx context.Context, ids []string) (names []any, err error) {
	err = l.reading(ctx, func() error {
		names, err = l.client.HMGet(ctx, l.parked, ids...).Result()
		return err
	})
	return names, err
}

// parkedID is the id of a parked job and its place among the delayed ones.
type parkedID struct {
	score float64
	id    string
}

// parkedJobs lists the parked jobs by the time they are due. It keeps the
// first from+n of them while it goes through all.
func (l listing) parkedJobs(ctx context.Context, from, n int) ([]string, error) {
	var found []parkedID
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		var page []string
		var next uint64
		err := l.reading(ctx, func() (err error) {
			page, next, err = l.client.HScan(ctx, l.parked, cursor, "", unparkPage).Result()
			return err
		})
		if cursor = next; err == nil {
			found, err = l.appendParked(ctx, found, page)
		}
		if err != nil {
			return nil, err
		}
		if len(found) > 2*(from+n)+idPage {
			found = firstParked(found, from+n)
		}
	}
	found = firstParked(found, from+n)
	ids := make([]string, 0, min(n, len(found)))
	for _, p := range found[min(from, len(found)):] {
		ids = append(ids, p.id)
	}
	return ids, nil
}

// appendParked appends the ids of a page of names by id as far as they are
// still delayed: others may have removed them.
func (l listing) appendParked(ctx context.Context, found []parkedID, page []string) ([]parkedID, error) {
	scores := make([]*redis.FloatCmd, 0, len(page)/2)
	err := l.reading(ctx, func() error {
		scores = scores[:0]
		_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := 0; i+1 < len(page); i += 2 {
				scores = append(scores, p.ZScore(ctx, l.delayed, page[i]))
			}
			return nil
		})
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, score := range scores {
		if score.Err() == nil {
			found = append(found, parkedID{score: score.Val(), id: page[2*i]})
		}
	}
	return found, nil
}

func firstParked(found []parkedID, n int) []parkedID {
	slices.SortFunc(found, func(a, b parkedID) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.id, b.id))
	})
	found = slices.Compact(found)
	return found[:min(n, len(found))]
}

// stretch is up to n entries behind the first from, counted from the other end
// if it goes backward.
type stretch struct {
	from, n  int
	backward bool
}

// placed returns ids of the jobs in the state: who is next, is due first or has
// finished first comes first, or last if it goes backward. Delayed ones are the
// parked ones, too.
func (l listing) placed(ctx context.Context, state domain.State, s stretch) ([]string, error) {
	switch state { //nolint:exhaustive // all others are sorted sets
	case domain.StateWait:
		if s.backward {
			return l.readyBackward(ctx, s.from, s.n)
		}
		return l.ready(ctx, s.from, s.n)
	case domain.StateActive:
		if s.backward {
			return l.head(ctx, l.base+"active", s.from, s.n)
		}
		return l.tail(ctx, l.base+"active", s.from, s.n)
	case domain.StateParked:
		if !s.backward {
			return l.parkedJobs(ctx, s.from, s.n)
		}
		all, err := l.parkedJobs(ctx, 0, maxOffset)
		slices.Reverse(all)
		all = all[min(s.from, len(all)):]
		return all[:min(s.n, len(all))], err
	}
	if s.backward {
		return l.ask(ctx, func() *redis.StringSliceCmd {
			return l.client.ZRevRange(ctx, l.base+string(state), int64(s.from), int64(s.from+s.n-1))
		})
	}
	return l.ranked(ctx, l.base+string(state), s.from, s.n)
}

// head returns ids of a list from its head on, where new ones come in.
func (l listing) head(ctx context.Context, key string, from, n int) ([]string, error) {
	return l.ask(ctx, func() *redis.StringSliceCmd { return l.client.LRange(ctx, key, int64(from), int64(from+n-1)) })
}

// readyBackward is ready from the other end.
func (l listing) readyBackward(ctx context.Context, from, n int) ([]string, error) {
	waiting, err := ask(ctx, l.Backend, "list ids", func() (int64, error) { return l.client.LLen(ctx, l.base+"wait").Result() })
	if err != nil {
		return nil, err
	}
	var ids []string
	if int64(from) < waiting {
		if ids, err = l.head(ctx, l.base+"wait", from, n); err != nil || len(ids) == n {
			return ids, err
		}
	}
	rest, err := l.head(ctx, l.base+"paused", max(from-int(waiting), 0), n-len(ids))
	return append(ids, rest...), err
}
