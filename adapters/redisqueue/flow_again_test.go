package redisqueue_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// end works the jobs of the queue "q" that wait: those whose id is in failing
// fail, those in passed are given back, and the others complete.
func (r *rawQueue) end(failing, passed []domain.JobID) {
	r.Helper()
	c := r.consumer()
	leases := reserve(r, c, 1000)
	for i := range leases {
		id, outcome := leases[i].Job.ID, domain.Outcome{Kind: domain.Completed, Result: []byte(`1`)}
		switch {
		case slices.Contains(failing, id):
			outcome = domain.Outcome{Kind: domain.Failed, Reason: "broken"}
		case slices.Contains(passed, id):
			outcome = domain.Outcome{Kind: domain.Returned}
		}
		settleOne(r, c, &leases[i], outcome)
	}
}

// contents returns what is under each key but those of sessions, whatever the
// order in which the server holds it.
func (r *rawQueue) contents() map[string]string {
	r.Helper()
	all := map[string]string{}
	for key, held := range r.held("bull:*") {
		all[key] = held.text
	}
	return all
}

// addAgain adds a flow that is there, which must change nothing but tell it.
func (r *rawQueue) addAgain(flow redisqueue.FlowNode) redisqueue.AddedNode {
	r.Helper()
	before := r.contents()
	added := r.addFlow(flow)
	after := r.contents()
	for _, told := range []string{"bull:q:events", "bull:q:id"} {
		delete(before, told)
		delete(after, told)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		r.Errorf("a flow that was there changed keys (-before +after):\n%s", diff)
	}
	return added
}

func (r *rawQueue) wantDuplicates(added *redisqueue.AddedNode) {
	r.Helper()
	if added.Status != domain.DuplicateID {
		r.Errorf("%s is %s, want a duplicate", added.ID, added.Status)
	}
	for i := range added.Children {
		r.wantDuplicates(&added.Children[i])
	}
}

// settled is a node that is done in one of the ways in which children are.
func settled(id domain.JobID, policy redisqueue.OnFailure, keep domain.Retention) redisqueue.FlowNode {
	node := leaf(id)
	node.Extras.OnFailure = policy
	node.Options.KeepCompleted, node.Options.KeepFailed = keep, keep
	return node
}

func TestAFlowThatIsAddedAgainLeavesChildrenThatAreDone(t *testing.T) {
	r := newRawQueue(t, nil)
	flow := tree("root", leaf("later"),
		settled("done", redisqueue.KeepWaiting, domain.Retention{}),
		settled("done-removed", redisqueue.KeepWaiting, domain.KeepNone()),
		settled("ignored", redisqueue.IgnoreFailure, domain.Retention{}),
		settled("ignored-removed", redisqueue.IgnoreFailure, domain.KeepNone()),
		settled("forgotten", redisqueue.ForgetChild, domain.Retention{}))
	r.addFlow(flow)
	r.end([]domain.JobID{"ignored", "ignored-removed", "forgotten"}, []domain.JobID{"later"})
	r.wantSet("bull:q:root:dependencies", "bull:q:later")

	added := r.addAgain(flow)
	r.wantDuplicates(&added)
	r.wantSet("bull:q:root:dependencies", "bull:q:later")
	r.wantList("bull:q:wait", "later")
	r.end(nil, nil)
	r.wantList("bull:q:wait", "root")
}

// A child that failed its parent is done with, too.
func TestAFlowThatIsAddedAgainLeavesAChildThatFailedIt(t *testing.T) {
	for name, keep := range map[string]domain.Retention{"kept": {}, "removed": domain.KeepNone()} {
		t.Run(name, func(t *testing.T) {
			r := newRawQueue(t, nil)
			flow := tree("root", leaf("later"), settled("broken", redisqueue.FailParent, keep))
			r.addFlow(flow)
			r.end([]domain.JobID{"broken"}, []domain.JobID{"later"})
			r.wantRanked("bull:q:root:unsuccessful", "bull:q:broken")
			added := r.addAgain(flow)
			r.wantDuplicates(&added)
			r.wantSet("bull:q:root:dependencies", "bull:q:later")
		})
	}
}

// What is left of an earlier job of the parent's id says nothing of its
// children.
func TestANewParentKnowsOfNoChildrenThatAreDone(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:root:processed bull:q:a 1")
	added := r.addFlow(tree("root", leaf("a")))
	if added.Children[0].Status != domain.Accepted {
		t.Errorf("a is %s, want accepted", added.Children[0].Status)
	}
	r.wantSet("bull:q:root:dependencies", "bull:q:a")
	r.wantList("bull:q:wait", "a")
}

