package redisqueue_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func remove(ids ...domain.JobID) domain.Operation {
	return domain.Operation{Kind: domain.OpRemove, IDs: ids}
}

func TestARemovalSaysWhereTheJobWas(t *testing.T) {
	r := newRawQueue(t, nil)
	r.add(domain.JobOptions{ID: "waits"})
	r.add(domain.JobOptions{ID: "ranked", Priority: 3})
	r.add(domain.JobOptions{ID: "late", Delay: time.Hour})
	r.parent("above")
	r.do("HSET bull:q:adrift name n timestamp 1", "RPUSH bull:q:active ghost", "HSET bull:q:done name n timestamp 1", "ZADD bull:q:completed 1 done")
	r.events()
	r.apply(remove("waits", "ranked", "late", "above", "adrift", "ghost", "done", "nobody"), "waits", "ranked", "late", "above", "adrift", "ghost", "done")
	r.wantEvents("removed waits wait", "removed ranked prioritized", "removed late delayed", "removed above waiting-children",
		"removed adrift unknown", "removed done completed")
	for _, key := range []string{"wait", "active", "prioritized", "delayed", "waiting-children", "completed"} {
		r.wantKey("bull:q:"+key, false)
	}
}

func TestARemovedJobLetsGoOfItsDeduplicationKey(t *testing.T) {
	r := newRawQueue(t, nil)
	r.add(domain.JobOptions{ID: "owner", Deduplication: domain.Deduplication{Key: "k"}})
	r.add(domain.JobOptions{ID: "former", Deduplication: domain.Deduplication{Key: "other"}})
	r.do("HSET bull:q:dn:k name n jid 9", "SET bull:q:de:other somebody")
	r.apply(remove("owner", "former"), "owner", "former")
	r.wantKey("bull:q:de:k", false)
	r.wantKey("bull:q:dn:k", false)
	r.wantKey("bull:q:de:other", true)
}

func TestTheRemovalOfTheLastChildReleasesItsParent(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.child("a", "p")
	r.child("b", "p")
	r.do("RPUSH bull:q:wait a b")
	r.apply(remove("a"), "a")
	r.wantList("bull:q:wait", "b")
	r.apply(remove("b"), "b")
	r.wantList("bull:q:wait", "p")
	r.wantKey("bull:q:waiting-children", false)
	r.wantEvents("removed a wait", "waiting p waiting-children", "removed b wait")
}

func TestAJobIsRemovedWithItsChildren(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.parent("mid")
	r.child("mid", "p")
	r.child("leaf", "mid")
	r.child("done", "p")
	r.child("broken", "p")
	r.do("RPUSH bull:q:wait leaf", "SREM bull:q:p:dependencies bull:q:done bull:q:broken", "HSET bull:q:p:processed bull:q:done 1",
		"ZADD bull:q:completed 1 done", "ZADD bull:q:p:unsuccessful 1 bull:q:broken", "ZADD bull:q:failed 1 broken")
	before := r.dump()
	r.do("SET bull:q:leaf:lock someone")
	r.apply(remove("p"))
	r.do("DEL bull:q:leaf:lock")
	if after := r.dump(); len(after) != len(before)+1 { // the session
		t.Errorf("after a removal that a lock forbids there are %v, want %v", sortedKeys(after), sortedKeys(before))
	}
	r.apply(remove("p"), "p")
	for key := range r.dump() {
		if strings.HasPrefix(key, "bull:q:") && key != "bull:q:meta" && key != "bull:q:events" {
			t.Errorf("%s is left, want nothing but settings and events", key)
		}
	}
}

func TestATreeOfAnySizeIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	r.parent("p")
	pipe := r.rdb.Pipeline()
	for i := range 5000 {
		key := fmt.Sprintf("bull:q:c%d", i)
		pipe.HSet(t.Context(), key, "name", "n", "timestamp", 1, "parentKey", "bull:q:p")
		pipe.SAdd(t.Context(), "bull:q:p:dependencies", key)
		pipe.ZAdd(t.Context(), "bull:q:prioritized", redisZ(1, fmt.Sprintf("c%d", i)))
		// Children whose jobs are gone leave their results with the parent.
		pipe.HSet(t.Context(), "bull:q:p:processed", fmt.Sprintf("bull:q:gone%d", i), "1")
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatalf("store a large flow: %v", err)
	}
	r.apply(remove("p"), "p")
	if left := r.rdb.Keys(t.Context(), "bull:q:*").Val(); len(left) != 2 {
		t.Errorf("%d keys are left, want settings and events alone", len(left))
	}
}

func TestFlowsInACircleAreRemoved(t *testing.T) {
	r := newRawQueue(t, nil)
	r.child("a", "b")
	r.child("b", "a")
	r.apply(remove("a"), "a")
	r.wantKey("bull:q:b", false)
}

func TestWhatIsNoJobIsNotDeleted(t *testing.T) {
	r := newRawQueue(t, nil)
	r.add(domain.JobOptions{ID: "job"})
	r.do("SET bull:q:job:lock token", "HSET bull:q:repeat:s name n data {}", "ZADD bull:q:repeat 5 s", "HSET bull:q:repeat:s:5 name n timestamp 1",
		"ZADD bull:q:delayed 1 repeat:s:5", "HSET bull:other:x name n timestamp 1")
	r.apply(remove("job:lock", "repeat:s", "repeat:s:5", "meta", "events", "", "wait", "../other:x", "job"))
	for _, key := range []string{"job", "job:lock", "repeat:s", "repeat:s:5", "meta", "events", "wait"} {
		r.wantKey("bull:q:"+key, true)
	}
	r.wantKey("bull:other:x", true)
	// In a list they are out of place, and go from there alone.
	r.do("RPUSH bull:q:wait meta repeat:s job:lock")
	r.apply(remove("meta", "repeat:s", "job:lock"), "meta", "repeat:s", "job:lock")
	r.wantList("bull:q:wait", "job")
	for _, key := range []string{"job:lock", "repeat:s", "meta"} {
		r.wantKey("bull:q:"+key, true)
	}
}
