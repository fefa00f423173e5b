package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// fill puts n jobs into a list or set of the queue.
func (r *rawQueue) fill(place string, n int) {
	r.Helper()
	pipe := r.rdb.Pipeline()
	for i := range n {
		id := fmt.Sprint("j", i)
		pipe.HSet(r.Context(), "bull:q:"+id, "name", "n", "data", "{}", "opts", "{}", "timestamp", "1")
		if place == "wait" || place == "paused" || place == "active" {
			pipe.LPush(r.Context(), "bull:q:"+place, id)
		} else if place != "" {
			pipe.Do(r.Context(), "ZADD", "bull:q:"+place, 4096*(i+1), id)
		}
		if pipe.Len() >= 10_000 || i == n-1 {
			if _, err := pipe.Exec(r.Context()); err != nil {
				r.Fatal(err)
			}
		}
	}
}

// largestSlice is how many jobs one call may change.
const largestSlice = 250

// Many jobs are gone through in slices, whose ids are told as they go.
func TestBulkOperationsWorkInSlices(t *testing.T) {
	t.Parallel()
	const jobs = 3000
	type queue = *redisqueue.Queue
	for name, c := range map[string]struct {
		place string
		apply func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error)
	}{
		"clean": {"completed", func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error) {
			return q.Clean(ctx, redisqueue.CleanOptions{State: domain.StateCompleted, Bulk: b})
		}},
		"clean active": {"active", func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error) {
			return q.Clean(ctx, redisqueue.CleanOptions{State: domain.StateActive, Bulk: b})
		}},
		"drain": {"wait", func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error) {
			return q.Drain(ctx, redisqueue.DrainOptions{Bulk: b})
		}},
		"retry all": {"failed", func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error) {
			return q.RetryAll(ctx, redisqueue.RetryAllOptions{Bulk: b})
		}},
		"promote all":    {"delayed", func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error) { return q.PromoteAll(ctx, b) }},
		"remove orphans": {"", func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error) { return q.RemoveOrphans(ctx, b) }},
		"obliterate": {"waiting-children", func(ctx context.Context, q queue, b redisqueue.Bulk) (int, error) {
			if err := q.Pause(ctx); err != nil {
				return 0, err
			}
			return q.Obliterate(ctx, redisqueue.ObliterateOptions{Each: b.Each})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.fill(c.place, jobs)
			r.do("CONFIG RESETSTAT")
			seen, slicesSeen := map[domain.JobID]bool{}, 0
			done, err := c.apply(t.Context(), r.handle(), redisqueue.Bulk{Each: func(ids []domain.JobID) {
				slicesSeen++
				if len(ids) > largestSlice {
					t.Errorf("a slice of %d jobs, want at most %d", len(ids), largestSlice)
				}
				for _, id := range ids {
					seen[id] = true
				}
			}})
			if err != nil || done != jobs || len(seen) != jobs {
				t.Errorf("%s = %d, %v, and told %d ids, want %d", name, done, err, len(seen), jobs)
			}
			if calls := r.calls("evalsha"); calls < slicesSeen || calls > 40 {
				t.Errorf("%d calls for %d slices, want about as many", calls, slicesSeen)
			}
		})
	}
}

func TestBulkOperationsKeepToTheirLimits(t *testing.T) {
	r := newRawQueue(t, nil)
	r.fill("failed", 600)
	queue := r.handle()
	if n, err := queue.RetryAll(t.Context(), redisqueue.RetryAllOptions{Bulk: redisqueue.Bulk{DryRun: true}}); err != nil || n != 600 || r.rdb.ZCard(t.Context(), "bull:q:failed").Val() != 600 {
		t.Errorf("dry RetryAll = %d, %v, want 600 and nothing changed", n, err)
	}
	if n, err := queue.RetryAll(t.Context(), redisqueue.RetryAllOptions{Until: time.UnixMilli(10 * 4096)}); err != nil || n != 10 {
		t.Errorf("RetryAll until the tenth = %d, %v, want 10", n, err)
	}
	if n, err := queue.RetryAll(t.Context(), redisqueue.RetryAllOptions{Bulk: redisqueue.Bulk{Limit: 300}}); err != nil || n != 300 {
		t.Errorf("RetryAll of 300 = %d, %v, want 300", n, err)
	}
	if n, err := queue.Drain(t.Context(), redisqueue.DrainOptions{Bulk: redisqueue.Bulk{Limit: 1}}); err != nil || n != 1 {
		t.Errorf("Drain of one = %d, %v, want 1", n, err)
	}
	r.wantKey("bull:q:j0", false)
}

// A job that is found behind many that stay is taken out, and no other.
func TestCleanTakesTheRightJobsOfALongList(t *testing.T) {
	r := newRawQueue(t, nil)
	r.fill("wait", 2000)
	now := time.Now().UnixMilli()
	for i := range 2000 {
		if i%700 != 699 {
			r.do(fmt.Sprintf("HSET bull:q:j%d timestamp %d", i, now))
		}
	}
	var ids []domain.JobID
	n, err := r.handle().Clean(t.Context(), redisqueue.CleanOptions{State: domain.StateWait, OlderThan: time.Hour, Bulk: redisqueue.Bulk{
		Each: func(some []domain.JobID) { ids = append(ids, some...) },
	}})
	if err != nil || n != 2 || !slices.Equal(ids, []domain.JobID{"j699", "j1399"}) {
		t.Errorf("Clean = %d, %v, %v, want j699 and j1399", n, ids, err)
	}
	if left := r.rdb.LRange(t.Context(), "bull:q:wait", 0, -1).Val(); len(left) != 1998 || slices.Contains(left, "j699") || slices.Contains(left, "0:taken") {
		t.Errorf("%d jobs wait, want 1998 and not j699", len(left))
	}
}

