package redisqueue_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Keys of parents and of their queues that are something else.

// keysOfParents are keys that the release of job "p" of the queue "mother"
// needs; with the prefix of the queue's keys.
var keysOfParents = []string{
	"wait", "delayed", "prioritized", "events", "waiting-children", "active", "p:dependencies",
}

// ended are ways in which a child may end, and keys of its parent that are
// needed then besides.
var endedChildren = map[string]struct {
	policy redisqueue.OnFailure
	keep   domain.Retention
	kind   domain.OutcomeKind
	keys   []string
}{
	"completed":       {redisqueue.KeepWaiting, domain.Retention{}, domain.Completed, []string{"p:processed"}},
	"failed":          {redisqueue.FailParent, domain.Retention{}, domain.Failed, []string{"p:unsuccessful", "failed"}},
	"ignored":         {redisqueue.IgnoreFailure, domain.Retention{}, domain.Failed, []string{"p:failed"}},
	"continued":       {redisqueue.ContinueParent, domain.Retention{}, domain.Failed, []string{"p:failed"}},
	"forgotten":       {redisqueue.ForgetChild, domain.Retention{}, domain.Failed, nil},
	"failed, removed": {redisqueue.KeepWaiting, domain.KeepNone(), domain.Failed, nil},
}

// newFamily adds job "p" of the queue "mother" with child "c" of the queue "q".
func newFamily(t *testing.T, said *journal, policy redisqueue.OnFailure, keep domain.Retention, priority int) (*rawQueue, redisqueue.FlowNode) {
	t.Helper()
	r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	flow := tree("p", settled("c", policy, keep))
	flow.Queue, flow.Options.Priority = "mother", priority
	r.addFlow(flow)
	return r, flow
}

// A child ends though its parent is damaged. The parent is left as it was, what
// is wrong is told, and nothing is lost once it is mended.
func TestAChildEndsThoughItsParentIsDamaged(t *testing.T) {
	for name, c := range endedChildren {
		for _, key := range slices.Concat(keysOfParents, c.keys) {
			t.Run(name+" "+key, func(t *testing.T) {
				said := &journal{}
				r, flow := newFamily(t, said, c.policy, c.keep, 0)
				mend := r.damage("bull:mother:" + key)
				before := r.ofParents()
				consumer := r.consumer()
				lease := reserve(t, consumer, 1)[0]
				settleOne(t, consumer, &lease, domain.Outcome{Kind: c.kind, Reason: "no", Result: []byte(`1`)})
				if diff := cmp.Diff(before, r.ofParents()); diff != "" {
					t.Errorf("the parent is not as it was (-before +after):\n%s", diff)
				}
				if said.count("a parent was not told") != 1 || said.count("bull:mother:"+key) != 1 {
					t.Errorf("the log says %s, want once that the parent was not told, and the key", said.read())
				}
				mend()
				r.addFlow(flow)
				r.wantParentSafe()
			})
		}
	}
}

// damage puts something else into the place of a key of a queue or a parent, and
// returns how to put the right thing back.
func (r *rawQueue) damage(key string) (mend func()) {
	r.Helper()
	command := "SET " + key + " x"
	if strings.HasSuffix(key, ":de:k") {
		command = "RPUSH " + key + " x"
	}
	return r.replace(key, command)
}

// ofParents returns what lies under the keys of the parents' queue.
func (r *rawQueue) ofParents() map[string]string {
	r.Helper()
	all := r.contents()
	maps.DeleteFunc(all, func(key, _ string) bool { return !strings.HasPrefix(key, "bull:mother:") })
	return all
}

// wantParentSafe checks that the parent is ready, or waits for a child that is
// there and to be worked or retried.
func (r *rawQueue) wantParentSafe() {
	r.Helper()
	if slices.Contains(r.rdb.LRange(r.Context(), "bull:mother:wait", 0, -1).Val(), "p") {
		return
	}
	if err := r.rdb.ZScore(r.Context(), "bull:mother:waiting-children", "p").Err(); err != nil {
		r.Errorf("the parent is in no place: %v", err)
	}
	r.wantSet("bull:mother:p:dependencies", "bull:q:c")
	r.wantKey("bull:q:c", true)
}

