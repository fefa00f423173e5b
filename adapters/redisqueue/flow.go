package redisqueue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// FlowNode is one job of a flow: a tree of jobs, each of which is worked when
// all of its children are done, on whatever queues. A parent's delay and
// priority count from then.
type FlowNode struct {
	Queue domain.QueueName
	Name  string
	// Data is the payload, one JSON value. It must not be changed afterwards.
	Data []byte
	// Options are those of any job. Without an id the job gets a random one.
	// Jobs with parents or children cannot be deduplicated.
	Options  domain.JobOptions
	Extras   Extras
	Children []FlowNode
	// Parent, if set, is a job that is there and waits for the flow, which only
	// the root of one can have.
	Parent JobRef
}

// AddedNode is what became of one job of a flow.
type AddedNode struct {
	Added

	Queue    domain.QueueName
	Children []AddedNode
}

// WithIDs returns the flow with the ids of its answer, to be added again.
func (n FlowNode) WithIDs(added AddedNode) FlowNode {
	n.Options.ID = added.ID
	n.Children = slices.Clone(n.Children)
	for i := range min(len(n.Children), len(added.Children)) {
		n.Children[i] = n.Children[i].WithIDs(added.Children[i])
	}
	return n
}

// Ref names the job.
func (n *AddedNode) Ref() JobRef { return JobRef{Queue: n.Queue, ID: n.ID} }

// AddFlow adds the jobs of a flow, parents before their children, and answers
// each. Up to 1000 jobs with 1 MiB of data and options are added in one step.
// Of a larger flow children may be worked before all of it is there; parents
// are not.
//
// A job with the id of one that is there already is that one, which becomes a
// part of the flow as it is, and counts as done if it is completed. A job that
// its parent is done with, whatever became of it and even if it is gone, is a
// duplicate, and so are those below it: nothing is added, and nobody waits. A
// job that cannot be added keeps nobody but its own children: its answer has
// the reason, and the first such reason is the error as well.
//
// When ctx ends in between, the answers say how far it came; those with the
// context's error may have been added or not. Adding the flow again under the
// ids of the answers ([FlowNode.WithIDs]) completes it; until then its parents
// wait. Without an answer nothing was added: the error is [domain.ErrInvalid]
// or [domain.ErrTooLarge].
func (b *Backend) AddFlow(ctx context.Context, flow FlowNode) (AddedNode, error) {
	added, err := b.AddFlows(ctx, flow)
	if len(added) == 0 {
		return AddedNode{}, err
	}
	return added[0], err
}

// AddFlows adds several flows; it is [Backend.AddFlow] for all of them. As by
// BullMQ's producer, jobs come in the order of their levels: all roots first.
func (b *Backend) AddFlows(ctx context.Context, flows ...FlowNode) ([]AddedNode, error) {
	plan, answers := flowPlan{backend: b}, make([]AddedNode, len(flows))
	for i := range flows {
		plan.nodes = append(plan.nodes, plannedNode{FlowNode: &flows[i], answer: &answers[i], above: -1})
	}
	for len(plan.jobs) < len(plan.nodes) {
		if err := plan.add(); err != nil {
			return nil, fmt.Errorf("add flow: %w", err)
		}
	}
	all, err := b.addPlanned(ctx, plan.jobs)
	for i := range all {
		plan.nodes[i].answer.Added = all[i]
	}
	if err != nil {
		return answers, fmt.Errorf("add flow: %w", err)
	}
	return answers, nil
}

// plannedNode is a job of a flow, and where its answer goes.
type plannedNode struct {
	*FlowNode

	answer *AddedNode
	// above is the place of its parent, -1 if there is none.
	above int
}

// flowPlan lays out flows as a list of jobs, level by level.
type flowPlan struct {
	backend *Backend
	nodes   []plannedNode
	jobs    []plannedJob
	// seen are the keys of jobs that have ids of the caller's.
	seen map[string]bool
}

// add plans the job of the next node, and lines up its children.
func (f *flowPlan) add() error {
	place := len(f.jobs)
	node := f.nodes[place]
	p := plannedJob{
		job:   domain.NewJob{Queue: node.Queue, Name: node.Name, Data: node.Data, Options: node.Options},
		waits: len(node.Children) > 0,
	}
	if err := f.backend.checkExtra(&p.job, &node.Extras); err != nil {
		return err
	}
	parent, err := f.parentOf(node.FlowNode, node.above)
	if err != nil {
		return err
	}
	if parent != (JobRef{}) {
		p.parent = f.backend.keys.linkTo(parent, node.Extras.OnFailure)
	}
	if err := p.complete(f.backend, &node.Extras); err != nil {
		return err
	}
	p.above = node.above
	if p.job.Options.ID == "" {
		p.job.Options.ID, p.made = newJobID(), true
	} else if f.isAbove(&p) {
		return waitsForItself(&p)
	}
	f.jobs = append(f.jobs, p)
	node.answer.Queue = node.Queue
	if p.waits {
		node.answer.Children = make([]AddedNode, len(node.Children))
	}
	for i := range node.Children {
		f.nodes = append(f.nodes, plannedNode{FlowNode: &node.Children[i], answer: &node.answer.Children[i], above: place})
	}
	return nil
}

// isAbove tells whether the job is one of those that it would be below.
func (f *flowPlan) isAbove(p *plannedJob) bool {
	key := p.key()
	if f.seen[key] {
		for above := p.above; above >= 0; above = f.jobs[above].above {
			if f.jobs[above].key() == key {
				return true
			}
		}
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[key] = true
	return false
}

// parentOf names the node's parent, if it has one.
func (f *flowPlan) parentOf(node *FlowNode, above int) (JobRef, error) {
	switch {
	case above < 0 && node.Parent == (JobRef{}):
		return JobRef{}, nil
	case above < 0:
		return node.Parent, node.Parent.Validate()
	case node.Parent != (JobRef{}):
		return JobRef{}, domain.Invalidf("job %s: its parent is the job above it, not %s", domain.Quote(node.Name), domain.Quote(node.Parent.String()))
	}
	parent := &f.jobs[above]
	return JobRef{Queue: parent.job.Queue, ID: parent.job.Options.ID}, nil
}

// newJobID returns a random id, a UUID of version 4 (RFC 9562).
func newJobID() domain.JobID {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	text := hex.EncodeToString(random[:])
	return domain.JobID(text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:])
}
