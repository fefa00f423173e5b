package redisqueue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// latestID is the largest id of an event: none can come after it.
const latestID = "18446744073709551615-18446744073709551615"

// finishedJobs stores jobs that have failed and jobs that are delayed, each with
// the priorities.
func (r *rawQueue) finishedJobs(priorities ...int) {
	r.Helper()
	for i, priority := range priorities {
		fields := fmt.Sprintf(" name n data {} opts {} timestamp 1 priority %d", priority)
		r.do(fmt.Sprintf("HSET bull:q:f%d%s failedReason no", i, fields), fmt.Sprintf("ZADD bull:q:failed %d f%d", i, i),
			fmt.Sprintf("HSET bull:q:d%d%s delay 5", i, fields), fmt.Sprintf("ZADD bull:q:delayed %d d%d", 4096*i, i))
	}
}

// wantOnce checks that each of the jobs is in one place.
func (r *rawQueue) wantOnce(ids ...string) {
	r.Helper()
	ctx, found := r.Context(), map[string]int{}
	places := r.rdb.LRange(ctx, "bull:q:wait", 0, -1).Val()
	for _, set := range []string{"failed", "delayed", "prioritized"} {
		places = append(places, r.rdb.ZRange(ctx, "bull:q:"+set, 0, -1).Val()...)
	}
	for _, id := range places {
		found[id]++
	}
	for _, id := range ids {
		if found[id] != 1 {
			r.Errorf("job %s is in %d places, want one", id, found[id])
		}
	}
}

// queueOperations are those on many jobs.
func queueOperations(q *redisqueue.Queue) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"RetryAll": func(ctx context.Context) error {
			_, err := q.RetryAll(ctx, redisqueue.RetryAllOptions{})
			return err
		},
		"PromoteAll": func(ctx context.Context) error {
			_, err := q.PromoteAll(ctx, redisqueue.Bulk{})
			return err
		},
		"Pause":  q.Pause,
		"Resume": q.Resume,
	}
}

// A counter of priorities that is no number begins anew.
func TestOperationsOutliveADamagedCounterOfPriorities(t *testing.T) {
	for _, damage := range []string{"SET bull:q:pc x", "RPUSH bull:q:pc x", "SET bull:q:pc 9223372036854775807"} {
		r := newRawQueue(t, nil)
		r.finishedJobs(0, 3, 0, 2)
		queue := r.handle()
		jobs := jobOperations(queue)
		r.do("HSET bull:q:w name n timestamp 1", "LPUSH bull:q:wait w")
		for name, apply := range []func() error{
			func() error { return queueOperations(queue)["RetryAll"](t.Context()) },
			func() error { return jobs["Promote"](t.Context(), "d1") },
			func() error { return jobs["ChangePriority"](t.Context(), "w") },
			func() error { return queueOperations(queue)["PromoteAll"](t.Context()) },
		} {
			r.do("DEL bull:q:pc", damage)
			if err := apply(); err != nil {
				t.Errorf("operation %d after %s = %v, want no error", name, damage, err)
			}
			r.wantOnce("f0", "f1", "f2", "f3", "d0", "d1", "d2", "d3", "w")
		}
		if n := r.rdb.ZCard(t.Context(), "bull:q:prioritized").Val(); n != 5 {
			t.Errorf("%d jobs have a priority, want 5", n)
		}
	}
}

// A queue that takes no more events is left as it is.
func TestOperationsOnAQueueWithoutEventsChangeNothing(t *testing.T) {
	r := newRawQueue(t, nil)
	r.finishedJobs(0, 3)
	r.do("HSET bull:q:meta version bullmq:5.81.5 opts.maxLenEvents 10", "HSET bull:q:w name n timestamp 1", "LPUSH bull:q:wait w", "XADD bull:q:events "+latestID+" event x")
	queue := r.handle()
	operations := queueOperations(queue)
	delete(operations, "Resume")
	for name, id := range map[string]domain.JobID{"Promote": "d1", "Retry": "f0", "ChangeDelay": "d0", "ChangePriority": "w", "UpdateProgress": "w", "Remove": "w"} {
		operations[name] = func(ctx context.Context) error { return jobOperations(queue)[name](ctx, id) }
	}
	before := r.dump()
	for name, operate := range operations {
		if err := operate(t.Context()); err == nil || !strings.Contains(err.Error(), "bull:q:events") {
			t.Errorf("%s = %v, want an error that names the events", name, err)
		}
		after := r.dump()
		for _, key := range sortedKeys(before) {
			if after[key] != before[key] {
				t.Errorf("%s changed %s", name, key)
			}
		}
	}
}

// One that takes a few more keeps each job in one place.
func TestJobsThatAreRevivedAreInOnePlaceWhateverBreaksOff(t *testing.T) {
	for _, name := range []string{"RetryAll", "PromoteAll"} {
		r := newRawQueue(t, nil)
		r.finishedJobs(0, 3, 0, 2, 0)
		r.do("XADD bull:q:events 18446744073709551615-18446744073709551613 event x")
		for range 3 {
			if err := queueOperations(r.handle())[name](t.Context()); err == nil {
				t.Errorf("%s = nil, want an error", name)
			}
			r.wantOnce("f0", "f1", "f2", "f3", "f4", "d0", "d1", "d2", "d3", "d4")
		}
	}
}

func TestAPauseOfADamagedQueueChangesNothing(t *testing.T) {
	for _, list := range []string{"wait", "paused"} {
		r := newRawQueue(t, nil)
		r.do("HSET bull:q:meta version bullmq:5.81.5 opts.maxLenEvents 10", "ZADD bull:q:marker 0 0")
		r.spoil("bull:q:" + list)
		before := r.dump()
		wantLoud(t, "Pause", r.handle().Pause(t.Context()))
		after := r.dump()
		for _, key := range sortedKeys(before) {
			if after[key] != before[key] {
				t.Errorf("a pause with a spoilt %s changed %s", list, key)
			}
		}
	}
}