// A child that is taken from its parent is forgotten, and can be its child
// again.
func TestAChildThatWasTakenAwayIsAddedAgain(t *testing.T) {
	r := newRawQueue(t, nil)
	flow := tree("root", leaf("a"), leaf("b"))
	r.addFlow(flow)
	if _, err := r.queue().RemoveChildLink(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	r.addFlow(flow)
	r.wantSet("bull:q:root:dependencies", "bull:q:a", "bull:q:b")
}

// Removed with its children, a flow is a new one when it is added again.
func TestAFlowThatIsRemovedAndAddedAgainIsWorkedAnew(t *testing.T) {
	r := newRawQueue(t, nil)
	flow := tree("root", leaf("later"), settled("done", redisqueue.KeepWaiting, domain.KeepNone()))
	r.addFlow(flow)
	r.end(nil, []domain.JobID{"later"})
	if err := r.queue().Remove(t.Context(), "root", redisqueue.RemoveOptions{}); err != nil {
		t.Fatalf("Remove = %v, want no error", err)
	}
	added := r.addFlow(flow)
	for i := range added.Children {
		if added.Children[i].Status != domain.Accepted {
			t.Errorf("%s is %s, want accepted", added.Children[i].ID, added.Children[i].Status)
		}
	}
}

// keepNone has no job of the flow kept.
func keepNone(node *redisqueue.FlowNode) {
	node.Options.KeepCompleted = domain.KeepNone()
	for i := range node.Children {
		keepNone(&node.Children[i])
	}
}

// count completes what waits and counts how often each job was worked, until
// none is left.
func (r *rawQueue) count(times map[domain.JobID]int) {
	r.Helper()
	c := r.consumer()
	for r.rdb.LLen(r.Context(), "bull:q:wait").Val() > 0 {
		leases := reserve(r, c, 50)
		settlements := make([]domain.Settlement, len(leases))
		for i := range leases {
			times[leases[i].Job.ID]++
			settlements[i] = domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
		}
		if _, err := c.Settle(r.Context(), settlements, 0); err != nil {
			r.Fatal(err)
		}
	}
}

// The producer of a large flow goes away half-way, and what is there of it is
// worked and removed. Added again it is completed, and no job is worked twice.
func TestALargeFlowIsCompletedByAddingItAgain(t *testing.T) {
	t.Parallel()
	const parents, children = 3, 700
	r := newRawQueue(t, nil)
	flow := bigWithABadEnd(parents, children)
	keepNone(&flow)
	r.do("SET bull:damaged:delayed x")
	if _, err := r.backend.AddFlow(t.Context(), flow); err == nil {
		t.Fatal("AddFlow = nil, want an error")
	}
	times := map[domain.JobID]int{}
	r.count(times)
	if times["p0"] != 1 || times["p2"] != 0 || times["root"] != 0 {
		t.Fatalf("p0, p2 and root were worked %d, %d and %d times, want the first alone", times["p0"], times["p2"], times["root"])
	}
	r.wantKey("bull:q:p0", false)

	r.do("DEL bull:damaged:delayed")
	added := r.addFlow(flow)
	if got := added.Children[0]; got.Status != domain.DuplicateID || got.Children[children-1].Status != domain.DuplicateID {
		t.Errorf("p0 and its last child are %s and %s, want duplicates", got.Status, got.Children[children-1].Status)
	}
	r.count(times)
	for id, n := range times {
		if n != 1 {
			t.Errorf("%s was worked %d times, want once", id, n)
		}
	}
	if want := parents*(children+1) - 1; len(times) != want {
		t.Errorf("%d jobs were worked, want %d: all but the one on another queue and those above it", len(times), want)
	}
}

// A parent that ended goes before those of its children that a later call tells
// of.
func TestChildrenOfAParentThatEndedAreNotAdded(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	flow := tree("root", leaf("later"), big(1, 1500).Children[0])
	keepNone(&flow)
	r.addFlow(flow)
	r.do("LREM bull:q:wait 0 later")
	r.count(map[domain.JobID]int{})
	r.wantKey("bull:q:p0", false)
	added := r.addAgain(flow)
	r.wantDuplicates(&added)
	r.wantSet("bull:q:root:dependencies", "bull:q:later")
}

func TestAFlowIsAddedAgainUnderTheIDsOfItsAnswer(t *testing.T) {
	r := newRawQueue(t, nil)
	flow := tree("", tree("", leaf(""), leaf("")), leaf(""))
	added := r.addFlow(flow)
	again := r.addAgain(flow.WithIDs(added))
	r.wantDuplicates(&again)
	if flow.Options.ID != "" || flow.Children[0].Children[1].Options.ID != "" {
		t.Error("WithIDs changed the flow itself")
	}
}

func TestWithIDsKeepsChildrenWithoutAnAnswer(t *testing.T) {
	flow := tree("", leaf("a"), leaf("b"))
	named := flow.WithIDs(redisqueue.AddedNode{Added: redisqueue.Added{ID: "root"}})
	if named.Options.ID != "root" || len(named.Children) != 2 || named.Children[1].Options.ID != "b" {
		t.Errorf("WithIDs = %+v, want both children as they are", named)
	}
}
