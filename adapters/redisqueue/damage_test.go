package redisqueue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func TestAJobThatCannotBeSettledIsActiveOnce(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{ID: "a"})
	lease := reserve(t, c, 1)[0]
	mend := r.spoil("bull:q:completed")
	for range 2 {
		_, err := c.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 0)
		wantLoud(t, "Settle", err)
	}
	r.wantList("bull:q:active", "a")
	mend()
	settle(t, c, lease)
	r.wantList("bull:q:active")
}

func TestABatchThatBreaksOffLeavesNoJobInNoList(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("RPUSH bull:q:de:k x")
	_, err := r.backend.Enqueue(t.Context(),
		domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{ID: "a"}},
		domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{Deduplication: domain.Deduplication{Key: "k"}}})
	wantLoud(t, "Enqueue", err)
	stored := r.rdb.Exists(t.Context(), "bull:q:a").Val() == 1
	if waits := slices.Contains(r.rdb.LRange(t.Context(), "bull:q:wait", 0, -1).Val(), "a"); waits != stored {
		t.Errorf("job a is stored: %t, and waits: %t", stored, waits)
	}
}

func TestAStalledJobOutlivesDamagedSchedulers(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) { c.StalledInterval = time.Millisecond })
	c := r.consumer()
	r.add(domain.JobOptions{ID: "a"})
	reserve(t, c, 1)
	r.do("DEL bull:q:a:lock", "HSET bull:q:a rjk s stc 9", "SET bull:q:repeat x")
	for range 3 {
		_, _ = c.Recover(t.Context())
		<-time.After(3 * time.Millisecond)
	}
	kept := append(r.rdb.LRange(t.Context(), "bull:q:wait", 0, -1).Val(), r.rdb.LRange(t.Context(), "bull:q:active", 0, -1).Val()...)
	if !slices.Equal(kept, []string{"a"}) {
		t.Errorf("wait and active have %v, want job a once", kept)
	}
}

func TestARetryThatBreaksOffLeavesEachJobInOnePlace(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:a name n data {} opts {} timestamp 1 priority 0", "HSET bull:q:b name n data {} opts {} timestamp 1 priority 3",
		"ZADD bull:q:failed 1 a 2 b", "HSET bull:q:prioritized x y")
	_, err := r.backend.Apply(t.Context(), "q", domain.Operation{Kind: domain.OpRetry})
	wantLoud(t, "Apply", err)
	r.wantList("bull:q:wait")
}

func TestADrainPassesDamagedParents(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.child("a", "p")
	r.do("LPUSH bull:q:wait a", "DEL bull:q:p:dependencies", "SET bull:q:p:dependencies x")
	r.apply(domain.Operation{Kind: domain.OpDrain}, "a")
	if n := r.rdb.Exists(t.Context(), "bull:q:a").Val(); n != 0 {
		t.Error("the drained job is still there")
	}
}

func TestOutcomesAreWrittenThoughNothingCanBeLeased(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{ID: "a"})
	lease := reserve(t, c, 1)[0]
	defer r.spoil("bull:q:wait")()
	reply, err := c.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 1)
	if err != nil || reply.Statuses[0] != domain.Settled {
		t.Errorf("Settle = %v, %v, want it settled", reply.Statuses, err)
	}
}

func TestALimiterThatIsNoNumberStrandsNoJob(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) {
		c.Limits = map[domain.QueueName]redisqueue.RateLimit{"q": {Max: 5, Per: time.Minute}}
	})
	c := r.consumer()
	r.add(domain.JobOptions{ID: "a"})
	r.do("SET bull:q:limiter x")
	lease := reserve(t, c, 1)[0]
	if got, ttl := r.rdb.Get(t.Context(), "bull:q:limiter").Val(), r.rdb.PTTL(t.Context(), "bull:q:limiter").Val(); got != "1" || ttl <= 0 {
		t.Errorf("limiter = %q for %s, want 1 for a window", got, ttl)
	}
	settle(t, c, lease)
}

// What others write leads to no keys but those of the queues, and not to more
// than the server looks at in passing.
func TestTheSearchForDamageIsNotLedAstray(t *testing.T) {
	t.Parallel()
	for shape, found := range map[string]any{"a%d:b:": "bull:q:de:k", "bull:p%d:": ""} {
		r := newRawQueue(t, nil)
		r.do("RPUSH bull:q:de:k x", "SET a0:b:wait x", "SET a0:session: x")
		args := []any{"bull:", "takt:{bull}:default:", "bull:q:", "a0:session:"}
		for i := range 390 {
			args = append(args, fmt.Sprintf(shape, i))
		}
		got, err := redisqueue.CallScript(t.Context(), r.backend, "damage", []string{"bull:q:meta"}, append(args, "k")...)
		if err != nil || got != found {
			t.Errorf("the search for names like %s = %q, %v, want %q", shape, got, err, found)
		}
		if looks := r.calls("type"); looks > 25_000 {
			t.Errorf("it looked at %d keys for names like %s, want 25,000 at most", looks, shape)
		}
	}
}

func TestAKeyIsNamedOnce(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	r.do("SET bull:q:events x")
	_, err := r.backend.Enqueue(t.Context(), domain.NewJob{Queue: "q", Name: "n"})
	if n := strings.Count(fmt.Sprint(err), "bull:q:events"); n != 1 || r.calls("type") > 0 {
		t.Errorf("Enqueue = %v, want bull:q:events named once, and no search for it", err)
	}
}