func TestCleanOfActiveJobsSparesThoseThatAreWorked(t *testing.T) {
	r := newRawQueue(t, nil)
	r.add(domain.JobOptions{ID: "held"})
	reserve(t, r.consumer(), 1)
	r.do("HSET bull:q:stuck name n timestamp 1", "LPUSH bull:q:active stuck")
	n, err := r.handle().Clean(t.Context(), redisqueue.CleanOptions{State: domain.StateActive})
	if err != nil || n != 1 {
		t.Errorf("Clean = %d, %v, want the job without a lock", n, err)
	}
	r.wantList("bull:q:active", "held")
	for _, state := range []domain.State{"", "nowhere", domain.StateWaitingChildren} {
		if _, err := r.handle().Clean(t.Context(), redisqueue.CleanOptions{State: state}); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Clean(%q) = %v, want %v", state, err, domain.ErrInvalid)
		}
	}
}

func TestRemoveOrphansLeavesWhatIsNoOrphan(t *testing.T) {
	r := newRawQueue(t, nil)
	r.fill("wait", 3)
	r.do("HSET bull:q:done name n timestamp 1", "ZADD bull:q:completed 1 done", "HSET bull:q:held name n timestamp 1", "SET bull:q:held:lock t",
		"HSET bull:q:lost name n timestamp 1 deid d", "RPUSH bull:q:lost:logs l", "SET bull:q:de:d lost", "RPUSH bull:q:gone:logs l",
		"SET bull:q:mine text", "HSET bull:q:repeat:s every 5", "HSET bull:q:metrics:failed count 1", "HSET bull:q:metrics:completed count 1",
		"HSET bull:q:repeat:s:77 name n timestamp 1", "HSET bull:q:meta version x", "HSET bull:other:lost name n timestamp 1", "SET bull:q:de:e lost2")
	before := r.dump()
	var ids []domain.JobID
	n, err := r.handle().RemoveOrphans(t.Context(), redisqueue.Bulk{Each: func(some []domain.JobID) { ids = append(ids, some...) }})
	slices.Sort(ids)
	if err != nil || n != 2 || !slices.Equal(ids, []domain.JobID{"gone", "lost"}) {
		t.Errorf("RemoveOrphans = %d, %v, %v, want gone and lost", n, ids, err)
	}
	after := r.dump()
	var went []string
	for _, key := range sortedKeys(before) {
		if after[key] != before[key] {
			went = append(went, strings.TrimPrefix(key, "bull:q:"))
		}
	}
	if want := []string{"de:d", "gone:logs", "lost", "lost:logs"}; !slices.Equal(went, want) {
		t.Errorf("keys %v changed, want %v", went, want)
	}
}

func TestObliterateLeavesNothing(t *testing.T) {
	r := newRawQueue(t, nil)
	r.add(domain.JobOptions{ID: "held"})
	reserve(t, r.consumer(), 1)
	r.add(domain.JobOptions{})
	r.add(domain.JobOptions{Priority: 1})
	r.add(domain.JobOptions{Delay: time.Hour})
	r.parent("p")
	r.child("c", "p")
	r.do("ZADD bull:q:failed 1 c", "ZADD bull:q:repeat 99 s", "HSET bull:q:repeat:s every 5", "SET bull:q:limiter 1", "HSET takt:{bull}:default:parked:q x n",
		"SADD bull:q:stalled held", "HSET bull:q:metrics:failed count 1")
	queue := r.handle()
	if _, err := queue.Obliterate(t.Context(), redisqueue.ObliterateOptions{Force: true}); !errors.Is(err, redisqueue.ErrNotPaused) {
		t.Errorf("Obliterate = %v, want %v", err, redisqueue.ErrNotPaused)
	}
	if err := queue.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Obliterate(t.Context(), redisqueue.ObliterateOptions{}); !errors.Is(err, redisqueue.ErrActive) {
		t.Errorf("Obliterate = %v, want %v", err, redisqueue.ErrActive)
	}
	if n, err := queue.Obliterate(t.Context(), redisqueue.ObliterateOptions{Force: true}); err != nil || n < 5 {
		t.Errorf("Obliterate = %d, %v, want its jobs gone", n, err)
	}
	for _, key := range sortedKeys(r.dump()) {
		if !strings.Contains(key, ":session:") {
			t.Errorf("%s is left", key)
		}
	}
}

func TestTrimEventsKeepsTheNewest(t *testing.T) {
	r := newRawQueue(t, nil)
	for range 2000 {
		r.do("XADD bull:q:events * event x")
	}
	n, err := r.handle().TrimEvents(t.Context(), 500)
	left := int(r.rdb.XLen(t.Context(), "bull:q:events").Val())
	if err != nil || left < 500 || left > 700 || n != 2000-left {
		t.Errorf("TrimEvents = %d, %v, and %d left, want about 500", n, err, left)
	}
}
