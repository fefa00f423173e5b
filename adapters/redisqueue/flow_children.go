package redisqueue

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// ChildKind says what became of a child for its parent.
type ChildKind string

const (
	// ChildProcessed are completed children, whose results the parent has.
	ChildProcessed ChildKind = "processed"
	// ChildUnprocessed are children that the parent waits for.
	ChildUnprocessed ChildKind = "unprocessed"
	// ChildIgnored are failed children under [IgnoreFailure] or
	// [ContinueParent], whose reasons the parent has.
	ChildIgnored ChildKind = "ignored"
	// ChildFailed are failed children under [FailParent].
	ChildFailed ChildKind = "failed"
)

// Child is a child as its parent knows it.
type Child struct {
	JobRef

	// Value is the result of a processed child, one JSON value.
	Value json.RawMessage
	// Reason is why an ignored child failed.
	Reason string
	// FailedAt is when a failed child failed.
	FailedAt time.Time
}

// ChildCounts are the children of a job by kind.
type ChildCounts struct{ Processed, Unprocessed, Ignored, Failed int }

// ChildPage is a part of the children of a job.
type ChildPage struct {
	Children []Child
	// Next is where the next page begins, empty at the end.
	Next string
	// Counts are those of all pages.
	Counts ChildCounts
}

// DependenciesCount returns how many children of each kind the job has. The
// error is [ports.ErrNotFound] if there is no such job.
func (q *Queue) DependenciesCount(ctx context.Context, id domain.JobID) (ChildCounts, error) {
	page, err := q.children(ctx, id, ChildQuery{})
	if err != nil {
		return ChildCounts{}, fmt.Errorf("count the children of job %s of queue %s: %w", domain.Quote(string(id)), q.name, err)
	}
	return page.Counts, nil
}

// ChildQuery asks for a page of the children of a job.
type ChildQuery struct {
	Kind ChildKind
	// From is where the page begins: where the one before says, or empty for
	// the first.
	From string
	// Count is about how many children are wanted, up to 1000; zero means 100.
	// Few children come all at once, and a page ends at about 1 MiB of results.
	Count int
}

// Dependencies returns children of the job of one kind. Children that are there
// all the time are on some page, and may be on two while others come or go.
// Failed ones come in the order in which they failed. The error is
// [ports.ErrNotFound] if there is no such job.
func (q *Queue) Dependencies(ctx context.Context, id domain.JobID, query ChildQuery) (ChildPage, error) {
	err := query.check()
	var page ChildPage
	if err == nil {
		page, err = q.children(ctx, id, query)
	}
	if err != nil {
		return ChildPage{}, fmt.Errorf("%s children of job %s of queue %s: %w", query.Kind, domain.Quote(string(id)), q.name, err)
	}
	return page, nil
}

const maxChildPage = 1000

// check reports what is wrong with the query, and sets its defaults.
func (c *ChildQuery) check() error {
	switch c.Kind {
	case ChildProcessed, ChildUnprocessed, ChildIgnored, ChildFailed:
	default:
		return domain.Invalidf("kind %s is unknown", domain.Quote(string(c.Kind)))
	}
	if c.From != "" && !c.isPage() {
		return domain.Invalidf("page %s is none", domain.Quote(c.From))
	}
	switch {
	case c.Count < 0:
		return domain.Invalidf("count %d is negative", c.Count)
	case c.Count == 0:
		c.Count = defaultPage
	}
	c.Count = min(c.Count, maxChildPage)
	return nil
}

// isPage tells whether the query begins where a page may begin: at a cursor of
// the server's, or at the time at which a child failed and its key.
func (c *ChildQuery) isPage() bool {
	if c.Kind != ChildFailed {
		_, err := strconv.ParseUint(c.From, 10, 64)
		return err == nil
	}
	score, child, _ := strings.Cut(c.From, "/")
	at, err := strconv.ParseFloat(score, 64)
	return err == nil && !math.IsNaN(at) && child != ""
}

