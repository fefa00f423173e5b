package interop_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// putPriorities adds a job for each priority, with ids a, b, c and so on.
func (l *lab) putPriorities(priorities ...int) {
	l.t.Helper()
	for i, priority := range priorities {
		l.put("send", `{}`, domain.JobOptions{ID: domain.JobID(string(rune('a' + i))), Priority: priority})
	}
}

func TestCheck30_NodeWorksTaktsPrioritiesInOrder(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		l.putPriorities(2, 1, 2, 0, 1)
		counts := node.Decode[map[string]int](t, queue.Call("getCountsPerPriority", []int{0, 1, 2}))
		if counts["0"] != 1 || counts["1"] != 2 || counts["2"] != 2 {
			t.Errorf("counts per priority = %v, want 1, 2 and 2", counts)
		}
		if got := strings.Join(startedBy(t, l.Worker("mail", node.Steps{}), 5), ""); got != "dbeac" {
			t.Errorf("order = %s, want dbeac", got)
		}
	})
}

func TestCheck30_TaktWorksNodesPrioritiesInOrder(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		for i, priority := range []int{2, 1, 2, 0, 1} {
			queue.Add("send", node.Opts{}, node.Opts{"jobId": string(rune('a' + i)), "priority": priority})
		}
		l.work(work{handlers: handlers{"send": order.note}})
		l.awaitCount("completed", 5)
		if got := strings.Join(order.ids(), ""); got != "dbeac" {
			t.Errorf("order = %s, want dbeac", got)
		}
	})
}

func TestCheck31_ScoresHaveAClassAndACounter(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.putPriorities(7, 7, domain.MaxPriority)
		scores := l.scores("prioritized")
		for id, want := range map[string]float64{"a": 7<<32 + 1, "b": 7<<32 + 2, "c": domain.MaxPriority<<32 + 3} {
			if scores[id] != want {
				t.Errorf("score of %s = %.0f, want %.0f", id, scores[id], want)
			}
		}
		l.work(work{handlers: handlers{"send": echo}})
		l.awaitCount("completed", 3)
		await(t, "the counter to be dropped", func() bool { return !l.has("pc") })
	})
}

func TestCheck32_TaktRespectsAPriorityThatNodeChanged(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		l.putPriorities(5, 5, 5, 0)
		queue.OnJob("c", "changePriority", node.Opts{"priority": 1})
		queue.OnJob("b", "changePriority", node.Opts{"priority": 5, "lifo": true})
		queue.OnJob("d", "changePriority", node.Opts{"priority": 9})
		l.work(work{handlers: handlers{"send": order.note}})
		l.awaitCount("completed", 4)
		if got := strings.Join(order.ids(), ""); got != "cbad" {
			t.Errorf("order = %s, want cbad", got)
		}
		l.wantHash("c", map[string]string{"priority": "1"})
		if priorities := order.seen(); priorities[0].Options.Priority != 1 {
			t.Errorf("takt sees priority %d, want 1", priorities[0].Options.Priority)
		}
	})
}

// A priority of 1.5 cannot be said in Go; package cli refuses it with the others.
func TestCheck33_TaktRefusesPrioritiesOutOfRange(t *testing.T) {
	l := labWithoutNode(t)
	for _, priority := range []int{2097152, -1} {
		_, err := l.producer().Enqueue(t.Context(), job("send", `{}`, domain.JobOptions{Priority: priority}))
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Enqueue with priority %d = %v, want ErrInvalid", priority, err)
		}
	}
	l.wantNoKeys()
}

// wantNoKeys checks that nothing was stored.
func (l *lab) wantNoKeys() {
	l.t.Helper()
	if keys := must(l.t, l.redis.Keys(l.t.Context(), "bull:*")); len(keys) > 0 {
		slices.Sort(keys)
		l.t.Errorf("keys %v are there, want none", keys)
	}
}
