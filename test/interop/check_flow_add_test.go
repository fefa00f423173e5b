package interop_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// piece is a child of a flow of Takt's, on a queue of its own.
func piece(name string, options domain.JobOptions, extras redisqueue.Extras) redisqueue.FlowNode {
	return redisqueue.FlowNode{Queue: "parts", Name: name, Data: []byte(`"` + name + `"`), Options: options, Extras: extras}
}

// named are options with an id alone.
func named(id domain.JobID) domain.JobOptions { return domain.JobOptions{ID: id} }

// whole is a flow's root, job "root" of the queue mail.
func whole(options domain.JobOptions, children ...redisqueue.FlowNode) redisqueue.FlowNode {
	options.ID = "root"
	return redisqueue.FlowNode{Queue: "mail", Name: "all", Data: []byte(`"root"`), Options: options, Children: children}
}

// addTree adds a flow, all of whose jobs must be accepted.
func (l *lab) addTree(flow redisqueue.FlowNode) redisqueue.AddedNode {
	l.t.Helper()
	added, err := l.producer().AddFlow(l.t.Context(), flow)
	if err != nil {
		l.t.Fatal(err)
	}
	return added
}

// all returns what the database holds below BullMQ's prefix.
func (l *lab) all() keydump.Dump {
	l.t.Helper()
	dump, err := keydump.Take(l.t.Context(), l.redis, "bull:")
	if err != nil {
		l.t.Fatal(err)
	}
	return dump
}

func TestCheck59_AFlowOfTaktIsAsOneOfNode(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		l.addTree(whole(domain.JobOptions{Delay: 500e6, Priority: 3, Attempts: 2},
			redisqueue.FlowNode{
				Queue: "mail", Name: "c", Data: []byte(`"c"`), Options: domain.JobOptions{ID: "c"}, Extras: redisqueue.Extras{OnFailure: redisqueue.ContinueParent},
				Children: []redisqueue.FlowNode{
					piece("d", domain.JobOptions{ID: "d", Priority: 5}, redisqueue.Extras{OnFailure: redisqueue.ForgetChild}),
					piece("e", domain.JobOptions{ID: "e", LIFO: true}, redisqueue.Extras{KeepLogs: 2}),
				},
			},
			piece("a", named("a"), redisqueue.Extras{OnFailure: redisqueue.FailParent}),
			piece("b", domain.JobOptions{ID: "b", Delay: 3600e9}, redisqueue.Extras{OnFailure: redisqueue.IgnoreFailure}),
		))
		middle := child("c", node.Opts{"jobId": "c", "continueParentOnFailure": true})
		middle["queueName"] = "mail"
		middle["children"] = []node.Opts{
			child("d", node.Opts{"jobId": "d", "priority": 5, "removeDependencyOnFailure": true}),
			child("e", node.Opts{"jobId": "e", "lifo": true, "keepLogs": 2}),
		}
		other.addFlow(node.Opts{"delay": 500, "priority": 3, "attempts": 2}, middle,
			child("a", node.Opts{"jobId": "a", "failParentOnFailure": true}),
			child("b", node.Opts{"jobId": "b", "delay": 3600000, "ignoreDependencyOnFailure": true}))
		if diff := keydump.Diff(other.all(), l.all()); diff != "" {
			t.Errorf("takt's flow differs from node's (-node +takt):\n%s", diff)
		}
	})
}

// shape is what getFlow of Node returns.
type shape struct {
	Job      node.Job `json:"job"`
	Children []shape  `json:"children"`
}

// outline names the jobs of a flow, children in the order of their names.
func (s *shape) outline() string {
	var children []string
	for i := range s.Children {
		children = append(children, s.Children[i].outline())
	}
	slices.Sort(children)
	return fmt.Sprint(s.Job.Name, children)
}

func TestCheck59_NodeShowsAFlowOfTakt(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		middle := piece("middle", domain.JobOptions{}, redisqueue.Extras{})
		middle.Children = []redisqueue.FlowNode{piece("x", domain.JobOptions{}, redisqueue.Extras{}), piece("y", domain.JobOptions{}, redisqueue.Extras{})}
		added := l.addTree(whole(domain.JobOptions{}, piece("good", domain.JobOptions{}, redisqueue.Extras{}), middle))
		flow := node.Decode[shape](t, l.Flow().Call("getFlow", node.Opts{"queueName": "mail", "id": "root"}))
		if got, want := flow.outline(), "all[good[] middle[x[] y[]]]"; got != want {
			t.Errorf("getFlow = %s, want %s", got, want)
		}
		// Tools walk up to the root by the option.
		leaf := l.Queue("parts").MustJob(string(added.Children[1].Children[0].ID))
		parent, _ := leaf.Opts["parent"].(map[string]any)
		if parent["id"] != string(added.Children[1].ID) || parent["queue"] != "bull:parts" {
			t.Errorf("opts.parent = %v, want job %s of the queue parts", leaf.Opts["parent"], added.Children[1].ID)
		}
	})
}