// ChildrenValues returns the results of the job's completed children, JSON
// values. A result of another client's that is no JSON is an error. The error
// is [ports.ErrNotFound] if there is no such job.
func (q *Queue) ChildrenValues(ctx context.Context, id domain.JobID) (map[JobRef]json.RawMessage, error) {
	values := map[JobRef]json.RawMessage{}
	err := q.eachChild(ctx, id, ChildProcessed, func(child *Child) error {
		if !json.Valid(child.Value) {
			return fmt.Errorf("the result of %s is no JSON", child)
		}
		values[child.JobRef] = child.Value
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// IgnoredFailures returns why those of the job's children failed whose failure
// did not fail it. The error is [ports.ErrNotFound] if there is no such job.
func (q *Queue) IgnoredFailures(ctx context.Context, id domain.JobID) (map[JobRef]string, error) {
	reasons := map[JobRef]string{}
	err := q.eachChild(ctx, id, ChildIgnored, func(child *Child) error {
		reasons[child.JobRef] = child.Reason
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reasons, nil
}

// FailedChildren returns when those of the job's children failed whose failure
// fails it. The error is [ports.ErrNotFound] if there is no such job.
func (q *Queue) FailedChildren(ctx context.Context, id domain.JobID) (map[JobRef]time.Time, error) {
	failed := map[JobRef]time.Time{}
	err := q.eachChild(ctx, id, ChildFailed, func(child *Child) error {
		failed[child.JobRef] = child.FailedAt
		return nil
	})
	if err != nil {
		return nil, err
	}
	return failed, nil
}

// eachChild calls visit for the children of the kind, page by page.
func (q *Queue) eachChild(ctx context.Context, id domain.JobID, kind ChildKind, visit func(*Child) error) error {
	for from, begun := "", false; from != "" || !begun; begun = true {
		page, err := q.Dependencies(ctx, id, ChildQuery{Kind: kind, From: from})
		if err != nil {
			return err
		}
		for i := range page.Children {
			if err := visit(&page.Children[i]); err != nil {
				return fmt.Errorf("%s children of job %s of queue %s: %w", kind, domain.Quote(string(id)), q.name, err)
			}
		}
		from = page.Next
	}
	return nil
}

// children asks for a page of children, or, without a kind, for their counts
// alone.
func (q *Queue) children(ctx context.Context, id domain.JobID, query ChildQuery) (ChildPage, error) {
	if err := (JobRef{Queue: q.name, ID: id}).Validate(); err != nil {
		return ChildPage{}, err
	}
	args := []any{string(query.Kind), cmp.Or(query.From, "0"), query.Count}
	reply, err := q.backend.call(ctx, scriptNamed("flow_children"), []string{q.base + string(id)}, args)
	if err != nil {
		return ChildPage{}, ended(ctx, err)
	}
	u := unpackerOf(reply)
	there := u.number() == 1
	page := ChildPage{Counts: ChildCounts{Processed: u.number(), Unprocessed: u.number(), Ignored: u.number(), Failed: u.number()}}
	if page.Next, _ = u.text(); page.Next == "0" {
		page.Next = ""
	}
	for n := u.list() / 2; n > 0 && u.err == nil; n-- {
		key, _ := u.text()
		value, _ := u.text()
		page.Children = append(page.Children, q.backend.keys.childOf(query.Kind, key, value))
	}
	switch {
	case u.err != nil:
		return ChildPage{}, u.err
	case !there && page.Counts == (ChildCounts{}):
		return ChildPage{}, ports.ErrNotFound
	}
	return page, nil
}

// childOf reads a child as its parent keeps it.
func (k keys) childOf(kind ChildKind, key, value string) Child {
	child := Child{JobRef: k.refOf(key)}
	switch kind {
	case ChildProcessed:
		child.Value = json.RawMessage(value)
	case ChildIgnored:
		child.Reason = domain.CleanText(value, domain.MaxReason)
	case ChildFailed:
		child.FailedAt = millisTime(value)
	case ChildUnprocessed:
	}
	return child
}
