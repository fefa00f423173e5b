package differential_test

import "encoding/json"

func (g *generator) fetch() (step, bool) {
	s := step{Do: "fetch", Queue: g.queue()}
	free := g.held(s.Queue, false)
	if len(free) == 0 {
		return s, false
	}
	s.Next = free[:1]
	if g.chance(15) {
		s.Next = free
	}
	return s, true
}

// settle ends the job of a slot and takes the next one into it, or none.
func (g *generator) settle() (step, bool) {
	s := step{Do: "settle", Queue: g.queue()}
	held := g.held(s.Queue, true)
	if len(held) == 0 {
		return s, false
	}
	slot := pick(g, held...)
	s.Endings = []ending{g.ending(slot)}
	if g.chance(55) {
		s.Next = []int{slot}
	}
	return s, true
}

// settleMany ends several jobs in one call.
func (g *generator) settleMany() (step, bool) {
	s := step{Do: "settle", Queue: g.queue()}
	held := g.held(s.Queue, true)
	if len(held) < 2 {
		return s, false
	}
	g.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	for _, slot := range held[:2+g.IntN(len(held)-1)] {
		e := g.ending(slot)
		if e.Kind == "children" {
			// It would see the state of the queue before the batch.
			e.Kind = "back"
		}
		s.Endings = append(s.Endings, e)
		if g.chance(50) {
			s.Next = append(s.Next, slot)
		}
	}
	return s, true
}

func (g *generator) ending(slot int) ending {
	e := ending{Slot: slot}
	switch n := g.IntN(100); {
	case n < 45:
		e.Kind = "complete"
		e.Value = json.RawMessage(pick(g, `{"ok":true}`, `"done"`, `[1,2]`, `5`, `null`, `""`, `0`, `false`))
	case n < 75:
		e.Kind, e.Reason = "fail", pick(g, "broken", `a "quoted" one`, "grüße", "")
	case n < 80:
		e.Kind, e.Reason = "unrecoverable", "beyond repair"
	case n < 87:
		e.Kind, e.MS = "snooze", pick(g, 1, hour, 3*hour)
	case n < 93:
		e.Kind = "back"
	case n < 97:
		e.Kind = "children"
	default:
		e.Kind = "back"
		if g.w.limited {
			// Other workers of Node do not honour a limit by hand.
			e.Kind, e.MS = "limit", hour
		}
	}
	return e
}

func (g *generator) slotStep(do string) (step, bool) {
	s := step{Do: do, Queue: g.queue()}
	held := g.held(s.Queue, true)
	if len(held) == 0 {
		return s, false
	}
	s.Slot = pick(g, held...)
	return s, true
}

func (g *generator) extend() (step, bool) { return g.slotStep("extend") }

func (g *generator) note() (step, bool) {
	s, ok := g.slotStep("note")
	if g.chance(40) {
		s.Data = g.data()
	}
	if g.chance(50) || s.Data == nil {
		s.Progress = json.RawMessage(pick(g, `50`, `{"p":1}`, `"half"`, `true`))
	}
	for range g.IntN(4) {
		s.Lines = append(s.Lines, pick(g, "one", "two", "three"))
	}
	return s, ok
}

func (g *generator) recover() (step, bool) { return step{Do: "recover", Queue: g.queue()}, true }

func (g *generator) touch() (step, bool) {
	s := step{
		Do: "touch", Queue: g.queue(), Amount: pick(g, 1, 2, 3, 9),
		Method: pick(g, "end guard", "end guard", "end limit", "end deduplication", "end deduplication",
			"age completed", "age completed", "age failed", "age failed", "age schedule", "age metrics"),
	}
	if g.w.metrics && g.chance(30) {
		s.Method = "age metrics"
	}
	switch s.Method {
	case "end deduplication":
		s.ID = pick(g, "x", "y")
	case "age schedule":
		ids := g.w.schedulers[s.Queue]
		if len(ids) == 0 {
			return s, false
		}
		s.ID = pick(g, ids...)
	}
	if g.chance(30) {
		s.Method = pick(g, "drop lock", "steal lock", "age lock")
		if held := g.held(s.Queue, true); len(held) > 0 {
			s.Slot = pick(g, held...)
			return s, true
		}
		return s, false
	}
	return s, true
}

// crash is the story of a worker that dies, until its jobs are recovered and
// one of them is taken again.
func (g *generator) crash() (step, bool) {
	first, ok := g.slotStep("touch")
	if !ok {
		return first, false
	}
	first.Method = "drop lock"
	scan := []step{{Do: "touch", Queue: first.Queue, Method: "end guard"}, {Do: "recover", Queue: first.Queue}}
	g.story = append(append(g.story, scan...), scan...)
	if free := g.held(first.Queue, false); len(free) > 0 && g.chance(70) {
		g.story = append(g.story, step{Do: "fetch", Queue: first.Queue, Next: free[:1]})
		if g.chance(60) {
			// It dies again.
			again := first
			again.Slot = free[0]
			g.story = append(append(append(g.story, again), scan...), scan...)
			g.story = append(g.story, step{Do: "settle", Queue: first.Queue, Endings: []ending{g.ending(first.Slot)}, Next: []int{first.Slot}})
		}
	}
	return first, true
}

// renewal is the story of a lock that is renewed between two scans, and lost.
func (g *generator) renewal() (step, bool) {
	extend, ok := g.slotStep("extend")
	if !ok {
		return extend, false
	}
	scan := []step{{Do: "touch", Queue: extend.Queue, Method: "end guard"}, {Do: "recover", Queue: extend.Queue}}
	g.story = append(g.story, scan[1], extend, step{Do: "touch", Queue: extend.Queue, Method: "drop lock", Slot: extend.Slot})
	g.story = append(g.story, scan...)
	return scan[0], true
}
