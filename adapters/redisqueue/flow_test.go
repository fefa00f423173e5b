package redisqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/torture/proxy"
)

// leaf is a node of the queue "q" with an id.
func leaf(id domain.JobID) redisqueue.FlowNode {
	return redisqueue.FlowNode{Queue: "q", Name: "n", Options: domain.JobOptions{ID: id}}
}

// tree is a node of the queue "q" with children.
func tree(id domain.JobID, children ...redisqueue.FlowNode) redisqueue.FlowNode {
	node := leaf(id)
	node.Children = children
	return node
}

func (r *rawQueue) addFlow(flow redisqueue.FlowNode) redisqueue.AddedNode {
	r.Helper()
	added, err := r.backend.AddFlow(r.Context(), flow)
	if err != nil {
		r.Fatalf("AddFlow = %v, want no error", err)
	}
	return added
}

func (r *rawQueue) wantSet(key string, want ...string) {
	r.Helper()
	got := r.rdb.SMembers(r.Context(), key).Val()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		r.Errorf("%s = %v, want %v", key, got, want)
	}
}

func (r *rawQueue) wantRanked(key string, want ...string) {
	r.Helper()
	if got := r.rdb.ZRange(r.Context(), key, 0, -1).Val(); !slices.Equal(got, want) {
		r.Errorf("%s = %v, want %v", key, got, want)
	}
}

func TestAFlowIsAddedParentsFirst(t *testing.T) {
	r := newRawQueue(t, nil)
	second := leaf("b")
	second.Queue, second.Options.Delay = "other", time.Hour
	ranked := leaf("c")
	ranked.Options.Priority = 2
	added := r.addFlow(tree("root", tree("a", leaf("a1"), ranked), second))
	if added.ID != "root" || added.Children[0].Children[1].ID != "c" || added.Children[1].Ref() != (redisqueue.JobRef{Queue: "other", ID: "b"}) {
		t.Errorf("AddFlow = %+v, want the ids of the tree", added)
	}
	r.wantSet("bull:q:root:dependencies", "bull:other:b", "bull:q:a")
	r.wantSet("bull:q:a:dependencies", "bull:q:a1", "bull:q:c")
	r.wantRanked("bull:q:waiting-children", "a", "root")
	r.wantList("bull:q:wait", "a1")
	r.wantRanked("bull:q:prioritized", "c")
	r.wantRanked("bull:other:delayed", "b")
	r.wantField("bull:q:a1", "parent", `{"id":"a","queueKey":"bull:q"}`)
	r.wantField("bull:other:b", "opts", `{"attempts":0,"jobId":"b","delay":3600000,"parent":{"id":"root","queue":"bull:q"}}`)
	if got := r.rdb.Get(t.Context(), "bull:q:id").Val(); got != "4" {
		t.Errorf("counter = %s, want one up for each job of the queue", got)
	}
	r.wantEvents("added root n", "waiting-children root", "added a n", "waiting-children a", "added a1 n", "waiting a1", "added c n", "waiting c")
}

func TestJobsOfAFlowGetRandomIDs(t *testing.T) {
	r := newRawQueue(t, nil)
	added := r.addFlow(tree("", leaf(""), leaf("")))
	ids := map[domain.JobID]bool{added.ID: true, added.Children[0].ID: true, added.Children[1].ID: true}
	if len(ids) != 3 {
		t.Errorf("ids = %v, want three", ids)
	}
	for id := range ids {
		if len(id) != 36 || id[14] != '4' || id.Validate() != nil {
			t.Errorf("id = %s, want a UUID of version 4", id)
		}
		r.wantKey("bull:q:"+string(id), true)
	}
	r.wantField("bull:q:"+string(added.ID), "opts", `{"attempts":0}`)
}

