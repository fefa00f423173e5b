package differential_test

import (
	"encoding/json"
	"strconv"

	"github.com/taktwork/takt/core/domain"
)

func (g *generator) data() json.RawMessage {
	return json.RawMessage(pick(g, `{}`, `{"a":1}`, `{"b":[1,2],"c":{"d":"é"}}`, `null`, `"text"`, `[]`, `7`))
}

func (g *generator) name() string { return pick(g, "send", "sync") }

// delay returns none, or a delay that is due at the next step, or never.
func (g *generator) delay() int64 {
	switch n := g.IntN(100); {
	case n < 75:
		return 0
	case n < 88:
		return 1
	}
	return (1 + g.Int64N(9)) * hour
}

// spec returns a job that both producers can add.
func (g *generator) spec() jobSpec {
	j := jobSpec{Name: g.name(), Data: g.data(), Delay: g.delay(), LIFO: g.chance(12)}
	if g.chance(25) {
		j.ID = pick(g, "a", "b", "c", "d-1")
	}
	if g.chance(30) {
		j.Priority = pick(g, 1, 2, 3, 1<<21-1)
	}
	if g.chance(45) {
		j.Attempts = 1 + g.IntN(4)
	}
	if g.chance(40) {
		j.Backoff = &backoffSpec{Type: pick(g, "fixed", "exponential"), Delay: pick(g, 0, hour, hour, 2*hour)}
		if j.Backoff.Type == "fixed" && g.chance(50) {
			j.Backoff.Delay = 1
		}
	}
	if g.chance(35) {
		j.Completed = g.keep()
	}
	if g.chance(35) {
		j.Failed = g.keep()
	}
	if g.chance(15) {
		g.deduplicate(&j)
	}
	return j
}

// deduplicate gives the job a key, in a mode that the version knows.
func (g *generator) deduplicate(j *jobSpec) {
	mode := pick(g, append(dedupModes(g.w.version), domain.DedupDrop)...)
	j.Dedup, j.DedupMode = pick(g, "x", "y"), string(mode)
	switch {
	case mode.Extends():
		j.DedupTTL = hour
	case !mode.KeepsLast():
		j.DedupTTL = pick[int64](g, 0, 0, hour)
	}
	switch {
	case mode.Replaces():
		// Owners that are delayed are what they are about.
		j.Delay = pick(g, 0, 1, hour, 2*hour)
	case mode == domain.DedupReschedule:
		// Due at once, the owner could be so in the millisecond of another job.
		j.Delay = hour * (1 + g.Int64N(3))
	}
}

func (g *generator) keep() *keepSpec {
	return &keepSpec{Count: g.IntN(3), Age: pick[int64](g, 0, 0, 3600)}
}

func (g *generator) enqueue() (step, bool) {
	s := step{Do: "enqueue", Queue: g.queue()}
	count := 1
	if g.chance(25) {
		count = 2 + g.IntN(4)
	}
	for range count {
		s.Jobs = append(s.Jobs, g.spec())
	}
	return s, true
}

// add adds a job with options that only Node's producers know.
func (g *generator) add() (step, bool) {
	return g.addWith(g.spec().node())
}

func (g *generator) addWith(opts map[string]any) (step, bool) {
	maybe := func(percent int, name string, value any) {
		if g.chance(percent) {
			opts[name] = value
		}
	}
	// Not in whole hours: with a delay it would be due in the millisecond of its
	// own step, which may be another's as well.
	maybe(15, "timestamp", now(-hour*(1+g.Int64N(9))+hour/6))
	maybe(15, "keepLogs", 1+g.IntN(3))
	maybe(15, "stackTraceLimit", g.IntN(3))
	maybe(10, "sizeLimit", 1000)
	metadata := `{"traceparent":"00-1-2-01"}`
	maybe(8, "telemetry", pick(g, map[string]any{"metadata": metadata}, map[string]any{"metadata": metadata, "omitContext": true}))
	maybe(25, "removeOnComplete", g.anyKeep())
	maybe(25, "removeOnFail", g.anyKeep())
	maybe(10, "backoff", pick(g, 0, 1, hour))
	maybe(5, "custom", map[string]any{"some": []int{1, 2}})
	maybe(25, "deduplication", g.anyDedup())
	if dedup, _ := opts["deduplication"].(map[string]any); dedup["reschedule"] == true {
		opts["delay"] = hour * (1 + g.Int64N(3))
	}
	return g.byWhom(step{Do: "queue", Queue: g.queue(), Method: "add", Args: []any{g.name(), g.data(), opts}}), true
}