func TestCheck59_NodeWorksAFlowOfTakt(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		l.addTree(whole(domain.JobOptions{}, piece("good", named("a"), redisqueue.Extras{}), piece("good", named("b"), redisqueue.Extras{})))
		l.Worker("parts", node.Steps{})
		l.Worker("mail", node.Steps{"all": {{"do": "childrenValues"}}})
		l.awaitIn("completed", "root")
		got := node.Decode[map[string]string](t, node.Value(l.hash("root")["returnvalue"]))
		if len(got) != 2 || got["bull:parts:a"] != "good" || got["bull:parts:b"] != "good" {
			t.Errorf("the root's result = %v, want the values of both children", got)
		}
	})
}

// A flow of Takt's, one of whose children fails under each policy at Node's
// worker: the parent ends as it does when the flow is Node's.
func TestCheck58_NodeObeysThePoliciesOfTaktsFlow(t *testing.T) {
	policies := map[redisqueue.OnFailure]string{
		redisqueue.FailParent: "failed", redisqueue.ContinueParent: "completed", redisqueue.IgnoreFailure: "completed",
		redisqueue.ForgetChild: "completed", redisqueue.KeepWaiting: "waiting-children",
	}
	forVersions(t, full, func(t *testing.T, l *lab) {
		for policy, state := range policies {
			t.Run("policy "+string(policy), func(t *testing.T) {
				bad := redisqueue.Extras{OnFailure: policy}
				l := byNode(t, newLab(t, l.Version), func(l *lab) {
					l.addTree(whole(domain.JobOptions{}, piece("good", named("good"), redisqueue.Extras{}), piece("bad", named("bad"), bad)))
				}, state)
				failed := node.Opts{"jobId": "bad"}
				if policy != redisqueue.KeepWaiting {
					failed[string(policy)] = true
				}
				other := byNode(t, newLab(t, l.Version), func(l *lab) {
					l.addFlow(nil, child("good", node.Opts{"jobId": "good"}), child("bad", failed))
				}, state)
				if diff := keydump.Diff(dependents(t, other), dependents(t, l)); diff != "" {
					t.Errorf("the parent of takt's flow differs from that of node's (-node +takt):\n%s", diff)
				}
			})
		}
	})
}

// Children that are there already: unfinished ones are waited for, completed
// ones count as done. BullMQ 5 lets the parent go too early then (protocol 6.1).
func TestCheck59_AFlowTakesInJobsThatAreThere(t *testing.T) {
	forSome(t, full, []string{node.V6}, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		for _, lab := range []*lab{l, other} {
			parts := lab.Queue("parts")
			parts.Add("good", 1, node.Opts{"jobId": "done"})
			worker := lab.Worker("parts", node.Steps{}, node.Opts{"name": "w"})
			worker.Await(t, 1, "completed")
			worker.Close()
			parts.Add("good", 1, node.Opts{"jobId": "waits"})
		}
		l.addTree(whole(domain.JobOptions{}, piece("good", named("done"), redisqueue.Extras{}), piece("good", named("waits"), redisqueue.Extras{})))
		other.addFlow(nil, child("good", node.Opts{"jobId": "done"}), child("good", node.Opts{"jobId": "waits"}))
		if diff := keydump.Diff(other.all(), l.all()); diff != "" {
			t.Errorf("takt's flow differs from node's (-node +takt):\n%s", diff)
		}
	})
}

// A child that belongs to another parent is refused by both, and the rest of
// the flow is there.
func TestCheck59_AChildOfAnotherParentIsRefused(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		theirs := func(l *lab) {
			l.Flow().Call("add", node.Opts{"name": "all", "queueName": "mail", "opts": node.Opts{"jobId": "other"}, "children": []node.Opts{child("good", node.Opts{"jobId": "a"})}})
		}
		theirs(l)
		theirs(other)
		_, err := l.producer().AddFlow(t.Context(), whole(domain.JobOptions{}, piece("good", named("a"), redisqueue.Extras{})))
		if !errors.Is(err, redisqueue.ErrOtherParent) {
			t.Errorf("AddFlow = %v, want %v", err, redisqueue.ErrOtherParent)
		}
		// Node says nothing of it.
		other.Flow().Call("add", node.Opts{"name": "all", "queueName": "mail", "data": "root", "opts": node.Opts{"jobId": "root"}, "children": []node.Opts{child("good", node.Opts{"jobId": "a"})}})
		if diff := keydump.Diff(other.all(), l.all()); diff != "" {
			t.Errorf("takt's flow differs from node's (-node +takt):\n%s", diff)
		}
	})
}

// Several flows in one call, parents and children with their policies.
func TestCheck59_FlowsOfTaktAreAsThoseOfNodesAddBulk(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		first, second := whole(domain.JobOptions{}, piece("good", named("a"), redisqueue.Extras{OnFailure: redisqueue.ForgetChild})), piece("good", named("b"), redisqueue.Extras{})
		added, err := l.producer().AddFlows(t.Context(), first, second)
		if err != nil || len(added) != 2 || added[1].ID != "b" {
			t.Fatalf("AddFlows = %+v, %v, want both flows", added, err)
		}
		other.Flow().Call("addBulk", []node.Opts{
			{"name": "all", "queueName": "mail", "data": "root", "opts": node.Opts{"jobId": "root"}, "children": []node.Opts{
				child("good", node.Opts{"jobId": "a", "removeDependencyOnFailure": true}),
			}},
			child("good", node.Opts{"jobId": "b"}),
		})
		if diff := keydump.Diff(other.all(), l.all()); diff != "" {
			t.Errorf("takt's flows differ from node's (-node +takt):\n%s", diff)
		}
	})
}