func TestAFlowThatMakesNoSenseIsRefused(t *testing.T) {
	r := newRawQueue(t, nil)
	with := func(change func(*redisqueue.FlowNode)) redisqueue.FlowNode {
		node := leaf("x")
		change(&node)
		return node
	}
	once := domain.Deduplication{Key: "k"}
	for name, flow := range map[string]redisqueue.FlowNode{
		"no queue":             {Name: "n"},
		"no name":              {Queue: "q"},
		"a bad child":          tree("root", redisqueue.FlowNode{Queue: "q"}),
		"a reserved id":        tree("meta"),
		"a deduplicated child": tree("root", with(func(n *redisqueue.FlowNode) { n.Options.Deduplication = once })),
		"a deduplicated parent": with(func(n *redisqueue.FlowNode) {
			n.Options.Deduplication, n.Children = once, []redisqueue.FlowNode{leaf("y")}
		}),
		"a child with a parent":  tree("root", with(func(n *redisqueue.FlowNode) { n.Parent = redisqueue.JobRef{Queue: "q", ID: "p"} })),
		"a root with half a one": with(func(n *redisqueue.FlowNode) { n.Parent = redisqueue.JobRef{Queue: "q"} }),
		"a child of its own":     tree("a", tree("b", leaf("a"))),
		"a parent of its own":    with(func(n *redisqueue.FlowNode) { n.Parent = ref("x") }),
		"bad extras":             tree("root", with(func(n *redisqueue.FlowNode) { n.Extras.OnFailure = "x" })),
	} {
		if added, err := r.backend.AddFlows(t.Context(), leaf("good"), flow); added != nil || !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: AddFlows = %v, %v, want %v", name, added, err, domain.ErrInvalid)
		}
	}
	if keys := r.dump(); len(keys) > 0 {
		t.Errorf("keys = %v, want none", sortedKeys(keys))
	}
}

func TestAFlowOfOneJobMayBeDeduplicated(t *testing.T) {
	r := newRawQueue(t, nil)
	node := leaf("")
	node.Options.Deduplication.Key = "k"
	first, second := r.addFlow(node), r.addFlow(node)
	if second.Status != domain.Deduplicated || second.ID != first.ID {
		t.Errorf("second = %+v, want %s, deduplicated", second, first.ID)
	}
}

func TestAFlowMayBelongToAParentThatIsThere(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	flow := tree("root", leaf("a"))
	flow.Parent = redisqueue.JobRef{Queue: "q", ID: "p"}
	r.addFlow(flow)
	r.wantSet("bull:q:p:dependencies", "bull:q:root")
	flow = tree("root2", leaf("a2"))
	flow.Parent = redisqueue.JobRef{Queue: "q", ID: "gone"}
	added, err := r.backend.AddFlow(t.Context(), flow)
	if !errors.Is(err, redisqueue.ErrNoParent) || !errors.Is(added.Err, redisqueue.ErrNoParent) || !errors.Is(added.Children[0].Err, redisqueue.ErrNoParent) {
		t.Errorf("AddFlow = %+v, %v, want both jobs refused with %v", added, err, redisqueue.ErrNoParent)
	}
	r.wantKey("bull:q:root2", false)
	r.wantKey("bull:q:a2", false)
}

// One node that cannot be added says so; the others are there.
func TestANodeThatCannotBeAddedIsReported(t *testing.T) {
	r := newRawQueue(t, nil)
	r.addFlow(tree("other", leaf("theirs")))
	added, err := r.backend.AddFlow(t.Context(), tree("root", leaf("theirs"), leaf("ours")))
	if !errors.Is(err, redisqueue.ErrOtherParent) || !errors.Is(added.Children[0].Err, redisqueue.ErrOtherParent) {
		t.Errorf("AddFlow = %+v, %v, want %v for the first child", added, err, redisqueue.ErrOtherParent)
	}
	if added.Status != domain.Accepted || added.Children[1].Status != domain.Accepted {
		t.Errorf("AddFlow = %+v, want the others accepted", added)
	}
	r.wantSet("bull:q:root:dependencies", "bull:q:ours")
	r.wantSet("bull:q:other:dependencies", "bull:q:theirs")
}