func (g *generator) anyKeep() any {
	return pick[any](g, true, false, 0, 1, 2, -1, map[string]any{"count": 1}, map[string]any{"age": 0}, map[string]any{"age": 3600},
		map[string]any{"age": 3600, "count": 2}, map[string]any{"age": 3600, "limit": 1}, map[string]any{"count": 0, "age": 3600})
}

func (g *generator) anyDedup() any {
	dedup := map[string]any{"id": pick(g, "x", "y")}
	if g.chance(40) {
		dedup["ttl"] = hour * (1 + g.Int64N(3))
	}
	for _, mode := range []string{"extend", "replace", "keepLastIfActive", "reschedule"} {
		if g.chance(35) {
			dedup[mode] = true
		}
	}
	return dedup
}

// flowNode returns a node of a flow and, down to the depth, its children.
// Ids are given: random ones could not be compared.
func (g *generator) flowNode(depth int, queue string) map[string]any {
	spec := g.spec()
	spec.Dedup, spec.DedupMode, spec.DedupTTL = "", "", 0
	g.flows++
	if spec.ID == "" || g.chance(85) {
		spec.ID = "f" + strconv.Itoa(g.flows)
	}
	opts := spec.node()
	node := map[string]any{"name": spec.Name, "queueName": queue, "data": spec.Data, "opts": opts}
	if depth == 0 {
		return node
	}
	var children []any
	for range 1 + g.IntN(3) {
		below := 0
		if g.chance(25) {
			below = depth - 1
		}
		child := g.flowNode(below, pick(g, "work", "work", "boss"))
		if g.chance(65) {
			child["opts"].(map[string]any)[g.policy()] = true
		}
		children = append(children, child)
	}
	if spec.Delay > 0 {
		// Released in the millisecond of another delayed job, it would come
		// before or after that one by its id.
		opts["delay"] = (100 + int64(g.flows)) * hour
	}
	node["children"] = children
	return node
}

func (g *generator) policy() string {
	return pick(g, "failParentOnFailure", "continueParentOnFailure", "ignoreDependencyOnFailure", "removeDependencyOnFailure")
}

// remember lets operators choose among the jobs of a flow.
func (g *generator) remember(node map[string]any) {
	queue := node["queueName"].(string)
	g.w.ids[queue] = append(g.w.ids[queue], node["opts"].(map[string]any)["jobId"].(string))
	children, _ := node["children"].([]any)
	for _, each := range children {
		child := each.(map[string]any)
		g.links = append(g.links, link{
			child["queueName"].(string), child["opts"].(map[string]any)["jobId"].(string),
			queue, node["opts"].(map[string]any)["jobId"].(string),
		})
		g.remember(child)
	}
}

// addChild adds a child to some job, as a handler may do.
func (g *generator) addChild() (step, bool) {
	queue := g.queue()
	id, ok := g.id(queue)
	if held := g.held(queue, true); len(held) > 0 && g.chance(70) {
		id, ok = g.w.slots[slotKey{queue, pick(g, held...)}].ids[0], true
	}
	if !ok || isRun(id) {
		return step{}, false
	}
	opts := g.spec().node()
	delete(opts, "deduplication")
	opts["parent"] = map[string]any{"id": id, "queue": "bull:" + queue}
	if g.chance(60) {
		opts[g.policy()] = true
	}
	return g.addWith(opts)
}
