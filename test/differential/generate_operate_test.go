package differential_test

// operate does something to a whole queue, as operators and tools do.
func (g *generator) operate() (step, bool) {
	s := step{Do: "queue", Queue: g.queue()}
	count := map[string]any{"count": 1 + g.IntN(3)}
	for _, choice := range []struct {
		method string
		weight int
		args   []any
	}{
		{"promoteJobs", 8, []any{count}},
		{"retryJobs", 8, []any{g.retryAll()}},
		{"drain", 2, []any{g.chance(50)}},
		{"clean", 5, []any{pick(g, 0, hour), g.IntN(3), pick(g, "completed", "failed", "wait", "delayed", "prioritized", "active", "paused")}},
		{"obliterate", 1, []any{map[string]any{"force": g.chance(50)}}},
		{pick(g, g.freeing()...), 2, []any{pick(g, "x", "y")}},
		{"removeDeprecatedPriorityKey", 1, nil},
		{"trimEvents", 1, []any{5}},
		{"addBulk", 4, []any{g.bulk()}},
	} {
		if g.IntN(31) < choice.weight {
			s.Method, s.Args = choice.method, choice.args
			return g.byWhom(s), true
		}
	}
	return s, false
}

func (g *generator) retryAll() map[string]any {
	all := map[string]any{"state": pick(g, "failed", "completed")}
	if g.chance(30) {
		all["count"] = 1 + g.IntN(2)
	}
	if g.chance(25) {
		all["timestamp"] = now(-hour * g.Int64N(3))
	}
	return all
}

// freeing are the methods of a queue that free a deduplication key.
func (g *generator) freeing() []string {
	if g.w.version[0] == '5' {
		return []string{"removeDeduplicationKey", "removeDebounceKey"}
	}
	return []string{"removeDeduplicationKey"}
}

func (g *generator) bulk() []any {
	jobs := make([]any, 2+g.IntN(2))
	for i := range jobs {
		spec := g.spec()
		jobs[i] = map[string]any{"name": spec.Name, "data": spec.Data, "opts": spec.node()}
	}
	return jobs
}

// publish writes an event that only listeners know.
func (g *generator) publish() (step, bool) {
	event := map[string]any{"eventName": pick(g, "greeted", "paid"), "amount": pick(g, "1", "a lot")}
	return g.byWhom(step{Do: "events", Queue: g.queue(), Method: "publishEvent", Args: []any{event}}), true
}

// control changes how a queue hands out jobs.
func (g *generator) control() (step, bool) {
	s := step{Do: "queue", Queue: g.queue()}
	s.Method = pick(g, "pause", "resume", "setGlobalConcurrency", "removeGlobalConcurrency",
		"setGlobalRateLimit", "removeGlobalRateLimit", "rateLimit", "removeRateLimitKey")
	if g.w.paused[s.Queue] && g.chance(40) {
		s.Method = "resume"
	}
	switch s.Method {
	case "setGlobalConcurrency":
		s.Args = []any{1 + g.IntN(3)}
	case "setGlobalRateLimit":
		s.Args = []any{1 + g.IntN(4), hour}
	case "rateLimit":
		s.Args = []any{hour}
		// Node's workers without a limit of their own do not honour one by hand.
		return g.byWhom(s), g.w.limited
	}
	return g.byWhom(s), true
}

// byWhom has Takt carry out the step on one database, or, as in a mixed fleet,
// leaves it to Node on both.
func (g *generator) byWhom(s step) step {
	_, known := twinOf(&s)
	s.Ours = g.chance(85) && known
	return s
}

// operateJob does something to one job.
func (g *generator) operateJob() (step, bool) {
	s := step{Do: "job", Queue: g.queue()}
	var ok bool
	if s.ID, ok = g.id(s.Queue); !ok {
		return s, false
	}
	if g.chance(15) {
		return g.unlink()
	}
	s.Method = pick(g, "promote", "promote", "retry", "retry", "changeDelay", "changePriority", "remove", "remove", "updateData",
		"updateProgress", "log", "log", "clearLogs", "removeDeduplicationKey")
	switch s.Method {
	case "retry":
		s.Args = []any{pick(g, "failed", "completed"), map[string]any{"resetAttemptsMade": g.chance(40), "resetAttemptsStarted": g.chance(40)}}
	case "changeDelay":
		s.Args = []any{pick(g, 1, hour, 5*hour)}
	case "changePriority":
		s.Args = []any{map[string]any{"priority": g.IntN(4), "lifo": g.chance(40)}}
	case "remove":
		s.Args = []any{map[string]any{"removeChildren": g.chance(60)}}
	case "updateData":
		s.Args = []any{map[string]any{"new": g.IntN(9)}}
	case "updateProgress":
		s.Args = []any{g.IntN(100)}
	case "log":
		s.Args = []any{pick(g, "four", "five")}
	case "clearLogs":
		s.Args = pick(g, nil, []any{1})
	}
	switch {
	case g.chance(20):
		g.byQueue(&s)
	case g.chance(20):
		s.Apply = canBeApplied(&s)
	}
	return g.byWhom(s), true
}

// canBeApplied tells whether Takt can do the same to a list of jobs.
func canBeApplied(s *step) bool {
	switch s.Method {
	case "promote":
		return true
	case "retry":
		reset := argument[map[string]bool](s, 1)
		return argument[string](s, 0) == "failed" && !reset["resetAttemptsMade"] && !reset["resetAttemptsStarted"]
	case "remove":
		return argument[map[string]bool](s, 0)["removeChildren"]
	}
	return false
}

// unlink takes jobs of a flow apart.
func (g *generator) unlink() (step, bool) {
	s := step{Do: "job", Method: pick(g, "removeChildDependency", "removeChildDependency", "removeUnprocessedChildren")}
	links := g.links
	if len(links) == 0 {
		return s, false
	}
	link := pick(g, links[max(0, len(links)-8):]...)
	s.Queue, s.ID = link.queue, link.child
	if s.Method == "removeUnprocessedChildren" {
		s.Queue, s.ID = link.above, link.parent
	}
	return g.byWhom(s), true
}

// byQueue has the queue do what the job would, if it can.
func (g *generator) byQueue(s *step) {
	method, ok := map[string]string{"remove": "remove", "updateProgress": "updateJobProgress", "log": "addJobLog"}[s.Method]
	if !ok {
		return
	}
	s.Do, s.Method, s.Args = "queue", method, append([]any{s.ID}, s.Args...)
	s.ID = ""
	if method == "addJobLog" && g.w.version[0] == '6' && g.chance(50) {
		// BullMQ 5 answers something else.
		s.Args = append(s.Args, 1+g.IntN(2))
	}
}