// A counter of priorities that is none does not keep a parent.
func TestAParentWithAPriorityIsReleasedWithoutACounter(t *testing.T) {
	r, _ := newFamily(t, &journal{}, redisqueue.KeepWaiting, domain.Retention{}, 3)
	r.do("SET bull:mother:pc x")
	r.end(nil, nil)
	r.wantRanked("bull:mother:prioritized", "p")
}

// Workers touch no parent outside of the prefix, and say so.
func TestAParentBelowAnotherPrefixIsLeftAlone(t *testing.T) {
	said := &journal{}
	r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	r.do("HSET other:q:p name n timestamp 1", "SADD other:q:p:dependencies bull:q:a", "ZADD other:q:waiting-children 1 p",
		"HSET bull:q:a name n data {} opts {} timestamp 1 delay 0 priority 0 parentKey other:q:p parent {}", "LPUSH bull:q:wait a")
	r.end(nil, nil)
	r.wantSet("other:q:p:dependencies", "bull:q:a")
	if said.count("a parent was not told") != 1 || said.count("other:q:p") != 1 {
		t.Errorf("the log says %s, want once that the parent was not told, and its key", said.read())
	}
}

func TestALinkIsNotCutHalfWay(t *testing.T) {
	t.Parallel()
	for _, key := range keysOfParents {
		r, _ := newFamily(t, &journal{}, redisqueue.KeepWaiting, domain.Retention{}, 0)
		mend := r.damage("bull:mother:" + key)
		before := r.contents()
		_, err := r.queue().RemoveChildLink(t.Context(), "c")
		wantNamed(t, "RemoveChildLink", err, "bull:mother:"+key)
		if diff := cmp.Diff(before, r.contents()); diff != "" {
			t.Errorf("%s: keys are not what they were (-before +after):\n%s", key, diff)
		}
		mend()
		if cut, err := r.queue().RemoveChildLink(t.Context(), "c"); err != nil || !cut {
			t.Errorf("%s: RemoveChildLink of a mended queue = %t, %v, want true", key, cut, err)
		}
		r.wantList("bull:mother:wait", "p")
	}
}

// wantNamed checks that a call failed for good, with the name of the key.
func wantNamed(t *testing.T, call string, err error, key string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "("+key+")") || errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("%s = %v, want an error that names %s", call, err, key)
	}
}

// damagedAdds are keys that the call of addMuch needs.
var damagedAdds = []string{
	"q:wait", "q:delayed", "q:prioritized", "q:events", "q:meta", "q:waiting-children", "q:completed", "q:failed", "q:id", "q:de:k",
	"mother:wait", "mother:delayed", "mother:prioritized", "mother:events", "mother:waiting-children", "mother:meta",
	"mother:p:dependencies", "mother:p:processed", "mother:p:failed", "mother:p:unsuccessful",
	"q:root:dependencies", "q:root:processed",
}

// addMuch adds jobs of all kinds in one call.
func (r *rawQueue) addMuch() ([]redisqueue.AddedNode, error) {
	ranked, late, done, once := leaf("ranked"), leaf("late"), leaf("done"), leaf("")
	ranked.Options.Priority, late.Options.Delay, once.Options.Deduplication.Key = 3, 1e12, "k"
	done.Parent = redisqueue.JobRef{Queue: "mother", ID: "p"}
	return r.backend.AddFlows(r.Context(), leaf("plain"), once, tree("root", ranked, late), done)
}

