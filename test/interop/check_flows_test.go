package interop_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// child is a child of a flow, on a queue of its own.
func child(name string, opts node.Opts) node.Opts {
	if opts == nil {
		opts = node.Opts{}
	}
	return node.Opts{"name": name, "queueName": "parts", "data": name, "opts": opts}
}

// addFlow adds a flow whose root is job "root" of the queue mail.
func (l *lab) addFlow(opts node.Opts, children ...node.Opts) {
	l.t.Helper()
	all := node.Opts{"jobId": "root"}
	maps.Copy(all, opts)
	l.Flow().Call("add", node.Opts{"name": "all", "queueName": "mail", "data": "root", "opts": all, "children": children})
}

// workParts works the children: those named bad fail, held wait for release.
func (l *lab) workParts(release <-chan struct{}) {
	l.t.Helper()
	l.work(work{queue: "parts", handlers: handlers{
		"good": echo, "bad": fails(errBusy), "held": holds(release),
	}})
}

func partKey(id string) string { return "bull:parts:" + id }

func TestCheck57_TaktWorksAFlowOfNodes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, release := l.Queue("mail"), make(chan struct{})
		l.addFlow(nil, child("good", node.Opts{"jobId": "a"}), child("held", node.Opts{"jobId": "b"}))
		order := &journal{}
		l.work(work{handlers: handlers{"all": order.note}})
		l.workParts(release)

		counts := func() map[string]int {
			return node.Decode[map[string]int](t, queue.OnJob("root", "getDependenciesCount"))
		}
		await(t, "the first child to be done", func() bool { return counts()["processed"] == 1 })
		if got := counts(); got["unprocessed"] != 1 {
			t.Errorf("getDependenciesCount = %v, want one processed and one not", got)
		}
		if state := queue.State("root"); state != "waiting-children" {
			t.Errorf("state of the parent = %s, want waiting-children", state)
		}
		if got := order.ids(); len(got) > 0 {
			t.Error("the parent ran before its children")
		}
		close(release)
		l.awaitIn("completed", "root")
		values := node.Decode[map[string]string](t, queue.OnJob("root", "getChildrenValues"))
		if len(values) != 2 || values[partKey("a")] != "good" || values[partKey("b")] != "held" {
			t.Errorf("getChildrenValues = %v, want the results of both", values)
		}
		if got := counts(); got["unprocessed"] != 0 || got["processed"] != 2 {
			t.Errorf("getDependenciesCount = %v, want two processed", got)
		}
	})
}

// A flow whose children include one that fails under each policy, by Node's
// worker and by Takt's: the parents end alike.
func TestCheck58_APolicyDecidesWhatAFailedChildDoesToItsParent(t *testing.T) {
	policies := map[string]struct {
		state, reason string
	}{
		"failParentOnFailure":       {"failed", "child bull:parts:bad failed"},
		"continueParentOnFailure":   {"completed", ""},
		"ignoreDependencyOnFailure": {"completed", ""},
		"removeDependencyOnFailure": {"completed", ""},
		"none":                      {"waiting-children", ""},
	}
	forVersions(t, fast, func(t *testing.T, l *lab) {
		for policy, want := range policies {
			t.Run(policy, func(t *testing.T) {
				l := newLab(t, l.Version)
				failed := node.Opts{"jobId": "bad"}
				if policy != "none" {
					failed[policy] = true
				}
				addBoth := func(l *lab) {
					l.addFlow(nil, child("good", node.Opts{"jobId": "good"}), child("bad", failed))
				}
				addBoth(l)
				l.workParts(nil)
				await(t, "both children to be done", func() bool {
					return l.redis.ZCard(t.Context(), partKey("completed")).Val()+l.redis.ZCard(t.Context(), partKey("failed")).Val() == 2
				})
				l.work(work{handlers: handlers{"all": echo}})
				queue := l.Queue("mail")
				await(t, "the parent to be "+want.state, func() bool { return queue.State("root") == want.state })
				if got := queue.MustJob("root").FailedReason; want.reason != "" && (got == nil || *got != want.reason) {
					t.Errorf("failedReason = %v, want %s", got, want.reason)
				}
				if diff := keydump.Diff(dependents(t, byNode(t, newLab(t, l.Version), addBoth, want.state)), dependents(t, l)); diff != "" {
					t.Errorf("takt leaves other keys of the parent than node (-node +takt):\n%s", diff)
				}
			})
		}
	})
}

// byNode has the flow worked by Node alone.
func byNode(t *testing.T, l *lab, add func(*lab), state string) *lab {
	t.Helper()
	add(l)
	parts := l.Worker("parts", node.Steps{"bad": {node.Fail(errBusy.Error())}}, node.Opts{"name": "w"})
	await(t, "both children to be done", func() bool { return len(parts.All("completed", "failed")) == 2 })
	l.Worker("mail", node.Steps{}, node.Opts{"name": "w"})
	queue := l.Queue("mail")
	await(t, "node's parent to be "+state, func() bool { return queue.State("root") == state })
	return l
}

