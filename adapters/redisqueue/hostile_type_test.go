package redisqueue_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// spoil puts a value of the wrong type in the place of a key of the queue, and
// returns how to put the right one back.
func (r *rawQueue) spoil(key string) (mend func()) {
	r.Helper()
	value := "HSET " + key + " name n"
	if strings.HasSuffix(key, ":meta") {
		value = "RPUSH " + key + " n"
	}
	return r.replace(key, value)
}

// replace has the command put something into the place of a key, and returns how
// to put back what was there.
func (r *rawQueue) replace(key, command string) (back func()) {
	r.Helper()
	held, _ := r.rdb.Dump(r.Context(), key).Result()
	r.do("DEL "+key, command)
	return func() {
		r.Helper()
		r.do("DEL " + key)
		if held != "" {
			if err := r.rdb.Restore(r.Context(), key, 0, held).Err(); err != nil {
				r.Fatalf("RESTORE %s = %v, want no error", key, err)
			}
		}
	}
}

// wantLoud checks that a call failed with the server's own words, as something
// that does not pass by waiting.
func wantLoud(t *testing.T, call string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "WRONGTYPE") || errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("%s = %v, want an error that names the wrong type", call, err)
	}
}

// queueKeys are the keys of a queue that its workers need.
var queueKeys = []string{"wait", "active", "delayed", "prioritized", "events", "meta", "completed", "failed", "stalled", "marker"}

func TestAKeyOfTheWrongTypeLosesNoJob(t *testing.T) {
	t.Parallel()
	for _, key := range queueKeys {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, func(c *redisqueue.Config) { c.StalledInterval = time.Millisecond })
			// Long enough for a busy machine to hand a job over within it, short enough for
			// what is lost to come back.
			c, err := r.backend.OpenConsumer(ports.ConsumerOptions{Queue: "q", Lease: time.Second})
			if err != nil {
				t.Fatalf("OpenConsumer = %v, want a consumer", err)
			}
			r.add(domain.JobOptions{ID: "held"})
			r.add(domain.JobOptions{ID: "held2"})
			held := reserve(t, c, 2)
			r.add(domain.JobOptions{ID: "waits"})
			r.add(domain.JobOptions{ID: "ranked", Priority: 1})
			r.do("HSET bull:q:due name n timestamp 1", "HSET bull:q:due2 name n timestamp 1 priority 3", "ZADD bull:q:delayed 4096 due 8192 due2")
			mend := r.spoil("bull:q:" + key)
			r.do("DEL bull:q:held2:lock") // its lease is over: Recover meets it on the damaged queue
			kind := r.rdb.Type(t.Context(), "bull:q:"+key).Val()
			attempt(t, c, held)
			if got := r.rdb.Type(t.Context(), "bull:q:"+key).Val(); got != kind {
				t.Errorf("%s is a %s, want the %s untouched", key, got, kind)
			}
			mend()
			finishEverything(r, c, held)
		})
	}
}

// attempt tries everything that workers do on a queue that is damaged.
func attempt(t *testing.T, c ports.Consumer, held []domain.Lease) {
	t.Helper()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if leases, err := c.Reserve(ctx, 1); err == nil {
			// It is given back: others may have it.
			_, _ = c.Settle(t.Context(), []domain.Settlement{{Lease: leases[0].Ref(), Outcome: domain.Outcome{Kind: domain.Returned}}}, 0)
		} else if !errors.Is(err, context.DeadlineExceeded) {
			wantLoud(t, "Reserve", err)
		}
		cancel()
		for _, outcome := range []domain.Outcome{{Kind: domain.Completed}, {Kind: domain.Failed, Reason: "no"}} {
			_, err := c.Settle(t.Context(), []domain.Settlement{{Lease: held[0].Ref(), Outcome: outcome}, {Lease: held[1].Ref(), Outcome: outcome}}, 1)
			if err != nil {
				wantLoud(t, "Settle", err)
			}
		}
		if _, err := c.Recover(t.Context()); err != nil {
			wantLoud(t, "Recover", err)
		}
	}
}

