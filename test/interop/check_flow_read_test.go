package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// mixed adds a flow by Takt with a child that ends in each way, and has it
// worked by Takt or by Node.
func (l *lab) mixed(byNode bool) {
	l.t.Helper()
	root := whole(domain.JobOptions{},
		piece("good", named("a"), redisqueue.Extras{}),
		piece("bad", named("b"), redisqueue.Extras{OnFailure: redisqueue.FailParent}),
		piece("bad", named("c"), redisqueue.Extras{OnFailure: redisqueue.IgnoreFailure}),
		piece("good", domain.JobOptions{ID: "d", Delay: 3600e9}, redisqueue.Extras{}))
	below := piece("good", named("e"), redisqueue.Extras{})
	below.Children = []redisqueue.FlowNode{piece("good", domain.JobOptions{ID: "f", Delay: 3600e9}, redisqueue.Extras{})}
	root.Children = append(root.Children, below)
	l.addTree(root)
	if byNode {
		l.Worker("parts", node.Steps{"bad": {node.Fail(errBusy.Error())}}, node.Opts{"name": "w"})
	} else {
		l.workParts(nil)
	}
	await(l.t, "the children to be done", func() bool {
		return l.redis.ZCard(l.t.Context(), partKey("completed")).Val()+l.redis.ZCard(l.t.Context(), partKey("failed")).Val() == 3
	})
}

// fullKeys are the keys of jobs as Node names them.
func fullKeys[V any](children map[redisqueue.JobRef]V) map[string]V {
	keys := map[string]V{}
	for ref, value := range children {
		keys["bull:"+ref.String()] = value
	}
	return keys
}

func TestCheck57_TaktReadsChildrenAsNodeDoes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		for _, byNode := range []bool{false, true} {
			l := newLab(t, l.Version)
			l.mixed(byNode)
			queue, ours := l.Queue("mail"), l.queue("mail")
			counts, err := ours.DependenciesCount(t.Context(), "root")
			want := node.Decode[map[string]int](t, queue.OnJob("root", "getDependenciesCount"))
			got := map[string]int{"processed": counts.Processed, "unprocessed": counts.Unprocessed, "ignored": counts.Ignored, "failed": counts.Failed}
			if want, got := node.Encode(t, want), node.Encode(t, got); err != nil || want != got {
				t.Errorf("DependenciesCount = %s, %v, want node's %s", got, err, want)
			}
			values, err := ours.ChildrenValues(t.Context(), "root")
			if want, got := string(queue.OnJob("root", "getChildrenValues")), node.Encode(t, fullKeys(values)); err != nil || want != got {
				t.Errorf("ChildrenValues = %s, %v, want node's %s", got, err, want)
			}
			reasons, err := ours.IgnoredFailures(t.Context(), "root")
			if want, got := string(queue.OnJob("root", "getIgnoredChildrenFailures")), node.Encode(t, fullKeys(reasons)); err != nil || want != got {
				t.Errorf("IgnoredFailures = %s, %v, want node's %s", got, err, want)
			}
			l.wantSamePages(queue, ours)
		}
	})
}

// wantSamePages checks that the children of the job root are on Takt's pages
// as they are in what getDependencies of Node returns.
func (l *lab) wantSamePages(queue *node.Queue, ours *redisqueue.Queue) {
	l.t.Helper()
	all := node.Decode[map[string]json.RawMessage](l.t, queue.OnJob("root", "getDependencies", node.Opts{
		"processed": node.Opts{}, "unprocessed": node.Opts{}, "ignored": node.Opts{}, "failed": node.Opts{},
	}))
	for _, kind := range []redisqueue.ChildKind{redisqueue.ChildProcessed, redisqueue.ChildUnprocessed, redisqueue.ChildIgnored, redisqueue.ChildFailed} {
		var want []string
		var byKey map[string]any
		if json.Unmarshal(all[string(kind)], &want) != nil {
			byKey = node.Decode[map[string]any](l.t, all[string(kind)])
			for key := range byKey {
				want = append(want, key)
			}
		}
		page, err := ours.Dependencies(l.t.Context(), "root", redisqueue.ChildQuery{Kind: kind})
		var got []string
		for i := range page.Children {
			got = append(got, "bull:"+page.Children[i].String())
		}
		slices.Sort(want)
		slices.Sort(got)
		if err != nil || page.Next != "" || !slices.Equal(want, got) {
			l.t.Errorf("Dependencies(%s) = %v, %v, want node's %v", kind, got, err, want)
		}
	}
}