// What is damaged stops a call before it writes anything; repeated when that is
// mended, it adds each job once.
func TestDamageStopsAFlowBeforeItIsAdded(t *testing.T) {
	t.Parallel()
	for _, key := range damagedAdds {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.do("HSET bull:mother:p name n data {} opts {} timestamp 1 delay 0 priority 0", "ZADD bull:mother:waiting-children 1 p",
				"HSET bull:q:done name n data {} opts {} timestamp 1 returnvalue 7", "ZADD bull:q:completed 1 done")
			mend := r.damage("bull:" + key)
			before := r.contents()
			added, err := r.addMuch()
			wantNamed(t, "AddFlows", err, "bull:"+key)
			if added[0].Err == nil {
				t.Errorf("AddFlows = %+v, want each answer with the error", added)
			}
			if diff := cmp.Diff(before, r.contents()); diff != "" {
				t.Errorf("keys are not what they were (-before +after):\n%s", diff)
			}
			mend()
			if _, err := r.addMuch(); err != nil {
				t.Errorf("AddFlows of mended queues = %v, want no error", err)
			}
			if n := r.rdb.LLen(t.Context(), "bull:q:wait").Val(); n != 2 {
				t.Errorf("%d jobs wait, want the plain one and the one with a key", n)
			}
			r.wantList("bull:mother:wait", "p")
		})
	}
}

// What lies in the way of one job is that job's answer.
func TestDamageInTheWayOfOneJobIsItsAnswer(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.do("SET bull:q:id 4", "RPUSH bull:q:6 x")
	added, err := r.queue().Add(t.Context(), redisqueue.NewJob{Name: "a", Parent: ref("p")}, redisqueue.NewJob{Name: "b", Parent: ref("p")},
		redisqueue.NewJob{Name: "c", Parent: ref("p")})
	if !errors.Is(err, redisqueue.ErrNoJob) || !strings.Contains(fmt.Sprint(err), "bull:q:6") || !errors.Is(added[1].Err, redisqueue.ErrNoJob) {
		t.Errorf("Add = %+v, %v, want the second refused, and its key", added, err)
	}
	if added[0].ID != "5" || added[2].ID != "7" || added[2].Status != domain.Accepted {
		t.Errorf("Add = %+v, want the others accepted as 5 and 7", added)
	}
	r.wantList("bull:q:wait", "7", "5")
	r.wantSet("bull:q:p:dependencies", "bull:q:5", "bull:q:7")
}

// A stream that takes no more entries cannot be foreseen: each job of it is
// refused, nothing is left of them, and the others are there.
func TestAFlowAtTheEndOfAStreamLeavesNothingHalfDone(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("XADD bull:q:events 18446744073709551615-18446744073709551615 event x")
	other := leaf("other")
	other.Queue = "sound"
	added, err := r.backend.AddFlows(t.Context(), tree("root", leaf("a")), leaf("b"), other)
	if err == nil || added[0].Err == nil || added[0].Children[0].Err == nil || added[1].Err == nil {
		t.Errorf("AddFlows = %+v, %v, want the jobs of the queue refused", added, err)
	}
	if added[2].Status != domain.Accepted {
		t.Errorf("AddFlows = %+v, want the job of the other queue accepted", added[2])
	}
	for _, key := range []string{"root", "root:dependencies", "a", "b", "wait", "waiting-children"} {
		r.wantKey("bull:q:"+key, false)
	}
	r.wantList("bull:sound:wait", "other")
}

// A child is retried though its parent is damaged, which keeps what it knows.
func TestARetryLeavesADamagedParentAsItWas(t *testing.T) {
	r, _ := newFamily(t, &journal{}, redisqueue.KeepWaiting, domain.Retention{}, 0)
	r.end(nil, nil)
	r.damage("bull:mother:p:dependencies")
	before := r.ofParents()
	if err := r.queue().Retry(t.Context(), "c", redisqueue.RetryOptions{From: domain.StateCompleted}); err != nil {
		t.Errorf("Retry = %v, want no error", err)
	}
	if diff := cmp.Diff(before, r.ofParents()); diff != "" {
		t.Errorf("the parent is not as it was (-before +after):\n%s", diff)
	}
}