// finishEverything finishes what was held and all that waits, and checks that every
// job came to its end.
func finishEverything(r *rawQueue, c ports.Consumer, held []domain.Lease) {
	r.Helper()
	for i := range held {
		_, err := c.Settle(r.Context(), []domain.Settlement{{Lease: held[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 0)
		if err != nil {
			r.Errorf("Settle of a mended queue = %v, want no error", err)
		}
	}
	want := []string{"due", "due2", "held", "held2", "ranked", "waits"}
	for until := time.Now().Add(10 * time.Second); ; {
		ended := append(r.rdb.ZRange(r.Context(), "bull:q:completed", 0, -1).Val(), r.rdb.ZRange(r.Context(), "bull:q:failed", 0, -1).Val()...)
		slices.Sort(ended)
		if slices.Equal(ended, want) {
			return
		}
		if time.Now().After(until) {
			r.Fatalf("finished %v, want %v; wait %v, active %v", ended, want, r.rdb.LRange(r.Context(), "bull:q:wait", 0, -1).Val(), r.rdb.LRange(r.Context(), "bull:q:active", 0, -1).Val())
		}
		ctx, cancel := context.WithTimeout(r.Context(), 200*time.Millisecond)
		leases, err := c.Reserve(ctx, 10)
		cancel()
		_, _ = c.Recover(r.Context())
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			r.Fatalf("Reserve of a mended queue = %v, want no error", err)
		}
		for i := range leases {
			_, _ = c.Settle(r.Context(), []domain.Settlement{{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 0)
		}
	}
}

func TestAKeyOfTheWrongTypeStopsItsQueueAlone(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:wait name n")
	c := r.consumer()
	r.do("CONFIG RESETSTAT")
	_, err := c.Reserve(t.Context(), 1)
	wantLoud(t, "Reserve", err)
	_, err = r.backend.Counts(t.Context(), "q")
	wantLoud(t, "Counts", err)
	_, err = r.backend.Jobs(t.Context(), "q", domain.JobFilter{State: domain.StateWait})
	wantLoud(t, "Jobs", err)
	_, err = r.backend.Apply(t.Context(), "q", domain.Operation{Kind: domain.OpPause})
	wantLoud(t, "Apply(pause)", err)
	_, err = r.backend.Apply(t.Context(), "q", domain.Operation{Kind: domain.OpDrain})
	wantLoud(t, "Apply(drain)", err)
	_, err = r.backend.Enqueue(t.Context(), domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{ID: "new"}})
	wantLoud(t, "Enqueue", err)
	r.wantKey("bull:q:new", false)
	if since, _ := r.backend.Health(); !since.IsZero() {
		t.Error("the server counts as away, want it healthy: one queue is damaged")
	}
	if calls := r.calls("evalsha"); calls > 15 {
		t.Errorf("%d calls for seven that fail and seven that ask for the key, want no repetitions", calls)
	}
	if got := r.rdb.HGetAll(t.Context(), "bull:q:wait").Val(); len(got) != 1 {
		t.Errorf("the foreign value is %v, want it untouched", got)
	}
	if _, err := r.backend.Enqueue(t.Context(), domain.NewJob{Queue: "sound", Name: "n"}); err != nil {
		t.Errorf("Enqueue to another queue = %v, want no error", err)
	}
}

func TestAnOutcomeThatCannotBeWrittenIsNotLost(t *testing.T) {
	t.Parallel()
	for key, kind := range map[string]domain.OutcomeKind{
		"completed": domain.Completed, "failed": domain.Failed, "active": domain.Completed, "events": domain.Completed,
		"stalled": domain.Completed, "wait": domain.Returned, "delayed": domain.Snoozed,
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			c := r.consumer()
			r.add(domain.JobOptions{ID: "a"})
			r.add(domain.JobOptions{ID: "b"})
			held := reserve(t, c, 2)
			outcome := domain.Outcome{Kind: kind, After: time.Hour, Reason: "no"}
			settlements := []domain.Settlement{{Lease: held[0].Ref(), Outcome: outcome}, {Lease: held[1].Ref(), Outcome: outcome}}
			mend := r.spoil("bull:q:" + key)
			_, err := c.Settle(t.Context(), settlements, 0)
			wantLoud(t, "Settle", err)
			mend()
			reply, err := c.Settle(t.Context(), settlements, 0)
			if err != nil || !slices.Equal(reply.Statuses, []domain.SettleStatus{domain.Settled, domain.Settled}) {
				t.Errorf("Settle of a mended queue = %v, %v, want both settled", reply.Statuses, err)
			}
			r.wantList("bull:q:active")
			if counts, err := r.backend.Counts(t.Context(), "q"); err != nil || len(counts[0].Jobs) != 1 {
				t.Errorf("Counts = %v, %v, want both jobs in one state", counts, err)
			}
		})
	}
}