// outlineOf is outline for a flow that Takt read.
func outlineOf(tree *redisqueue.FlowTree) string {
	var children []string
	for i := range tree.Children {
		children = append(children, outlineOf(&tree.Children[i]))
	}
	slices.Sort(children)
	return fmt.Sprint(tree.Job.Job.Name, children)
}

func TestCheck59_TaktReadsAFlowAsNodeDoes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		l.mixed(true)
		for _, limits := range []redisqueue.FlowLimits{{}, {Depth: 2}} {
			opts := node.Opts{"queueName": "mail", "id": "root"}
			if limits.Depth > 0 {
				opts["depth"] = limits.Depth
			}
			want := node.Decode[shape](t, l.Flow().Call("getFlow", opts))
			got, err := l.producer().Flow(t.Context(), redisqueue.JobRef{Queue: "mail", ID: "root"}, limits)
			if err != nil || outlineOf(&got) != want.outline() {
				t.Errorf("Flow(%+v) = %s, %v, want node's %s", limits, outlineOf(&got), err, want.outline())
			}
		}
	})
}

func TestCheck59_TaktTakesAChildFromItsParentAsNodeDoes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		for _, lab := range []*lab{l, other} {
			lab.addFlow(node.Opts{"delay": 500}, child("good", node.Opts{"jobId": "a"}), child("good", node.Opts{"jobId": "b"}))
		}
		for _, id := range []string{"a", "b"} {
			if waited, err := l.queue("parts").RemoveChildLink(t.Context(), domain.JobID(id)); err != nil || !waited {
				t.Errorf("RemoveChildLink(%s) = %t, %v, want true", id, waited, err)
			}
			if waited := string(other.Queue("parts").OnJob(id, "removeChildDependency")); waited != "true" {
				t.Errorf("removeChildDependency of %s = %s, want true", id, waited)
			}
			if diff := keydump.Diff(other.all(), l.all()); diff != "" {
				t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
			}
		}
	})
}

// unfinished adds a flow with children in every state, one of them with
// children of its own.
func (l *lab) unfinished() {
	l.t.Helper()
	middle := child("good", node.Opts{"jobId": "middle"})
	middle["children"] = []node.Opts{
		child("good", node.Opts{"jobId": "x"}), child("bad", node.Opts{"jobId": "y", "ignoreDependencyOnFailure": true}),
		child("late", node.Opts{"jobId": "z", "delay": 3600000}),
	}
	l.addFlow(nil, middle, child("good", node.Opts{"jobId": "a"}), child("bad", node.Opts{"jobId": "n"}),
		child("late", node.Opts{"jobId": "d", "delay": 3600000}), child("late", node.Opts{"jobId": "p", "priority": 5}))
	l.Worker("parts", node.Steps{"bad": {node.Fail("no")}, "late": {{"do": "await", "gate": l.Gate()}}}, node.Opts{"name": "w", "concurrency": 1})
	await(l.t, "the last job to be under way", func() bool { return l.redis.Exists(l.t.Context(), partKey("p:lock")).Val() == 1 })
}

func TestCheck74_TaktRemovesUnprocessedChildrenAsNodeDoes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		l.unfinished()
		other.unfinished()
		removed, err := l.queue("mail").RemoveUnprocessedChildren(t.Context(), "root")
		if err != nil || len(removed) != 3 {
			t.Errorf("RemoveUnprocessedChildren = %v, %v, want d, middle and z", removed, err)
		}
		other.Queue("mail").OnJob("root", "removeUnprocessedChildren")
		want, got := other.all(), l.all()
		// Node tells of a parent that it makes ready before it is removed as well.
		delete(want, partKey("events"))
		delete(got, partKey("events"))
		if diff := keydump.Diff(want, got); diff != "" {
			t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
		}
	})
}

