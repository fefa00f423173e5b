package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

var (
	// ErrNotPaused says that a queue is not paused as it must be.
	ErrNotPaused = errors.New("the queue is not paused")
	// ErrActive says that workers have jobs of the queue.
	ErrActive = errors.New("the queue has active jobs")
)

// Bulk says how an operation on many jobs is carried out. All of them go
// through the queue a slice at a time, so that none stops the server for long.
// When the context ends in between, the first slices are done; jobs that come
// meanwhile may be left out.
type Bulk struct {
	// Limit bounds how many jobs are changed; zero means all. Those next in
	// line or oldest come first.
	Limit int
	// DryRun changes nothing.
	DryRun bool
	// Each is told the ids of the jobs of every slice, once it is done. It is
	// called by the operation itself, which waits for it; the ids are its own
	// to keep. Nil leaves them out: nothing gathers them then.
	Each func(ids []domain.JobID)
}

// run carries out the operation and returns how many jobs were changed, or
// would have been if it is a dry run. It tells so also beside an error.
func (q *Queue) run(ctx context.Context, op *domain.Operation, bulk *Bulk, carryOut func(*walk) error) (int, error) {
	if bulk.Limit < 0 || op.OlderThan < 0 {
		return 0, domain.Invalidf("%s: limit %d or age %s is negative", op.Kind, bulk.Limit, op.OlderThan)
	}
	op.Limit, op.DryRun = bulk.Limit, bulk.DryRun
	w := q.walk(op, bulk.Each)
	if err := carryOut(w); err != nil {
		return w.done, fmt.Errorf("%s queue %s: %w", op.Kind, q.name, ended(ctx, err))
	}
	return w.done, nil
}

// Pause stops handing out jobs; those under way go on. Pausing twice does no
// harm.
func (q *Queue) Pause(ctx context.Context) error {
	_, err := q.run(ctx, &domain.Operation{Kind: domain.OpPause}, &Bulk{}, func(w *walk) error { return w.hold(ctx) })
	return err
}

// Resume ends a pause.
func (q *Queue) Resume(ctx context.Context) error {
	_, err := q.run(ctx, &domain.Operation{Kind: domain.OpResume}, &Bulk{}, func(w *walk) error { return w.hold(ctx) })
	return err
}

// DrainOptions say what a drain removes.
type DrainOptions struct {
	// Delayed removes the delayed jobs, too.
	Delayed bool
	Bulk    Bulk
}

// Drain removes the jobs that are ready, and returns how many. Jobs that job
// schedulers wait for stay.
func (q *Queue) Drain(ctx context.Context, options DrainOptions) (int, error) {
	places := []place{{name: "paused"}, {name: "wait"}, {name: "prioritized"}}
	if options.Delayed {
		places = append(places, place{name: "delayed"})
	}
	return q.run(ctx, &domain.Operation{Kind: domain.OpDrain}, &options.Bulk, func(w *walk) error { return w.purge(ctx, places, "") })
}

// CleanOptions say what a clean removes.
type CleanOptions struct {
	// State is where the jobs are; any but waiting for children. Of active
	// jobs those go that no worker has, delayed ones are the parked ones, too.
	State domain.State
	// OlderThan is how long ago they ended, began or came; zero means any.
	OlderThan time.Duration
	Bulk      Bulk
}

// Clean removes the jobs of a state by age, and returns how many. The error is
// [domain.ErrInvalid] for another state.
func (q *Queue) Clean(ctx context.Context, options CleanOptions) (int, error) {
	if !isState(options.State) || options.State == domain.StateWaitingChildren {
		return 0, domain.Invalidf("clean: state %s is unknown or cannot be cleaned", domain.Quote(string(options.State)))
	}
	op := domain.Operation{Kind: domain.OpClean, State: options.State, OlderThan: options.OlderThan}
	places := placesOf(options.State)
	if options.State == domain.StateDelayed {
		places = []place{{name: "delayed"}}
	}
	return q.run(ctx, &op, &options.Bulk, func(w *walk) error { return w.clean(ctx, places) })
}

