package differential_test

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// flowTwins are for producers of flows.
func flowTwins() map[string]twin {
	return map[string]twin{
		"flow add":     {call: (*call).addFlows, alike: (*world).flowsAlike, refuses: true},
		"flow addBulk": {call: (*call).addFlows, alike: (*world).flowsAlike, refuses: true},
	}
}

// flowNode is a job of a flow as Node's producer is given it.
type flowNode struct {
	newJob

	Queue    string     `json:"queueName"`
	Children []flowNode `json:"children"`
}

// flowsOf returns the flows that an add or addBulk is about.
func flowsOf(s *step) []flowNode {
	if s.Method == "addBulk" {
		return argument[[]flowNode](s, 0)
	}
	return []flowNode{argument[flowNode](s, 0)}
}

func (n *flowNode) ours() (redisqueue.FlowNode, error) {
	job, err := n.newJob.ours()
	if err != nil {
		return redisqueue.FlowNode{}, err
	}
	node := redisqueue.FlowNode{
		Queue: domain.QueueName(n.Queue), Name: job.Name, Data: job.Data, Options: job.Options, Extras: job.Extras, Parent: job.Parent,
	}
	for i := range n.Children {
		child, err := n.Children[i].ours()
		if err != nil {
			return redisqueue.FlowNode{}, err
		}
		node.Children = append(node.Children, child)
	}
	return node, nil
}

// addFlows answers the ids of all jobs, or of the one flow's.
func (c *call) addFlows(ctx context.Context) (any, error) {
	var flows []redisqueue.FlowNode
	for _, given := range flowsOf(c.step) {
		flow, err := given.ours()
		if err != nil {
			return nil, err
		}
		flows = append(flows, flow)
	}
	added, err := c.backend.AddFlows(ctx, flows...)
	if err != nil {
		return nil, err
	}
	trees := make([]addedTree, len(added))
	for i := range added {
		trees[i] = treeOf(&added[i])
	}
	if c.Method == "add" {
		return trees[0], nil
	}
	return trees, nil
}

// addedTree has the ids of a flow.
type addedTree struct {
	ID       domain.JobID `json:"id"`
	Children []addedTree  `json:"children,omitempty"`
}

func treeOf(node *redisqueue.AddedNode) addedTree {
	tree := addedTree{ID: node.ID}
	for i := range node.Children {
		tree.Children = append(tree.Children, treeOf(&node.Children[i]))
	}
	return tree
}

// flowsAlike tells whether ours knows all jobs of the flows, and goes by the
// same rules with them: BullMQ 5 does otherwise with those that are there
// already (protocol 6.1).
func (w *world) flowsAlike(ctx context.Context, s *step) (bool, error) {
	met := map[string]bool{}
	for _, root := range flowsOf(s) {
		alike, err := w.flowAlike(ctx, &root, met)
		if err != nil || !alike {
			return false, err
		}
	}
	return true, nil
}

// waitsForOneOf tells whether the job, or one below it, has the key of one that
// waits for it, or of its own parent.
func (n *flowNode) waitsForOneOf(above []string) bool {
	var opts struct {
		JobID  string      `json:"jobId"`
		Parent *nodeParent `json:"parent"`
	}
	if json.Unmarshal(n.Opts, &opts) != nil || opts.JobID == "" {
		return false
	}
	key := "bull:" + n.Queue + ":" + opts.JobID
	if opts.Parent != nil {
		above = append(above, opts.Parent.Queue+":"+opts.Parent.ID)
	}
	return slices.Contains(above, key) || slices.ContainsFunc(n.Children, func(child flowNode) bool {
		return child.waitsForOneOf(append(above, key))
	})
}

func (w *world) flowAlike(ctx context.Context, n *flowNode, met map[string]bool) (bool, error) {
	opts, err := readOptions(n.Opts)
	if err != nil || !opts.known(w.version) {
		return false, nil //nolint:nilerr // ours does not know it
	}
	key := "bull:" + n.Queue + ":" + opts.JobID
	if met[key] {
		return false, nil
	}
	if w.version[0] == '5' {
		exists, err := w.redis[0].Exists(ctx, key).Result()
		if err != nil || exists > 0 {
			return false, err
		}
	}
	met[key] = true
	for i := range n.Children {
		alike, err := w.flowAlike(ctx, &n.Children[i], met)
		if err != nil || !alike {
			return false, err
		}
	}
	return true, nil
}

// addFlow adds a flow, or two, to the queues or to a job that is there.
func (g *generator) addFlow() (step, bool) {
	queue := g.queue()
	parent, ok := g.id(queue)
	root := g.flow()
	s := step{Do: "flow", Method: "add", Args: []any{root}}
	switch n := g.IntN(100); {
	case n < 10:
		s.Method, s.Args = "addBulk", []any{[]any{root, g.flow()}}
	case n < 20 && ok:
		root["opts"].(map[string]any)["parent"] = map[string]any{"id": parent, "queue": "bull:" + queue}
	}
	return g.byWhom(s), true
}

func (g *generator) flow() map[string]any {
	root := g.flowNode(2, pick(g, "boss", "boss", "work"))
	g.remember(root)
	return root
}
