package redisqueue_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func ref(id domain.JobID) redisqueue.JobRef { return redisqueue.JobRef{Queue: "q", ID: id} }

// family stores a job "p" with a child of each kind, and one below another
// prefix.
func (r *rawQueue) family() {
	r.Helper()
	r.parent("p")
	r.do("HSET bull:q:p:processed bull:q:done 7 other:q:x null", "SADD bull:q:p:dependencies bull:parts:waits",
		"HSET bull:q:p:failed bull:q:ignored busy", "ZADD bull:q:p:unsuccessful 1700000000123 bull:q:failed")
}

func TestAJobKnowsItsChildren(t *testing.T) {
	r := newRawQueue(t, nil)
	r.family()
	q := r.queue()
	if got, err := q.DependenciesCount(t.Context(), "p"); err != nil || got != (redisqueue.ChildCounts{Processed: 2, Unprocessed: 1, Ignored: 1, Failed: 1}) {
		t.Errorf("DependenciesCount = %+v, %v, want 2, 1, 1 and 1", got, err)
	}
	values, err := q.ChildrenValues(t.Context(), "p")
	if err != nil || len(values) != 2 || string(values[ref("done")]) != "7" || string(values[redisqueue.JobRef{Prefix: "other", Queue: "q", ID: "x"}]) != "null" {
		t.Errorf("ChildrenValues = %v, %v, want both results", values, err)
	}
	if reasons, err := q.IgnoredFailures(t.Context(), "p"); err != nil || len(reasons) != 1 || reasons[ref("ignored")] != "busy" {
		t.Errorf("IgnoredFailures = %v, %v, want the reason of one", reasons, err)
	}
	if failed, err := q.FailedChildren(t.Context(), "p"); err != nil || len(failed) != 1 || !failed[ref("failed")].Equal(time.UnixMilli(1700000000123)) {
		t.Errorf("FailedChildren = %v, %v, want when one failed", failed, err)
	}
	page, err := q.Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: redisqueue.ChildUnprocessed})
	want := redisqueue.ChildPage{
		Children: []redisqueue.Child{{JobRef: redisqueue.JobRef{Queue: "parts", ID: "waits"}}},
		Counts:   redisqueue.ChildCounts{Processed: 2, Unprocessed: 1, Ignored: 1, Failed: 1},
	}
	if diff := cmp.Diff(want, page); err != nil || diff != "" {
		t.Errorf("Dependencies = %v (-want +got):\n%s", err, diff)
	}
}

func TestAJobWithoutChildrenHasNone(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	if values, err := r.queue().ChildrenValues(t.Context(), "p"); err != nil || len(values) != 0 {
		t.Errorf("ChildrenValues = %v, %v, want none", values, err)
	}
}

func TestChildrenOfNoJobAreNotFound(t *testing.T) {
	r := newRawQueue(t, nil)
	q := r.queue()
	_, byCount := q.DependenciesCount(t.Context(), "gone")
	_, byValue := q.ChildrenValues(t.Context(), "gone")
	_, byReason := q.IgnoredFailures(t.Context(), "gone")
	_, byTime := q.FailedChildren(t.Context(), "gone")
	_, byTree := r.backend.Flow(t.Context(), ref("gone"), redisqueue.FlowLimits{})
	_, byLink := q.RemoveChildLink(t.Context(), "gone")
	_, byPrune := q.RemoveUnprocessedChildren(t.Context(), "gone")
	for _, err := range []error{byCount, byValue, byReason, byTime, byTree, byLink, byPrune} {
		if !errors.Is(err, ports.ErrNotFound) || !strings.Contains(err.Error(), "gone") {
			t.Errorf("error = %v, want %v that names the job", err, ports.ErrNotFound)
		}
	}
}

