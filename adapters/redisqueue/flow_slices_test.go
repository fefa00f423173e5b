package redisqueue_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/torture/proxy"
)

// Flows that take several calls, and what happens between these.

// watched is a backend whose calls of scripts are seen before the server gets
// them. All scripts of flows are known to the server.
func watched(t *testing.T, r *rawQueue, see func(call int, request []byte)) *redisqueue.Backend {
	t.Helper()
	p := proxy.Start(t, r.server.Addr)
	backend := open(t, r.server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })
	if _, err := backend.AddFlow(t.Context(), redisqueue.FlowNode{Queue: "first", Name: "n"}); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if bytes.Contains(bytes.ToLower(e.Request[:min(len(e.Request), 100)]), []byte("evalsha")) {
			see(int(calls.Add(1)), e.Request)
		}
		return proxy.Verdict{}
	})
	return backend
}

// argumentsOf returns how many words a request has.
func argumentsOf(request []byte) int {
	line, _, _ := strings.Cut(string(request), "\r\n")
	n, _ := strconv.Atoi(strings.TrimPrefix(line, "*"))
	return n
}

// What a call says of parents that wait for later calls does not grow with the
// flow.
func TestCallsOfALargeFlowDoNotGrow(t *testing.T) {
	t.Parallel()
	const parents = 4000
	r := newRawQueue(t, nil)
	calls := 0
	b := watched(t, r, func(call int, request []byte) {
		calls = call
		if n, most := argumentsOf(request), 10+1000*17+1001*3; n > most {
			t.Errorf("call %d has %d words, want at most %d", call, n, most)
		}
	})
	if _, err := b.AddFlow(t.Context(), big(parents, 1)); err != nil {
		t.Fatal(err)
	}
	if calls != 9 {
		t.Errorf("%d calls, want 9", calls)
	}
	r.wantWholeFlow(parents, 1)
}

// workAll completes all jobs of the queue "q" that wait but for the parent,
// which must not be among them.
func (r *rawQueue) workAll(parent domain.JobID) {
	r.Helper()
	times := map[domain.JobID]int{}
	r.count(times)
	if times[parent] > 0 {
		r.Errorf("%s is worked before all of its children are there", parent)
	}
}

// The children of the first call are all done before the second comes.
func TestAParentThatIsThereWaitsForChildrenThatAreYetToCome(t *testing.T) {
	t.Parallel()
	const children = 2500
	for name, id := range map[string]func(int) domain.JobID{
		"with ids":    func(i int) domain.JobID { return domain.JobID(fmt.Sprintf("c%d", i)) },
		"without ids": func(int) domain.JobID { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.parent("p")
			b := watched(t, r, func(call int, _ []byte) {
				if call > 1 {
					r.workAll("p")
				}
			})
			q, err := b.Queue("q")
			if err != nil {
				t.Fatal(err)
			}
			jobs := make([]redisqueue.NewJob, children)
			for i := range jobs {
				jobs[i] = redisqueue.NewJob{Name: "n", Options: domain.JobOptions{ID: id(i)}, Parent: ref("p")}
			}
			added, err := q.Add(t.Context(), jobs...)
			if err != nil || added[children-1].Status != domain.Accepted {
				t.Fatalf("Add = %v, want all accepted", err)
			}
			r.workAll("none")
			if n := r.rdb.HLen(t.Context(), "bull:q:p:processed").Val(); n != children {
				t.Errorf("the parent has %d results, want %d", n, children)
			}
			r.wantKey("bull:q:p:dependencies", false)
		})
	}
}

// Roots of several flows are children of a job that is there.
func TestAParentThatIsThereWaitsForFlowsThatAreYetToCome(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	r.parent("p")
	b := watched(t, r, func(call int, _ []byte) {
		if call > 1 {
			r.workAll("p")
		}
	})
	flows := make([]redisqueue.FlowNode, 1500)
	for i := range flows {
		flows[i] = redisqueue.FlowNode{Queue: "q", Name: "n", Parent: ref("p")}
	}
	if _, err := b.AddFlows(t.Context(), flows...); err != nil {
		t.Fatal(err)
	}
	r.wantRanked("bull:q:waiting-children", "p")
}

// Each call is small enough for the server, whatever its jobs are made of.
func TestACallOfAFlowIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const children, bytesOfEach = 400, 60 << 10
	r := newRawQueue(t, nil)
	calls := 0
	b := watched(t, r, func(call int, _ []byte) { calls = call })
	flow := tree("root")
	for range children {
		child := leaf("")
		child.Extras.Telemetry.Metadata = strings.Repeat("x", bytesOfEach)
		flow.Children = append(flow.Children, child)
	}
	if _, err := b.AddFlow(t.Context(), flow); err != nil {
		t.Fatal(err)
	}
	if least := children * bytesOfEach / (1 << 20); calls < least || calls > 2*least {
		t.Errorf("%d calls for %d jobs with metadata of %d bytes, want about %d of 1 MiB", calls, children, bytesOfEach, least)
	}
	if n := r.rdb.SCard(t.Context(), "bull:q:root:dependencies").Val(); n != children {
		t.Errorf("the root waits for %d jobs, want %d", n, children)
	}
}