func TestAFlowWhoseChildrenAreAllDoneIsReleased(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:done name n timestamp 1 returnvalue 7", "ZADD bull:q:completed 1 done")
	added := r.addFlow(tree("root", tree("middle", leaf("done"))))
	if got := added.Children[0].Children[0]; got.Status != domain.DuplicateID {
		t.Errorf("the child = %+v, want a duplicate", got)
	}
	r.wantField("bull:q:middle:processed", "bull:q:done", "7")
	r.wantList("bull:q:wait", "middle")
	r.wantRanked("bull:q:waiting-children", "root")
}

// big is a flow of more jobs than one call takes: parents with children of
// their own in many of the calls.
func big(parents, children int) redisqueue.FlowNode {
	root := tree("root")
	for i := range parents {
		parent := tree(domain.JobID(fmt.Sprintf("p%d", i)))
		for j := range children {
			parent.Children = append(parent.Children, leaf(domain.JobID(fmt.Sprintf("c%d-%d", i, j))))
		}
		root.Children = append(root.Children, parent)
	}
	return root
}

func (r *rawQueue) wantWholeFlow(parents, children int) {
	r.Helper()
	if n := r.rdb.SCard(r.Context(), "bull:q:root:dependencies").Val(); int(n) != parents {
		r.Errorf("the root waits for %d jobs, want %d", n, parents)
	}
	for i := range parents {
		if n := r.rdb.SCard(r.Context(), fmt.Sprintf("bull:q:p%d:dependencies", i)).Val(); int(n) != children {
			r.Errorf("p%d waits for %d jobs, want %d", i, n, children)
		}
	}
	if n := r.rdb.LLen(r.Context(), "bull:q:wait").Val(); int(n) != parents*children {
		r.Errorf("%d jobs are ready, want %d", n, parents*children)
	}
}

func TestALargeFlowIsAddedInSlices(t *testing.T) {
	t.Parallel()
	const parents, children = 3, 700
	r := newRawQueue(t, nil)
	r.addFlow(big(parents, children))
	r.wantWholeFlow(parents, children)
}

// bigWithABadEnd is a large flow whose last child is for a queue whose keys are
// damaged, so that the call that it is in fails.
func bigWithABadEnd(parents, children int) redisqueue.FlowNode {
	flow := big(parents, children)
	bad := leaf("bad")
	bad.Queue = "damaged"
	last := &flow.Children[parents-1]
	last.Children = append(last.Children, bad)
	return flow
}

// While a large flow is being added its parents wait, even when all children
// that are there are done: they know of one that is yet to come.
func TestAParentWaitsForChildrenThatAreYetToCome(t *testing.T) {
	t.Parallel()
	const parents, children = 2, 700
	r := newRawQueue(t, nil)
	r.do("SET bull:damaged:delayed x")
	flow := bigWithABadEnd(parents, children)
	added, err := r.backend.AddFlow(t.Context(), flow)
	wantLoud(t, "AddFlow", err)
	last := added.Children[1].Children[children]
	if added.Status != domain.Accepted || added.Children[0].Status != domain.Accepted || last.Err == nil {
		t.Errorf("AddFlow = %+v … %+v, want the first jobs accepted and the last not", added.Added, last.Added)
	}
	there := int(r.rdb.LLen(t.Context(), "bull:q:wait").Val())
	if there <= children || there >= parents*children {
		t.Fatalf("%d children are there, want some of the second parent", there)
	}
	c := r.consumer()
	for done := 0; done < there; {
		leases := reserve(t, c, 50)
		for i := range leases {
			if leases[i].Job.ID == "p1" || leases[i].Job.ID == "root" {
				t.Fatalf("%s is worked before all of its children are there", leases[i].Job.ID)
			}
			settleOne(t, c, &leases[i], domain.Outcome{Kind: domain.Completed, Result: []byte(`1`)})
			if leases[i].Job.ID != "p0" {
				done++
			}
		}
	}
	r.wantSet("bull:q:p1:dependencies", fmt.Sprintf("bull:q:c1-%d", there-children))

	// Added again it is completed.
	r.do("DEL bull:damaged:delayed")
	added = r.addFlow(flow)
	if got := added.Children[1].Children; got[0].Status != domain.DuplicateID || got[children-1].Status != domain.Accepted {
		t.Errorf("AddFlow = %+v … %+v, want the first child known and the last one new", got[0], got[children-1])
	}
	if n := r.rdb.SCard(t.Context(), "bull:q:p1:dependencies").Val(); int(n) != parents*children-there+1 {
		t.Errorf("p1 waits for %d jobs, want the %d that are not done", n, parents*children-there+1)
	}
	if n := r.rdb.HLen(t.Context(), "bull:q:p1:processed").Val(); int(n) != there-children {
		t.Errorf("p1 has the results of %d jobs, want %d", n, there-children)
	}
}