func TestQuestionsThatMakeNoSenseAreRefused(t *testing.T) {
	q := newRawQueue(t, nil).queue()
	for name, ask := range map[string]func() error{
		"no id":  func() error { _, err := q.DependenciesCount(t.Context(), ""); return err },
		"a key":  func() error { _, err := q.ChildrenValues(t.Context(), "meta"); return err },
		"a kind": func() error { _, err := q.Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: "x"}); return err },
		"a page": func() error {
			_, err := q.Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: redisqueue.ChildFailed, From: "x"})
			return err
		},
		"a count": func() error {
			_, err := q.Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: redisqueue.ChildFailed, Count: -1})
			return err
		},
		"a link":  func() error { _, err := q.RemoveChildLink(t.Context(), "a:b"); return err },
		"a prune": func() error { _, err := q.RemoveUnprocessedChildren(t.Context(), "events"); return err },
		"a tree": func() error {
			_, err := newRawQueue(t, nil).backend.Flow(t.Context(), redisqueue.JobRef{ID: "x"}, redisqueue.FlowLimits{})
			return err
		},
		"a depth": func() error {
			_, err := newRawQueue(t, nil).backend.Flow(t.Context(), ref("x"), redisqueue.FlowLimits{Depth: -1})
			return err
		},
	} {
		if err := ask(); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, domain.ErrInvalid)
		}
	}
}

func TestChildrenComeInPages(t *testing.T) {
	const n = 2500
	r := newRawQueue(t, nil)
	r.parent("p")
	pipe := r.rdb.Pipeline()
	for i := range n {
		child := fmt.Sprintf("bull:q:c%d", i)
		pipe.HSet(t.Context(), "bull:q:p:processed", child, i)
		pipe.SAdd(t.Context(), "bull:q:p:dependencies", child)
		pipe.ZAdd(t.Context(), "bull:q:p:unsuccessful", redisZ(float64(i), child))
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if values, err := r.queue().ChildrenValues(t.Context(), "p"); err != nil || len(values) != n || string(values[ref("c7")]) != "7" {
		t.Errorf("ChildrenValues = %d values, %v, want %d", len(values), err, n)
	}
	for _, kind := range []redisqueue.ChildKind{redisqueue.ChildUnprocessed, redisqueue.ChildFailed} {
		seen, pages := map[redisqueue.JobRef]bool{}, 0
		for from := ""; from != "" || pages == 0; pages++ {
			page, err := r.queue().Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: kind, From: from, Count: 300})
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Children {
				seen[page.Children[i].JobRef] = true
			}
			from = page.Next
		}
		if len(seen) != n || pages < 5 || pages > 20 {
			t.Errorf("%s: %d children in %d pages, want %d in about 9", kind, len(seen), pages, n)
		}
	}
}

func TestDamageAmongChildrenIsNamed(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.do("HSET bull:q:p:processed bull:q:bad {")
	if values, err := r.queue().ChildrenValues(t.Context(), "p"); values != nil || err == nil || !strings.Contains(err.Error(), "q:bad") {
		t.Errorf("ChildrenValues = %v, %v, want an error that names the child", values, err)
	}
	for _, place := range []string{"processed", "dependencies", "failed", "unsuccessful"} {
		r.do("DEL bull:q:p:"+place, "SET bull:q:p:"+place+" x")
		_, err := r.queue().DependenciesCount(t.Context(), "p")
		wantLoud(t, "DependenciesCount with a wrong "+place, err)
		r.do("DEL bull:q:p:" + place)
	}
}

// outline names the jobs of a flow.
func outline(tree *redisqueue.FlowTree) string {
	names := []string{}
	for i := range tree.Children {
		names = append(names, string(tree.Children[i].Kind)+" "+outline(&tree.Children[i]))
	}
	id := string(tree.ID)
	if tree.Job == nil {
		id += "?"
	}
	return fmt.Sprint(id, names)
}

