package differential_test

import "github.com/taktwork/takt/test/interop/node"

// read asks for something that both sides know.
func (g *generator) read() (step, bool) {
	s := step{Do: "get", Ours: true, Queue: g.queue()}
	s.Method = pick(g, "counts", "priorities", "jobs", "jobs", "jobs", "job", "job", "log", "children", "children", "flow",
		"schedulers", "metrics", "limits", "owner", "prometheus")
	start := pick(g, 0, 0, 0, 1, 2)
	end := start + g.IntN(5)
	switch s.Method {
	case "priorities":
		s.Args = []any{[]int{0, 1, 2, 3, 1<<21 - 1}}
	case "jobs":
		state := pick(g, "waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed")
		s.Args = []any{state, start, end, g.chance(50)}
	case "job", "log", "children", "flow":
		var ok bool
		if s.ID, ok = g.id(s.Queue); !ok {
			return s, false
		}
		s.Args = []any{start, pick(g, -1, end), g.chance(50)}
	case "metrics":
		s.Args = []any{pick(g, "completed", "failed"), start, pick(g, -1, end)}
	case "owner":
		s.Args = []any{pick(g, "x", "y")}
	case "prometheus":
		// 5.70 exports less.
		return s, g.w.version != node.V5First
	}
	return s, true
}
