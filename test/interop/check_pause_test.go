package interop_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// operator is somebody who pauses and resumes queues: a version of BullMQ, or
// Takt in a fleet of that version.
type operator struct {
	version string
	takt    bool
}

func (o operator) String() string {
	if o.takt {
		return "takt among " + o.version
	}
	return o.version
}

func (o operator) apply(l *lab, kind domain.OperationKind) {
	l.t.Helper()
	if !o.takt {
		l.as(o.version).Queue("mail").Call(string(kind))
		return
	}
	profile := redisqueue.ProfileV5
	if o.version == node.V6 {
		profile = redisqueue.ProfileV6
	}
	backend := l.backend(func(c *redisqueue.Config) { c.Profile = profile })
	if _, err := backend.Apply(l.t.Context(), "mail", domain.Operation{Kind: kind}); err != nil {
		l.t.Fatal(err)
	}
}

// pausing is one cell of the matrix of protocol 6.2.
type pausing struct {
	pauser, resumer operator
	// before tells that jobs wait as the queue is paused.
	before bool
	// twice tells that it is paused a second time, after jobs were added.
	twice bool
}

func (p pausing) String() string {
	return fmt.Sprintf("by %s, resumed by %s, jobs before: %t, twice: %t", p.pauser, p.resumer, p.before, p.twice)
}

// pausings returns all cells. In those of two majors Node's jobs, like Takt's,
// are added the pauser's way: Node 5 resuming what Node 6 has paused and Node 5
// has added to loses jobs without Takt.
func pausings() []pausing {
	five := []operator{{node.V5First, false}, {node.V5Last, false}, {node.V5Last, true}}
	six := []operator{{node.V6, false}, {node.V6, true}}
	var cells []pausing
	add := func(pausers, resumers []operator) {
		for _, pauser := range pausers {
			for _, resumer := range resumers {
				for _, flags := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
					cells = append(cells, pausing{pauser, resumer, flags[0], flags[1]})
				}
			}
		}
	}
	add(five, five)
	add(six, six)
	add(five, six)
	add(six, five)
	return cells
}

func TestCheck51_NoJobIsLostByAPause(t *testing.T) {
	t.Parallel()
	for _, cell := range pausings() {
		t.Run(cell.String(), func(t *testing.T) {
			t.Parallel()
			leaveOut(t, cell != pausing{operator{fastVersion, false}, operator{fastVersion, false}, true, false})
			losesNothing(t, newLab(t, cell.pauser.version), cell)
		})
	}
}

func losesNothing(t *testing.T, l *lab, cell pausing) {
	t.Helper()
	nodes := l.Queue("mail")
	var want []string
	add := func() {
		for range 2 {
			want = append(want, l.put("send", `{}`), nodes.Add("send", node.Opts{}).ID)
		}
	}
	if cell.before {
		add()
	}
	cell.pauser.apply(l, domain.OpPause)
	add()
	if l.has("wait") && l.has("paused") {
		t.Errorf("wait = %v and paused = %v, want ids in one of them", l.list("wait"), l.list("paused"))
	}
	if cell.twice {
		cell.pauser.apply(l, domain.OpPause)
		add()
	}
	cell.resumer.apply(l, domain.OpResume)
	add()
	if l.has("paused") {
		t.Errorf("paused = %v after the resume, want none", l.list("paused"))
	}

	order := &journal{}
	l.work(work{handlers: handlers{"send": order.note}})
	l.awaitCount("completed", len(want))
	got := order.ids()
	if !slices.Equal(got, want) {
		t.Errorf("order = %v, want each job once in the order of %v", got, want)
	}
}