func TestAFlowIsReadAsATree(t *testing.T) {
	r := newRawQueue(t, nil)
	other := leaf("b")
	other.Queue = "other"
	r.addFlow(tree("root", tree("a", leaf("a1"), leaf("a2")), other, leaf("gone")))
	r.do("DEL bull:q:gone", "LREM bull:q:wait 0 gone")
	for want, limits := range map[string]redisqueue.FlowLimits{
		"root[unprocessed b[] unprocessed a[unprocessed a1[] unprocessed a2[]] unprocessed gone?[]]": {},
		"root[unprocessed b[] unprocessed a[] unprocessed gone?[]]":                                  {Depth: 2},
		"root[]": {Depth: 1},
	} {
		got, err := r.backend.Flow(t.Context(), ref("root"), limits)
		if err != nil || outline(&got) != want {
			t.Errorf("Flow(%+v) = %s, %v, want %s", limits, outline(&got), err, want)
		}
		if got.Counts.Unprocessed != 3 || got.Job.State != domain.StateWaitingChildren {
			t.Errorf("Flow(%+v): root has %+v in state %s, want 3 unprocessed and waiting-children", limits, got.Counts, got.Job.State)
		}
	}
}

func TestOfManyChildrenSomeAreRead(t *testing.T) {
	r := newRawQueue(t, nil)
	r.addFlow(tree("root", leaf("a"), leaf("b"), leaf("c")))
	got, err := r.backend.Flow(t.Context(), ref("root"), redisqueue.FlowLimits{MaxChildren: 2})
	if err != nil || len(got.Children) != 2 || got.Counts.Unprocessed != 3 {
		t.Errorf("Flow = %s with %+v, %v, want 2 children of 3", outline(&got), got.Counts, err)
	}
}

func TestAFlowInACircleIsReadOnce(t *testing.T) {
	r := newRawQueue(t, nil)
	r.addFlow(tree("root", tree("a", leaf("b"))))
	r.do("SADD bull:q:b:dependencies bull:q:root", "SADD bull:q:a:dependencies nonsense")
	got, err := r.backend.Flow(t.Context(), ref("root"), redisqueue.FlowLimits{Depth: 50})
	if want := "root[unprocessed a[unprocessed nonsense?[] unprocessed b[unprocessed root[]]]]"; err != nil || outline(&got) != want {
		t.Errorf("Flow = %s, %v, want %s", outline(&got), err, want)
	}
}

func TestRemoveChildLink_letsTheParentGo(t *testing.T) {
	r := newRawQueue(t, nil)
	r.addFlow(tree("root", leaf("a"), leaf("b")))
	r.events()
	for i, id := range []domain.JobID{"a", "b"} {
		if waited, err := r.queue().RemoveChildLink(t.Context(), id); err != nil || !waited {
			t.Errorf("RemoveChildLink(%s) = %t, %v, want true", id, waited, err)
		}
		r.wantField("bull:q:"+string(id), "parentKey", "")
		if i == 0 {
			r.wantRanked("bull:q:waiting-children", "root")
		}
	}
	r.wantList("bull:q:wait", "b", "a", "root")
	r.wantEvents("waiting root waiting-children")
	if waited, err := r.queue().RemoveChildLink(t.Context(), "a"); err != nil || waited {
		t.Errorf("RemoveChildLink twice = %t, %v, want false", waited, err)
	}
}

func TestRemoveChildLink_saysThatTheParentIsGone(t *testing.T) {
	r := newRawQueue(t, nil)
	r.addFlow(tree("root", leaf("a")))
	r.do("DEL bull:q:root")
	if _, err := r.queue().RemoveChildLink(t.Context(), "a"); !errors.Is(err, redisqueue.ErrNoParent) {
		t.Errorf("RemoveChildLink = %v, want %v", err, redisqueue.ErrNoParent)
	}
	r.wantField("bull:q:a", "parentKey", "bull:q:root")
}

