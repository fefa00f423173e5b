package redisqueue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// jobOperations are all that can be done to one job, by name.
func jobOperations(q *redisqueue.Queue) map[string]func(context.Context, domain.JobID) error {
	return map[string]func(context.Context, domain.JobID) error{
		"Promote": q.Promote,
		"Retry": func(ctx context.Context, id domain.JobID) error {
			return q.Retry(ctx, id, redisqueue.RetryOptions{})
		},
		"ChangeDelay": func(ctx context.Context, id domain.JobID) error { return q.ChangeDelay(ctx, id, time.Hour) },
		"ChangePriority": func(ctx context.Context, id domain.JobID) error {
			return q.ChangePriority(ctx, id, redisqueue.PriorityChange{Priority: 2})
		},
		"UpdateData":     func(ctx context.Context, id domain.JobID) error { return q.UpdateData(ctx, id, []byte(`{}`)) },
		"UpdateProgress": func(ctx context.Context, id domain.JobID) error { return q.UpdateProgress(ctx, id, []byte(`1`)) },
		"AddLog": func(ctx context.Context, id domain.JobID) error {
			_, err := q.AddLog(ctx, id, "line", 0)
			return err
		},
		"ClearLog": func(ctx context.Context, id domain.JobID) error { return q.ClearLog(ctx, id, 0) },
		"Remove": func(ctx context.Context, id domain.JobID) error {
			return q.Remove(ctx, id, redisqueue.RemoveOptions{})
		},
	}
}

// What has the name of a job and is none is neither changed nor removed.
func TestJobOperationsLeaveAloneWhatIsNoJob(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:meta version bullmq:5.81.5 opts.maxLenEvents 10", "RPUSH bull:q:list x", "HSET bull:q:repeat:s every 5", "SET bull:q:pc 5")
	before := r.dump()
	for name, operate := range jobOperations(r.handle()) {
		for _, id := range []domain.JobID{"meta", "list", "repeat:s", "pc", "nobody"} {
			if err := operate(t.Context(), id); !errors.Is(err, ports.ErrNotFound) || !strings.Contains(err.Error(), string(id)) {
				t.Errorf("%s(%s) = %v, want %v with its name", name, id, err, ports.ErrNotFound)
			}
		}
	}
	after := r.dump()
	for _, key := range sortedKeys(before) {
		if after[key] != before[key] {
			t.Errorf("%s was changed", key)
		}
	}
}

func TestJobOperationsOnDamagedQueuesChangeNothing(t *testing.T) {
	for _, place := range []string{"wait", "prioritized", "delayed", "events"} {
		r := newRawQueue(t, nil)
		r.do("HSET bull:q:meta version bullmq:5.81.5 opts.maxLenEvents 10", "HSET bull:q:j name n data {} timestamp 1 priority 0", "ZADD bull:q:delayed 4096 j",
			"HSET bull:q:f name n timestamp 1 failedReason r", "ZADD bull:q:failed 1 f")
		r.spoil("bull:q:" + place)
		before := r.dump()
		operations := jobOperations(r.handle())
		for name, id := range map[string]domain.JobID{"Promote": "j", "Retry": "f", "ChangeDelay": "j", "ChangePriority": "j", "UpdateProgress": "j"} {
			err := operations[name](t.Context(), id)
			wantLoud(t, name+" with a spoilt "+place, err)
			if err != nil && !strings.Contains(err.Error(), string(id)) {
				t.Errorf("%s = %v, want the job's name in it", name, err)
			}
		}
		after := r.dump()
		for _, key := range sortedKeys(before) {
			if after[key] != before[key] {
				t.Errorf("with a spoilt %s, %s was changed", place, key)
			}
		}
	}
}