// RetryAllOptions say which finished jobs are retried.
type RetryAllOptions struct {
	// From is where they are: [domain.StateFailed], which the empty state
	// stands for, or [domain.StateCompleted].
	From domain.State
	// Until is when they finished at the latest; the zero time means any.
	Until time.Time
	Bulk  Bulk
}

// RetryAll makes finished jobs ready again, each as [Queue.Retry] does, and
// returns how many.
func (q *Queue) RetryAll(ctx context.Context, options RetryAllOptions) (int, error) {
	single := RetryOptions{From: options.From}
	from, err := single.from()
	if err != nil {
		return 0, err
	}
	return q.run(ctx, &domain.Operation{Kind: domain.OpRetry}, &options.Bulk, func(w *walk) error {
		if !options.Until.IsZero() {
			w.latest = strconv.FormatInt(options.Until.UnixMilli(), 10)
		}
		return w.revive(ctx, from)
	})
}

// PromoteAll makes all delayed jobs ready, the parked ones, too, and returns
// how many.
func (q *Queue) PromoteAll(ctx context.Context, bulk Bulk) (int, error) {
	return q.run(ctx, &domain.Operation{Kind: domain.OpPromote}, &bulk, func(w *walk) error { return w.revive(ctx, domain.StateDelayed) })
}

// ObliterateOptions say how a queue is removed.
type ObliterateOptions struct {
	// Force removes active jobs as well, whose workers then find them gone.
	Force bool
	// Each is told the ids of the jobs of every slice, as that of [Bulk].
	Each func(ids []domain.JobID)
}

// Obliterate removes a paused queue with all that it has: its jobs whatever
// their state, its schedulers, events, metrics and settings. It returns how
// many jobs there were. The error is [ErrNotPaused], or [ErrActive] without
// force; the queue is as it was then, or what is left of it if jobs became
// active meanwhile.
func (q *Queue) Obliterate(ctx context.Context, options ObliterateOptions) (int, error) {
	w := q.walk(&domain.Operation{Limit: math.MaxInt}, options.Each)
	for {
		u, err := w.call(ctx, "operate_obliterate", flag(options.Force), strconv.Itoa(purgeSlice))
		code := u.number()
		if err == nil {
			w.add(u.texts())
			q.warnOf(ctx, u.texts())
			err = u.err
		}
		if err == nil && code == obliterateMore {
			continue
		}
		if err == nil {
			err = obliterateError(code)
		}
		if err != nil {
			return w.done, fmt.Errorf("obliterate queue %s: %w", q.name, ended(ctx, err))
		}
		return w.done, nil
	}
}

// Codes of operate_obliterate.lua.
const (
	obliterateDone = iota
	obliterateMore
	obliterateNotPaused
	obliterateActive
)

func obliterateError(code int) error {
	switch code {
	case obliterateDone:
		return nil
	case obliterateNotPaused:
		return ErrNotPaused
	case obliterateActive:
		return ErrActive
	}
	return errReply
}

// TrimEvents drops the oldest events until about most are left, and returns
// how many went: at least so many, for the number is lost with a reply. The
// error is [domain.ErrInvalid] for a negative number.
func (q *Queue) TrimEvents(ctx context.Context, most int) (int, error) {
	if most < 0 {
		return 0, domain.Invalidf("trim events: %d to keep is negative", most)
	}
	total := 0
	for {
		// Redis drops ten thousand at a time at most.
		dropped, err := ask(ctx, q.backend, "trim events", func() (int64, error) {
			command := redis.NewIntCmd(ctx, "xtrim", q.base+"events", "MAXLEN", "~", most)
			_ = q.backend.client.Process(ctx, command)
			return command.Result()
		})
		if err != nil {
			return total, fmt.Errorf("trim events of queue %s: %w", q.name, err)
		}
		if dropped == 0 {
			return total, nil
		}
		total += int(dropped)
	}
}

// RemovePriorityKey drops the set of priorities that BullMQ 3 and before have
// left, if it is there.
func (q *Queue) RemovePriorityKey(ctx context.Context) error {
	_, err := ask(ctx, q.backend, "remove priority key", func() (int64, error) {
		return q.backend.client.Del(ctx, q.base+"priority").Result()
	})
	if err != nil {
		return fmt.Errorf("remove priority key of queue %s: %w", q.name, err)
	}
	return nil
}