// A child that was announced to its parent and cannot be added is not waited
// for.
func TestAnAnnouncedChildThatCannotBeAddedIsNotWaitedFor(t *testing.T) {
	r := newRawQueue(t, nil)
	r.addFlow(tree("other", leaf("theirs")))
	flow := tree("root")
	for i := range 998 {
		flow.Children = append(flow.Children, leaf(domain.JobID(fmt.Sprintf("c%d", i))))
	}
	middle := tree("middle", leaf("theirs"))
	flow.Children = append(flow.Children, middle)
	added, err := r.backend.AddFlow(t.Context(), flow)
	if last := added.Children[998].Children[0]; !errors.Is(err, redisqueue.ErrOtherParent) || !errors.Is(last.Err, redisqueue.ErrOtherParent) {
		t.Errorf("AddFlow = %+v, %v, want %v for the last job", last, err, redisqueue.ErrOtherParent)
	}
	r.wantKey("bull:q:middle:dependencies", false)
	// The parent lacks a child, and waits until it gets one or is let go.
	if err := r.rdb.ZScore(t.Context(), "bull:q:waiting-children", "middle").Err(); err != nil {
		t.Errorf("the parent of the refused job does not wait: %v", err)
	}
}

func TestALostReplyAddsNoFlowTwice(t *testing.T) {
	const parents, children = 3, 700
	b, p, _ := unsteady(t)
	calls := 0
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if bytes.Contains(bytes.ToLower(e.Request), []byte("evalsha")) {
			calls++
			// The script is not known to the first one.
			if calls == 2 || calls == 4 {
				return proxy.Verdict{Kind: proxy.DropReply}
			}
		}
		return proxy.Verdict{}
	})
	added, err := b.AddFlow(t.Context(), big(parents, children))
	if err != nil || p.Count(proxy.DropReply) != 2 {
		t.Fatalf("AddFlow = %v with %d lost replies, want no error with 2", err, p.Count(proxy.DropReply))
	}
	p.Set(nil)
	for i := range added.Children {
		for j := range added.Children[i].Children {
			if got := added.Children[i].Children[j]; got.Status != domain.Accepted {
				t.Fatalf("%s is %s, want accepted", got.ID, got.Status)
			}
		}
	}
	counts, err := b.Counts(t.Context(), "q")
	if err != nil || counts[0].Jobs[domain.StateWait] != parents*children || counts[0].Jobs[domain.StateWaitingChildren] != parents+1 {
		t.Errorf("Counts = %v, %v, want each job once", counts, err)
	}
}

func TestAddedFlowSaysHowFarItCame(t *testing.T) {
	r := newRawQueue(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	added, err := r.backend.AddFlow(ctx, tree("root", leaf("a")))
	if !errors.Is(err, context.Canceled) || !errors.Is(added.Err, context.Canceled) || added.ID != "root" || !errors.Is(added.Children[0].Err, context.Canceled) {
		t.Errorf("AddFlow = %+v, %v, want all jobs with the context's error", added, err)
	}
	if !strings.HasPrefix(err.Error(), "add flow: ") {
		t.Errorf("error = %v, want it to name the operation", err)
	}
}
