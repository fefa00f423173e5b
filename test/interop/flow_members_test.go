package interop_test

import (
	"slices"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// What Node reads of a parent whose children Takt worked.

func TestNodeReadsTheChildrenThatTaktWorked(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		release := make(chan struct{})
		l.addFlow(nil,
			child("good", node.Opts{"jobId": "good"}),
			child("bad", node.Opts{"jobId": "ignored", "ignoreDependencyOnFailure": true}),
			child("bad", node.Opts{"jobId": "lost"}),
			child("held", node.Opts{"jobId": "held"}))
		l.work(work{queue: "parts", concurrency: 4, handlers: handlers{"good": echo, "bad": fails(errBusy), "held": holds(release)}})
		queue := l.Queue("mail")
		root := queue.KeepJob("root")
		await(t, "three children to be done", func() bool {
			return l.redis.ZCard(t.Context(), partKey("completed")).Val()+l.redis.ZCard(t.Context(), partKey("failed")).Val() == 3
		})
		for _, c := range []struct{ method, want string }{
			{"getChildrenValues", `{"bull:parts:good":"good"}`},
			{"getIgnoredChildrenFailures", `{"bull:parts:ignored":"busy"}`},
			{"getFailedChildrenValues", `{"bull:parts:ignored":"busy"}`},
		} {
			if got := string(root.Call(c.method)); indented(got) != indented(c.want) {
				t.Errorf("%s = %s, want %s", c.method, got, c.want)
			}
		}
		type page struct {
			Processed   map[string]any `json:"processed"`
			Unprocessed []string       `json:"unprocessed"`
			Ignored     map[string]any `json:"ignored"`
		}
		one := node.Opts{"count": 10, "cursor": 0}
		got := node.Decode[page](t, root.Call("getDependencies", node.Opts{"processed": one, "unprocessed": one, "ignored": one, "failed": one}))
		if len(got.Processed) != 1 || len(got.Unprocessed) < 1 || len(got.Ignored) != 1 {
			t.Errorf("getDependencies = %+v, want one done, one ignored, and those left", got)
		}
		counts := node.Decode[map[string]int](t, root.Call("getDependenciesCount", node.Opts{"processed": true, "unprocessed": true, "ignored": true, "failed": true}))
		if counts["processed"] != 1 || counts["ignored"] != 1 {
			t.Errorf("getDependenciesCount = %v, want one done and one ignored", counts)
		}
		close(release)
	})
}

// Node takes a child of Takt's parent away, and the parent goes on.
func TestNodeUnlinksAChildOfTaktsParent(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.addFlow(nil, child("good", node.Opts{"jobId": "a"}))
		if removed := string(l.Queue("parts").OnJob("a", "removeChildDependency")); removed != "true" {
			t.Errorf("removeChildDependency = %s, want true", removed)
		}
		l.work(work{handlers: handlers{"all": echo}})
		l.awaitIn("completed", "root")
	})
}

func TestNodeShowsAsMuchOfAFlowAsItIsAskedFor(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.addTree(whole(named(""), piece("x", named("x"), redisqueue.Extras{}), piece("y", named("y"), redisqueue.Extras{}), piece("z", named("z"), redisqueue.Extras{})))
		flow := l.Flow()
		for _, c := range []struct {
			opts node.Opts
			want int
		}{
			{node.Opts{}, 3}, {node.Opts{"depth": 1}, 0}, {node.Opts{"depth": 2}, 3}, {node.Opts{"prefix": "bull"}, 3},
		} {
			got := node.Decode[shape](t, flow.Call("getFlow", mergeOpts(node.Opts{"queueName": "mail", "id": "root"}, c.opts)))
			if len(got.Children) != c.want {
				t.Errorf("getFlow with %v shows %d children, want %d", c.opts, len(got.Children), c.want)
			}
		}
	})
}

// maxChildren bounds the pages of Redis' scan, which sets may exceed.
func TestNodeShowsAFlowOfTaktInPages(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.addTree(whole(named(""), piece("x", named("x"), redisqueue.Extras{}), piece("y", named("y"), redisqueue.Extras{})))
		got := node.Decode[shape](t, l.Flow().Call("getFlow", node.Opts{"queueName": "mail", "id": "root", "maxChildren": 1, "depth": 2}))
		if n := len(got.Children); n < 1 || n > 2 {
			t.Errorf("getFlow shows %d children, want one or, with small sets, both", n)
		}
	})
}