func TestJobOperationsRefuseWhatMakesNoSense(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) { c.MaxPayload = 10 })
	queue := r.handle()
	for name, err := range map[string]error{
		"retry":    queue.Retry(t.Context(), "1", redisqueue.RetryOptions{From: domain.StateDelayed}),
		"delay":    queue.ChangeDelay(t.Context(), "1", -1),
		"priority": queue.ChangePriority(t.Context(), "1", redisqueue.PriorityChange{Priority: domain.MaxPriority + 1}),
		"data":     queue.UpdateData(t.Context(), "1", []byte("{")),
		"progress": queue.UpdateProgress(t.Context(), "1", nil),
		"log":      queue.ClearLog(t.Context(), "1", -1),
	} {
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s = %v, want %v", name, err, domain.ErrInvalid)
		}
	}
	if err := queue.UpdateData(t.Context(), "1", []byte(`"0123456789"`)); !errors.Is(err, domain.ErrTooLarge) {
		t.Errorf("UpdateData of 12 bytes = %v, want %v", err, domain.ErrTooLarge)
	}
}

func TestQueueRetry_linksACompletedChildToItsParentAgain(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.child("c", "p")
	r.do("SREM bull:q:p:dependencies bull:q:c", "HSET bull:q:p:processed bull:q:c 1", "ZADD bull:q:completed 1 c", "HSET bull:q:c returnvalue 1 atm 1 ats 1 finishedOn 1")
	if err := r.handle().Retry(t.Context(), "c", redisqueue.RetryOptions{From: domain.StateCompleted, ResetAttempts: true, ResetStarted: true}); err != nil {
		t.Fatal(err)
	}
	r.wantList("bull:q:wait", "c")
	r.wantKey("bull:q:p:processed", false)
	r.wantKey("bull:q:p:dependencies", true)
	for _, field := range []string{"returnvalue", "atm", "ats", "finishedOn"} {
		if r.rdb.HExists(t.Context(), "bull:q:c", field).Val() {
			t.Errorf("%s is still there", field)
		}
	}
	r.wantEvents("waiting c completed")
}

func TestQueueRemove_takesChildrenUnlessToldNotTo(t *testing.T) {
	r := newRawQueue(t, nil)
	queue := r.handle()
	for _, p := range []string{"p", "k"} {
		r.parent(p)
		r.child(p+"1", p)
		r.do("RPUSH bull:q:wait " + p + "1")
	}
	r.do("SET bull:q:p1:lock t")
	if err := queue.Remove(t.Context(), "p", redisqueue.RemoveOptions{}); !errors.Is(err, redisqueue.ErrLocked) {
		t.Errorf("Remove of a parent whose child is worked = %v, want %v", err, redisqueue.ErrLocked)
	}
	r.wantKey("bull:q:p", true)
	r.do("DEL bull:q:p1:lock")
	if err := queue.Remove(t.Context(), "p", redisqueue.RemoveOptions{}); err != nil {
		t.Errorf("Remove = %v, want no error", err)
	}
	if err := queue.Remove(t.Context(), "k", redisqueue.RemoveOptions{KeepChildren: true}); err != nil {
		t.Errorf("Remove = %v, want no error", err)
	}
	r.wantList("bull:q:wait", "k1")
	for key, want := range map[string]bool{"p": false, "p1": false, "k": false, "k1": true} {
		r.wantKey("bull:q:"+key, want)
	}
}

func TestQueueChangeDelay_ofAParkedJobTakesItBack(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:j name n timestamp 1", "ZADD bull:q:delayed 99999999999999 j", "HSET takt:{bull}:default:parked:q j n")
	if err := r.handle().ChangeDelay(t.Context(), "j", time.Hour); err != nil {
		t.Fatal(err)
	}
	if state, err := r.handle().State(t.Context(), "j"); err != nil || state != domain.StateDelayed {
		t.Errorf("State = %s, %v, want it delayed", state, err)
	}
}

func TestQueueAddLog_keepsTheNewest(t *testing.T) {
	r := newRawQueue(t, nil)
	r.add(domain.JobOptions{})
	queue := r.handle()
	for i, want := range []int{1, 2, 2} {
		if n, err := queue.AddLog(t.Context(), "1", "line", 2); err != nil || n != want {
			t.Errorf("AddLog %d = %d, %v, want %d", i, n, err, want)
		}
	}
	if err := queue.ClearLog(t.Context(), "1", 1); err != nil {
		t.Error(err)
	}
	if n := r.rdb.LLen(t.Context(), "bull:q:1:logs").Val(); n != 1 {
		t.Errorf("%d lines are left, want 1", n)
	}
}
