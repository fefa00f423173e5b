package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// FlowLimits bound what is read of a flow.
type FlowLimits struct {
	// Depth is how many levels of jobs are read, that of the root included;
	// zero means 10.
	Depth int
	// MaxChildren is how many children of each kind are read of a job, up to
	// 1000; zero means 20.
	MaxChildren int
}

const (
	defaultDepth    = 10
	defaultChildren = 20
)

// FlowTree is a job and those below it.
type FlowTree struct {
	JobRef

	// Job is nil if the job is gone, or is not to be read as its queue lies
	// below another prefix.
	Job *JobView
	// Kind says what became of the job for its parent; empty for the root.
	Kind ChildKind
	// Counts are all children of the job, by kind.
	Counts ChildCounts
	// Children are those that were read, in the order of kinds, queues and ids.
	// A job that is met twice has them where it is met first.
	Children []FlowTree
}

// Flow reads a job and those below it, level by level, each as it is then. The
// error is [ports.ErrNotFound] if there is no such job.
func (b *Backend) Flow(ctx context.Context, root JobRef, limits FlowLimits) (FlowTree, error) {
	tree, err := b.flow(ctx, root, limits)
	if err != nil {
		return FlowTree{}, fmt.Errorf("flow of job %s: %w", domain.Quote(root.String()), err)
	}
	return tree, nil
}

func (b *Backend) flow(ctx context.Context, root JobRef, limits FlowLimits) (FlowTree, error) {
	if err := root.Validate(); err != nil {
		return FlowTree{}, err
	}
	if limits.Depth < 0 || limits.MaxChildren < 0 {
		return FlowTree{}, domain.Invalidf("depth %d or number of children %d is negative", limits.Depth, limits.MaxChildren)
	}
	if limits.Depth == 0 {
		limits.Depth = defaultDepth
	}
	if limits.MaxChildren == 0 {
		limits.MaxChildren = defaultChildren
	}
	r := flowReader{backend: b, limits: limits, met: map[JobRef]bool{}}
	tree := FlowTree{JobRef: root}
	level := []*FlowTree{&tree}
	for depth := 1; len(level) > 0; depth++ {
		if err := r.readJobs(ctx, level); err != nil {
			return FlowTree{}, err
		}
		if tree.Job == nil {
			return FlowTree{}, ports.ErrNotFound
		}
		next, err := r.readChildren(ctx, level, depth < limits.Depth)
		if err != nil {
			return FlowTree{}, err
		}
		level = next
	}
	return tree, nil
}

// flowReader reads a flow.
type flowReader struct {
	backend *Backend
	limits  FlowLimits
	met     map[JobRef]bool
}

// readJobs reads the jobs of a level, those of each queue together.
func (r *flowReader) readJobs(ctx context.Context, level []*FlowTree) error {
	byQueue := map[domain.QueueName][]*FlowTree{}
	for _, node := range level {
		if node.Validate() == nil {
			byQueue[node.Queue] = append(byQueue[node.Queue], node)
		}
	}
	for queue, nodes := range byQueue {
		ids, found := make([]string, len(nodes)), map[domain.JobID]*JobView{}
		reader := jobReader{backend: r.backend, queue: queue, take: func(view *domain.JobView, fields *[viewFields]string) {
			job := bullView(view, fields)
			found[view.Job.ID] = &job
		}}
		for i, node := range nodes {
			ids[i] = string(node.ID)
		}
		if err := reader.read(ctx, "", ids); err != nil {
			return ended(ctx, err)
		}
		for _, node := range nodes {
			node.Job = found[node.ID]
		}
	}
	return nil
}

// readChildren reads the children of the jobs of a level and returns them, or
// only their counts if it is not to go deeper.
func (r *flowReader) readChildren(ctx context.Context, level []*FlowTree, deeper bool) ([]*FlowTree, error) {
	var next []*FlowTree
	for _, node := range level {
		if node.Job == nil || r.met[node.JobRef] {
			continue
		}
		r.met[node.JobRef] = true
		if err := r.childrenOf(ctx, node, deeper); err != nil {
			return nil, err
		}
		for i := range node.Children {
			next = append(next, &node.Children[i])
		}
	}
	return next, nil
}

// childrenOf reads the children of a job, or only their counts.
func (r *flowReader) childrenOf(ctx context.Context, node *FlowTree, deeper bool) error {
	q := Queue{backend: r.backend, name: node.Queue, base: r.backend.keys.queue(node.Queue)}
	page, err := q.children(ctx, node.ID, ChildQuery{})
	if err != nil {
		return ignoreGone(err)
	}
	node.Counts = page.Counts
	if !deeper || page.Counts == (ChildCounts{}) {
		return nil
	}
	for _, kind := range []ChildKind{ChildProcessed, ChildUnprocessed, ChildIgnored, ChildFailed} {
		if page.Counts.of(kind) == 0 {
			continue
		}
		page, err := q.children(ctx, node.ID, ChildQuery{Kind: kind, Count: min(r.limits.MaxChildren, maxChildPage)})
		if err != nil {
			return ignoreGone(err)
		}
		all := page.Children
		slices.SortFunc(all, func(a, b Child) int { return strings.Compare(a.String(), b.String()) })
		for i := range min(len(all), r.limits.MaxChildren) {
			node.Children = append(node.Children, FlowTree{JobRef: all[i].JobRef, Kind: kind})
		}
	}
	return nil
}

// ignoreGone makes nothing of a job that went since it was read.
func ignoreGone(err error) error {
	if errors.Is(err, ports.ErrNotFound) {
		return nil
	}
	return err
}

func (c *ChildCounts) of(kind ChildKind) int {
	switch kind {
	case ChildProcessed:
		return c.Processed
	case ChildUnprocessed:
		return c.Unprocessed
	case ChildIgnored:
		return c.Ignored
	case ChildFailed:
		return c.Failed
	}
	return 0
}