// Defaults of the queues of a flow reach Takt.
func TestOptionsOfTheQueuesOfAFlowReachTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.Flow().Call("add",
			node.Opts{"name": "all", "queueName": "mail", "children": []node.Opts{{"name": "send", "queueName": "mail", "data": 1}}},
			node.Opts{"queuesOptions": node.Opts{"mail": node.Opts{"defaultJobOptions": node.Opts{"attempts": 6}}}})
		if got := l.desk().next().Job.Options.Attempts; got != 6 {
			t.Errorf("attempts = %d, want those of the queue in the flow", got)
		}
	})
}

// Several flows in one call, by Node and by Takt, lie in Redis alike.
func TestFlowsInBulkAreTheSameByBoth(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		two := func(id string) redisqueue.FlowNode {
			root := whole(domain.JobOptions{}, piece("good", domain.JobOptions{}, redisqueue.Extras{}))
			root.Options.ID = domain.JobID(id)
			return root
		}
		if _, err := l.producer().AddFlows(t.Context(), two("one"), two("two")); err != nil {
			t.Fatal(err)
		}
		var trees []node.Opts
		for _, id := range []string{"one", "two"} {
			trees = append(trees, node.Opts{
				"name": "all", "queueName": "mail", "data": "root", "opts": node.Opts{"jobId": id}, "children": []node.Opts{child("good", nil)},
			})
		}
		other.Flow().Call("addBulk", trees)
		if diff := keydump.Diff(other.all(), l.all()); diff != "" {
			t.Errorf("takt's flows differ from node's (-node +takt):\n%s", diff)
		}
		other.work(work{handlers: handlers{"all": echo}})
		other.workParts(nil)
		other.awaitCount("completed", 2)
	})
}

func TestTaktShowsAsManyChildrenAsItIsAskedFor(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.addFlow(nil, child("good", nil), child("good", nil), child("good", nil))
		got, err := l.producer().Flow(t.Context(), redisqueue.JobRef{Queue: "mail", ID: "root"}, redisqueue.FlowLimits{MaxChildren: 1})
		if err != nil || len(got.Children) != 1 {
			t.Errorf("Flow with one child at most = %d children, %v", len(got.Children), err)
		}
	})
}

// A prefix of Node's is that of one job of a flow: those below it are under the
// producer's again. Node's workers tell parents below other prefixes, Takt's
// touch none; they work a parent whose child Node has worked.
func TestAFlowOverTwoPrefixesIsWorkedWithNode(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		far, below := child("good", node.Opts{"jobId": "a"}), child("good", node.Opts{"jobId": "b"})
		far["prefix"], far["children"] = "far", []node.Opts{below}
		l.addFlow(nil, far)
		if deps := must(t, l.redis.SMembers(t.Context(), "far:parts:a:dependencies")); !slices.Equal(deps, []string{"bull:parts:b"}) {
			t.Errorf("the child below another prefix waits for %v, want a job below the producer's", deps)
		}
		// Takt works the job at the end: its parent stays as it is.
		l.workParts(nil)
		await(t, "takt to work the last job", func() bool { return l.redis.ZScore(t.Context(), partKey("completed"), "b").Err() == nil })
		if state := l.Prefixed("far").Queue("parts").State("a"); state != "waiting-children" {
			t.Errorf("the parent below another prefix is %s, want waiting-children", state)
		}
		// Let go by hand, it is worked by Node, which tells Takt's parent.
		must(t, l.redis.SRem(t.Context(), "far:parts:a:dependencies", "bull:parts:b"))
		must(t, l.redis.ZRem(t.Context(), "far:parts:waiting-children", "a"))
		must(t, l.redis.LPush(t.Context(), "far:parts:wait", "a"))
		l.Prefixed("far").Worker("parts", node.Steps{})
		l.work(work{handlers: handlers{"all": echo}})
		l.awaitIn("completed", "root")
		values, err := l.queue("mail").ChildrenValues(t.Context(), "root")
		if ref := (redisqueue.JobRef{Prefix: "far", Queue: "parts", ID: "a"}); err != nil || string(values[ref]) != `"good"` {
			t.Errorf("ChildrenValues = %v, %v, want that of %v", values, err, ref)
		}
	})
}