// A handler of Takt's adds a child, waits for it without a slot, and goes on
// when Node has worked it.
func TestCheck61_AHandlerOfTaktWaitsForItsChild(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		mail, parts := l.queue("mail"), l.queue("parts")
		l.put("send", `{}`, named("root"))
		l.work(work{handlers: handlers{"send": func(ctx context.Context, job *domain.Job) ([]byte, error) {
			values, err := mail.ChildrenValues(ctx, job.ID)
			if err != nil || len(values) > 0 {
				return values[redisqueue.JobRef{Queue: "parts", ID: "a"}], err
			}
			_, err = parts.Add(ctx, redisqueue.NewJob{
				Name: "good", Data: []byte(`"part"`), Options: named("a"), Parent: redisqueue.JobRef{Queue: job.Queue, ID: job.ID},
			})
			return nil, errors.Join(err, domain.WaitForChildren())
		}}})
		await(t, "the parent to wait", func() bool { return l.Queue("mail").State("root") == "waiting-children" })
		l.Worker("parts", node.Steps{})
		l.awaitIn("completed", "root")
		l.wantHash("root", map[string]string{"returnvalue": `"part"`, "atm": "1", "ats": "2"})
		l.wantStory("root", "added name=send", "waiting", "active prev=waiting", "waiting-children prev=active", "waiting prev=waiting-children",
			"active prev=waiting", `completed prev=active returnvalue="part"`)
	})
}

// A job whose child has failed it cannot wait for the others.
func TestCheck61_AJobWithAFailedChildDoesNotWait(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.put("send", `{}`, named("root"))
		desk := l.desk()
		lease := desk.next()
		parent := redisqueue.JobRef{Queue: "mail", ID: "root"}
		_, err := l.queue("parts").Add(t.Context(),
			redisqueue.NewJob{Name: "bad", Options: named("a"), Parent: parent, Extras: redisqueue.Extras{OnFailure: redisqueue.FailParent}},
			redisqueue.NewJob{Name: "late", Options: domain.JobOptions{ID: "b", Delay: 3600e9}, Parent: parent})
		if err != nil {
			t.Fatal(err)
		}
		l.Worker("parts", node.Steps{"bad": {node.Fail("no")}})
		await(t, "the child to fail", func() bool { return l.redis.ZCard(t.Context(), key("root:unsuccessful")).Val() == 1 })
		desk.settle(lease, domain.Outcome{Kind: domain.WaitingForChildren})
		l.awaitIn("failed", "root")
		if reason := l.hash("root")["failedReason"]; !strings.HasPrefix(reason, "Cannot complete job root because it has at least one failed child.") {
			t.Errorf("failedReason = %q, want node's text", reason)
		}
	})
}

// Of many children both read about as many as they are asked for.
func TestCheck59_BothReadSomeOfManyChildren(t *testing.T) {
	const children, most = 700, 50
	forVersions(t, full, func(t *testing.T, l *lab) {
		root := whole(domain.JobOptions{})
		for range children {
			root.Children = append(root.Children, piece("good", domain.JobOptions{}, redisqueue.Extras{}))
		}
		l.addTree(root)
		byNode := node.Decode[shape](t, l.Flow().Call("getFlow", node.Opts{"queueName": "mail", "id": "root", "maxChildren": most}))
		got, err := l.producer().Flow(t.Context(), redisqueue.JobRef{Queue: "mail", ID: "root"}, redisqueue.FlowLimits{MaxChildren: most})
		if n := len(byNode.Children); n < most || n > 2*most {
			t.Errorf("node reads %d children, want about %d", n, most)
		}
		if n := len(got.Children); err != nil || n != most || got.Counts.Unprocessed != children {
			t.Errorf("Flow = %d of %d children, %v, want %d of %d", n, got.Counts.Unprocessed, err, most, children)
		}
	})
}