func TestRemoveUnprocessedChildren_sparesWhatIsWorkedOrFailed(t *testing.T) {
	r := newRawQueue(t, nil)
	other := leaf("other")
	other.Queue, other.Options.Delay = "parts", time.Hour
	r.addFlow(tree("root", tree("a", leaf("a1"), leaf("a2")), other, leaf("worked"), leaf("broken"), leaf("done")))
	r.do("SET bull:q:worked:lock x", "SET bull:q:a2:lock x", "LREM bull:q:wait 0 broken", "ZADD bull:q:failed 1 broken",
		"SREM bull:q:root:dependencies bull:q:done", "HSET bull:q:root:processed bull:q:done 1",
		"HSET bull:q:stranger name n timestamp 1", "SADD bull:q:root:dependencies bull:q:stranger bull:q:nowhere")
	removed, err := r.queue().RemoveUnprocessedChildren(t.Context(), "root")
	slices.SortFunc(removed, func(a, b redisqueue.JobRef) int { return strings.Compare(a.String(), b.String()) })
	if want := []redisqueue.JobRef{{Queue: "parts", ID: "other"}, ref("a"), ref("a1")}; err != nil || !slices.Equal(removed, want) {
		t.Errorf("RemoveUnprocessedChildren = %v, %v, want %v", removed, err, want)
	}
	r.wantSet("bull:q:root:dependencies", "bull:q:broken", "bull:q:stranger", "bull:q:worked")
	for key, want := range map[string]bool{"a": false, "a1": false, "a2": true, "worked": true, "broken": true, "done": true, "stranger": true, "a:dependencies": false} {
		r.wantKey("bull:q:"+key, want)
	}
	r.wantRanked("bull:q:waiting-children", "root")
	r.wantRanked("bull:parts:delayed")
}

func TestRemoveUnprocessedChildren_ofManyLetsTheParentGo(t *testing.T) {
	t.Parallel()
	const n = 1500
	r := newRawQueue(t, nil)
	flow := tree("root")
	for i := range n {
		flow.Children = append(flow.Children, leaf(domain.JobID(fmt.Sprintf("c%d", i))))
	}
	r.addFlow(flow)
	removed, err := r.queue().RemoveUnprocessedChildren(t.Context(), "root")
	if err != nil || len(removed) != n {
		t.Errorf("RemoveUnprocessedChildren = %d jobs, %v, want %d", len(removed), err, n)
	}
	if n := r.rdb.LLen(t.Context(), "bull:q:wait").Val(); n != 1 {
		t.Errorf("%d jobs wait, want the root", n)
	}
	r.wantKey("bull:q:root:dependencies", false)
	if left := slices.Collect(maps.Keys(r.dump())); len(left) > 8 {
		t.Errorf("%d keys are left, want those of the queue and the root", len(left))
	}
}

// A flow that could be added in part alone can be taken back.
func TestRemoveUnprocessedChildren_endsAFlowThatIsThereInPart(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("SET bull:damaged:delayed x")
	if _, err := r.backend.AddFlow(t.Context(), bigWithABadEnd(2, 700)); err == nil {
		t.Fatal("AddFlow = nil, want an error")
	}
	removed, err := r.queue().RemoveUnprocessedChildren(t.Context(), "root")
	if err != nil || len(removed) != 999 {
		t.Errorf("RemoveUnprocessedChildren = %d jobs, %v, want 999", len(removed), err)
	}
	if n := r.rdb.LLen(t.Context(), "bull:q:wait").Val(); n != 1 {
		t.Errorf("%d jobs wait, want the root", n)
	}
}

// Results may be large: a reply has about a MiB of them, and some more.
func TestAPageOfChildrenIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const children, bytesOfEach = 400, 100 << 10
	r := newRawQueue(t, nil)
	r.parent("p")
	pipe, text := r.rdb.Pipeline(), `"`+strings.Repeat("x", bytesOfEach)+`"`
	for i := range children {
		pipe.HSet(t.Context(), "bull:q:p:processed", fmt.Sprintf("bull:q:c%d", i), text)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, largest := 0, 0
	for from := ""; from != "" || pages == 0; pages++ {
		page, err := r.queue().Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: redisqueue.ChildProcessed, From: from, Count: 1000})
		if err != nil {
			t.Fatal(err)
		}
		largest, from = max(largest, len(page.Children)), page.Next
	}
	if most := 40 << 20 / bytesOfEach / 8; largest > most {
		t.Errorf("a page has %d children of 100 KiB, want at most %d", largest, most)
	}
	values, err := r.queue().ChildrenValues(t.Context(), "p")
	if err != nil || len(values) != children {
		t.Errorf("ChildrenValues = %d values, %v, want %d", len(values), err, children)
	}
}