// dependents returns the keys of the parent and of its children's results.
func dependents(t *testing.T, l *lab) keydump.Dump {
	t.Helper()
	dump, err := keydump.Take(t.Context(), l.redis, key("root"))
	if err != nil {
		t.Fatal(err)
	}
	return dump
}

func TestCheck60_ADelayedParentIsDelayedWhenItIsReleased(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.addFlow(node.Opts{"delay": 500}, child("good", nil))
		l.workParts(nil)
		await(t, "the parent to be released", func() bool { return len(l.stream("delayed")) == 1 })
		l.wantDue(500)
		due := l.stream("delayed")[0].number(t, "delay")
		if score := l.scores("delayed")["root"]; score != float64(due*4096) {
			t.Errorf("score = %.0f, want %d × 4096 and no counter", score, due)
		}
		l.work(work{handlers: handlers{"all": echo}})
		l.awaitIn("completed", "root")
		if early := due - l.field("root", "processedOn"); early > 1 {
			t.Errorf("the parent was started %d ms before it was due", early)
		}
	})
}

// Here the child is Node's; that a handler of Takt's adds one itself is a check
// of its own.
func TestCheck61_ARunningJobWaitsForAChild(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, parts := l.Queue("mail"), l.Queue("parts")
		queue.Add("send", node.Opts{}, node.Opts{"jobId": "root"})
		desk := l.desk()
		lease := desk.next()
		parts.Add("good", "part", node.Opts{"jobId": "a", "parent": node.Opts{"id": "root", "queue": "bull:mail"}})
		desk.settle(lease, domain.Outcome{Kind: domain.WaitingForChildren})
		if state := queue.State("root"); state != "waiting-children" {
			t.Fatalf("state = %s, want waiting-children", state)
		}
		desk.nothing(20 * time.Millisecond)
		l.Worker("parts", node.Steps{})
		lease = desk.next()
		if lease.Job.ID != "root" || lease.Job.AttemptsMade != 0 || lease.Job.AttemptsStarted != 2 {
			t.Errorf("job = %+v, want the parent, started twice and charged for none", lease.Job)
		}
		desk.complete(lease, `1`)
		if values := string(queue.OnJob("root", "getChildrenValues")); values != `{"bull:parts:a":"part"}` {
			t.Errorf("getChildrenValues = %s, want the child's result", values)
		}
	})
}

func TestCheck61_AJobWithPendingChildrenDoesNotComplete(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, parts := l.Queue("mail"), l.Queue("parts")
		queue.Add("send", node.Opts{}, node.Opts{"jobId": "root"})
		l.work(work{handlers: handlers{"send": func(ctx context.Context, job *domain.Job) ([]byte, error) {
			return nil, cmp.Or(l.redis.HSet(ctx, "started", string(job.ID), 1).Err(), waitFor(ctx, l, "go"))
		}}})
		await(t, "the parent to start", func() bool { return l.redis.Exists(t.Context(), "started").Val() == 1 })
		parts.Add("good", "part", node.Opts{"parent": node.Opts{"id": "root", "queue": "bull:mail"}})
		must(t, l.redis.Set(t.Context(), "go", 1, 0))
		l.awaitIn("failed", "root")
		reason := l.hash("root")["failedReason"]
		if want := "Job root has pending dependencies"; len(reason) < len(want) || reason[:len(want)] != want {
			t.Errorf("failedReason = %q, want node's %s", reason, want)
		}
	})
}

// waitFor waits for a key of the test's own.
func waitFor(ctx context.Context, l *lab, key string) error {
	for l.redis.Exists(ctx, key).Val() == 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func TestCheck62_AFailedChildThatIsRemovedReleasesItsParent(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		l.addFlow(nil, child("bad", node.Opts{"removeOnFail": true}))
		l.workParts(nil)
		await(t, "the parent to be released", func() bool { return queue.State("root") == "waiting" })
		l.work(work{handlers: handlers{"all": echo}})
		l.awaitIn("completed", "root")
	})
}

// A tree of three levels whose leaves and middle are worked by both.
func TestCheck57_BothWorkersWorkADeepFlow(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const middles, leaves = 4, 4
		var children []node.Opts
		for i := range middles {
			var below []node.Opts
			for j := range leaves {
				below = append(below, child("good", node.Opts{"jobId": fmt.Sprintf("leaf-%d-%d", i, j)}))
			}
			middle := child("good", node.Opts{"jobId": fmt.Sprintf("middle-%d", i)})
			middle["children"] = below
			children = append(children, middle)
		}
		l.addFlow(nil, children...)
		l.workParts(nil)
		l.Worker("parts", node.Steps{}, node.Opts{"concurrency": 2})
		l.Worker("mail", node.Steps{"all": {{"do": "childrenValues"}}})
		l.awaitIn("completed", "root")
		var values map[string]string
		if err := json.Unmarshal([]byte(l.hash("root")["returnvalue"]), &values); err != nil || len(values) != middles {
			t.Errorf("the root's result = %s, want the values of %d children", l.hash("root")["returnvalue"], middles)
		}
		if n := must(t, l.redis.ZCard(t.Context(), partKey("completed"))); n != middles*(leaves+1) {
			t.Errorf("%d children completed, want %d", n, middles*(leaves+1))
		}
	})
}
