package redisqueue_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// waitsElsewhere stores the parent p of queue "other", which waits for job c
// of queue "q" alone, and spoils a key that p would come to.
func (r *rawQueue) waitsElsewhere(spoilt string) {
	r.Helper()
	r.do("HSET bull:other:meta version bullmq:5.81.5 opts.maxLenEvents 10", "HSET bull:other:p name n timestamp 1 priority 0", "ZADD bull:other:waiting-children 1 p",
		"SADD bull:other:p:dependencies bull:q:c", "HSET bull:q:c name n data {} opts {} timestamp 1 priority 0 parentKey bull:other:p parent {}")
	r.spoil("bull:other:" + spoilt)
}

// What is wrong with the queue of a parent does not take the parent out of it.
func TestAParentWhoseQueueIsDamagedStaysInIt(t *testing.T) {
	t.Parallel()
	for _, spoilt := range []string{"wait", "events", "prioritized"} {
		for name, remove := range map[string]func(context.Context, *redisqueue.Queue) (int, error){
			"Drain": func(ctx context.Context, q *redisqueue.Queue) (int, error) {
				return q.Drain(ctx, redisqueue.DrainOptions{})
			},
			"Clean": func(ctx context.Context, q *redisqueue.Queue) (int, error) {
				return q.Clean(ctx, redisqueue.CleanOptions{State: domain.StateWait})
			},
			"Obliterate": func(ctx context.Context, q *redisqueue.Queue) (int, error) {
				if err := q.Pause(ctx); err != nil {
					return 0, err
				}
				return q.Obliterate(ctx, redisqueue.ObliterateOptions{})
			},
		} {
			t.Run(name+" "+spoilt, func(t *testing.T) {
				t.Parallel()
				log := &diary{}
				r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
				r.waitsElsewhere(spoilt)
				r.do("LPUSH bull:q:wait c")
				if n, err := remove(t.Context(), r.handle()); err != nil || n != 1 {
					t.Errorf("%s = %d, %v, want one job removed", name, n, err)
				}
				r.wantKey("bull:q:c", false)
				if err := r.rdb.ZScore(t.Context(), "bull:other:waiting-children", "p").Err(); err != nil {
					t.Errorf("the parent waits nowhere: %v", err)
				}
				if r.rdb.SCard(t.Context(), "bull:other:p:dependencies").Val() != 1 {
					t.Error("the parent waits for no child, and nothing will ever free it")
				}
				if text := log.String(); strings.Count(text, "parent not told of its child") != 1 || !strings.Contains(text, "parent=bull:other:p") || !strings.Contains(text, "bull:other:"+spoilt) {
					t.Errorf("log = %s, want one line that names the parent and the key", text)
				}
			})
		}
	}
}

// A removal by hand stops there, before it has changed anything.
func TestARemovalStopsAtAParentWhoseQueueIsDamaged(t *testing.T) {
	t.Parallel()
	for _, spoilt := range []string{"wait", "events", "waiting-children", "p:dependencies"} {
		for _, options := range []redisqueue.RemoveOptions{{}, {KeepChildren: true}} {
			r := newRawQueue(t, nil)
			r.waitsElsewhere(spoilt)
			r.do("LPUSH bull:q:wait c", "HSET bull:q:k name n timestamp 1 parentKey bull:q:c", "LPUSH bull:q:wait k", "SADD bull:q:c:dependencies bull:q:k")
			before := r.dump()
			err := r.handle().Remove(t.Context(), "c", options)
			wantLoud(t, "Remove with a spoilt "+spoilt, err)
			if err != nil && !strings.Contains(err.Error(), "bull:other:"+spoilt) {
				t.Errorf("Remove with a spoilt %s = %v, want the name of the key", spoilt, err)
			}
			after := r.dump()
			for _, key := range sortedKeys(before) {
				if after[key] != before[key] {
					t.Errorf("Remove with a spoilt %s changed %s", spoilt, key)
				}
			}
		}
	}
}

// A retried child says so when its parent cannot wait for it again.
func TestARetryTellsOfAParentThatIsDamaged(t *testing.T) {
	log := &diary{}
	r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	r.parent("p")
	for _, id := range []string{"a", "b"} {
		r.child(id, "p", "failedReason", "no")
		r.do("ZADD bull:q:failed 1 " + id)
	}
	r.do("DEL bull:q:p:dependencies", "SET bull:q:p:failed x")
	if err := r.handle().Retry(t.Context(), "a", redisqueue.RetryOptions{}); err != nil {
		t.Errorf("Retry = %v, want no error", err)
	}
	if n, err := r.handle().RetryAll(t.Context(), redisqueue.RetryAllOptions{}); err != nil || n != 1 {
		t.Errorf("RetryAll = %d, %v, want one job", n, err)
	}
	r.wantList("bull:q:wait", "b", "a")
	if text := log.String(); strings.Count(text, "parent not told of its child") != 2 || !strings.Contains(text, "parent=bull:q:p") {
		t.Errorf("log = %s, want a line for each call", text)
	}
}

// A drain takes the parents of its own queue, as far up as they are.
func TestADrainDeletesParentsAboveParents(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("top")
	r.parent("mid")
	r.child("mid", "top")
	r.child("leaf", "mid")
	r.do("LPUSH bull:q:wait leaf")
	r.apply(domain.Operation{Kind: domain.OpDrain}, "leaf")
	for _, key := range []string{"top", "mid", "leaf", "waiting-children", "top:dependencies", "mid:dependencies"} {
		r.wantKey("bull:q:"+key, false)
	}
}