// Failed children come and go while they are read: those that stay are read.
func TestFailedChildrenThatStayAreReadWhileOthersGo(t *testing.T) {
	const n = 40
	r := newRawQueue(t, nil)
	r.parent("p")
	for i := range n {
		// Four of them failed at a time.
		r.do(fmt.Sprintf("ZADD bull:q:p:unsuccessful %d bull:q:c%02d", i/4, i))
	}
	var seen []domain.JobID
	for from, begun := "", false; from != "" || !begun; begun = true {
		page, err := r.queue().Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: redisqueue.ChildFailed, From: from, Count: 5})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Children {
			seen = append(seen, page.Children[i].ID)
		}
		from = page.Next
		// The first of the page is retried, and sometimes the last as well.
		r.do("ZREM bull:q:p:unsuccessful bull:q:" + string(page.Children[0].ID))
		if len(seen)%2 == 0 {
			r.do("ZREM bull:q:p:unsuccessful bull:q:" + string(seen[len(seen)-1]))
		}
	}
	for i := range n {
		if id := domain.JobID(fmt.Sprintf("c%02d", i)); !slices.Contains(seen, id) {
			t.Errorf("%s was passed over", id)
		}
	}
	if len(seen) > n+n/4 {
		t.Errorf("%d children read, want %d and a few of them twice", len(seen), n)
	}
}

func TestAPageThatIsNoneIsRefused(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	for kind, pages := range map[redisqueue.ChildKind][]string{
		redisqueue.ChildProcessed: {"x", "-1", "1/c"},
		redisqueue.ChildFailed:    {"x", "7", "x/c", "nan/c", "1/", "inf/"},
	} {
		for _, page := range pages {
			_, err := r.queue().Dependencies(t.Context(), "p", redisqueue.ChildQuery{Kind: kind, From: page})
			if !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("Dependencies of %s from %q = %v, want %v", kind, page, err, domain.ErrInvalid)
			}
		}
	}
}

// A handler that waits though there is nothing to wait for is called again: at
// once if children ended while it ran, and not at full speed for ever.
func TestAHandlerThatWaitsForNothingIsHeldUp(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	wait := func() {
		t.Helper()
		lease := reserve(t, c, 1)[0]
		settleOne(t, c, &lease, domain.Outcome{Kind: domain.WaitingForChildren})
	}
	r.add(domain.JobOptions{ID: "p"})
	before := time.Now()
	wait()
	r.wantList("bull:q:wait")
	due := time.UnixMilli(int64(r.rdb.ZScore(t.Context(), "bull:q:delayed", "p").Val() / 4096))
	if held := due.Sub(before); held < 900*time.Millisecond || held > 5*time.Second {
		t.Errorf("due %s after it waited for nothing, want about a second", held)
	}
	r.do("ZREM bull:q:delayed p", "RPUSH bull:q:wait p", "HSET bull:q:p:processed bull:q:a 1 bull:q:b 1")
	for _, want := range []string{"at once, for the second child", "later"} {
		wait()
		if n := r.rdb.LLen(t.Context(), "bull:q:wait").Val(); (n == 1) != (want != "later") {
			t.Errorf("%d jobs wait, want the parent %s", n, want)
		}
	}
}

// A key of the queue's own is no child, whatever it says of itself.
func TestRemoveUnprocessedChildren_passesOverKeysOfTheQueue(t *testing.T) {
	r := newRawQueue(t, nil)
	r.addFlow(tree("root", leaf("a")))
	r.do("HSET bull:q:meta parentKey bull:q:root", "SADD bull:q:root:dependencies bull:q:meta")
	removed, err := r.queue().RemoveUnprocessedChildren(t.Context(), "root")
	if err != nil || !slices.Equal(removed, []redisqueue.JobRef{ref("a")}) {
		t.Errorf("RemoveUnprocessedChildren = %d jobs, %v, want a alone", len(removed), err)
	}
	r.wantSet("bull:q:root:dependencies", "bull:q:meta")
}
