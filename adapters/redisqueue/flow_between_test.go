package redisqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/torture/proxy"
)

// A parent is removed between two calls of its flow: the children behind are
// refused, and nothing is left that nobody waits for.
func TestAParentThatIsRemovedMeanwhileGetsNoChildren(t *testing.T) {
	t.Parallel()
	const children = 1500
	r := newRawQueue(t, nil)
	b := watched(t, r, func(call int, _ []byte) {
		if call == 2 {
			if err := r.queue().Remove(t.Context(), "root", redisqueue.RemoveOptions{}); err != nil {
				t.Errorf("Remove = %v, want no error", err)
			}
		}
	})
	flow := tree("root")
	for i := range children {
		flow.Children = append(flow.Children, leaf(domain.JobID(fmt.Sprintf("c%d", i))))
	}
	added, err := b.AddFlow(t.Context(), flow)
	if last := added.Children[children-1]; !errors.Is(err, redisqueue.ErrNoParent) || !errors.Is(last.Err, redisqueue.ErrNoParent) {
		t.Errorf("AddFlow = %v, the last child %v, want %v", err, last.Err, redisqueue.ErrNoParent)
	}
	for key := range r.contents() {
		if !slices.Contains([]string{"bull:q:id", "bull:q:meta", "bull:q:events", "bull:q:marker"}, key) && len(key) > 6 && key[:7] == "bull:q:" {
			t.Errorf("%s is left", key)
		}
	}
}

// Replies that get lost double nothing and change no answer.
func TestLostRepliesChangeNoAnswerAboutFlows(t *testing.T) {
	b, p, _ := unsteady(t)
	calls := 0
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if bytes.Contains(bytes.ToLower(e.Request[:min(len(e.Request), 100)]), []byte("evalsha")) {
			if calls++; calls%2 == 0 {
				return proxy.Verdict{Kind: proxy.DropReply}
			}
		}
		return proxy.Verdict{}
	})
	q, err := b.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	flow := tree("root", tree("middle", leaf("x"), leaf("y")), leaf("a"))
	for i := range 150 {
		flow.Children = append(flow.Children, leaf(domain.JobID(fmt.Sprintf("c%d", i))))
	}
	added, err := b.AddFlow(t.Context(), flow)
	if err != nil || added.Children[1].Status != domain.Accepted {
		t.Errorf("AddFlow = %+v, %v, want all accepted", added.Added, err)
	}
	some, err := q.Add(t.Context(), redisqueue.NewJob{Name: "n", Parent: ref("root")}, redisqueue.NewJob{Name: "n", Parent: ref("root")})
	if err != nil || some[0].ID == some[1].ID || some[1].Status != domain.Accepted {
		t.Errorf("Add = %+v, %v, want two jobs", some, err)
	}
	if count, err := q.DependenciesCount(t.Context(), "root"); err != nil || count.Unprocessed != 154 {
		t.Errorf("DependenciesCount = %+v, %v, want each child once", count, err)
	}
	if cut, err := q.RemoveChildLink(t.Context(), "a"); err != nil || !cut {
		t.Errorf("RemoveChildLink = %t, %v, want true", cut, err)
	}
	removed, err := q.RemoveUnprocessedChildren(t.Context(), "root")
	if err != nil || len(removed) != 155 {
		t.Errorf("RemoveUnprocessedChildren = %d jobs, %v, want 155: the others and two below them", len(removed), err)
	}
	if lost := p.Count(proxy.DropReply); lost < 5 {
		t.Errorf("%d replies were lost, want some of each call", lost)
	}
}

// A parent of a queue that hands nothing out is ready when its children are
// done, and wakes nobody.
func TestAParentOfAQueueThatIsHeldIsReleased(t *testing.T) {
	for name, c := range map[string]struct {
		commands []string
		priority int
		place    string
		marker   bool
	}{
		"free":                 {place: "wait", marker: true},
		"ranked":               {priority: 3, place: "prioritized", marker: true},
		"paused":               {commands: []string{"HSET bull:mother:meta paused 1"}, place: "paused"},
		"paused, ranked":       {commands: []string{"HSET bull:mother:meta paused 1"}, priority: 3, place: "prioritized"},
		"paused with jobs":     {commands: []string{"HSET bull:mother:meta paused 1", "RPUSH bull:mother:wait x"}, place: "wait"},
		"full":                 {commands: []string{"HSET bull:mother:meta concurrency 1", "RPUSH bull:mother:active x"}, place: "wait"},
		"full, ranked":         {commands: []string{"HSET bull:mother:meta concurrency 1", "RPUSH bull:mother:active x"}, priority: 3, place: "prioritized"},
		"with room":            {commands: []string{"HSET bull:mother:meta concurrency 2", "RPUSH bull:mother:active x"}, place: "wait", marker: true},
		"a limit that is none": {commands: []string{"HSET bull:mother:meta concurrency x"}, place: "wait", marker: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newFamily(t, &journal{}, redisqueue.KeepWaiting, domain.Retention{}, c.priority)
			r.do(append(c.commands, "DEL bull:mother:marker")...)
			r.end(nil, nil)
			key := "bull:mother:" + c.place
			ids := r.rdb.ZRange(t.Context(), key, 0, -1).Val()
			if c.place != "prioritized" {
				ids = r.rdb.LRange(t.Context(), key, 0, -1).Val()
			}
			if !slices.Contains(ids, "p") {
				t.Errorf("%s = %v, want the parent in it", key, ids)
			}
			r.wantKey("bull:mother:marker", c.marker)
		})
	}
}

// Unlinking a child whose parent went meanwhile is told, and a job without a
// parent has nothing to cut.
func TestRemoveChildLink_ofAJobThatIsGone(t *testing.T) {
	r := newRawQueue(t, nil)
	if _, err := r.queue().RemoveChildLink(t.Context(), "gone"); !errors.Is(err, ports.ErrNotFound) {
		t.Errorf("RemoveChildLink = %v, want %v", err, ports.ErrNotFound)
	}
	r.add(domain.JobOptions{ID: "alone"})
	if cut, err := r.queue().RemoveChildLink(t.Context(), "alone"); err != nil || cut {
		t.Errorf("RemoveChildLink = %t, %v, want false", cut, err)
	}
}
