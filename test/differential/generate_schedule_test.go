package differential_test

// schedule makes, changes or removes a job scheduler.
func (g *generator) schedule() (step, bool) {
	s := step{Do: "queue", Queue: g.queue(), Method: "upsertJobScheduler"}
	id := pick(g, "daily", "hourly")
	if g.chance(15) {
		s.Method, s.Args = "removeJobScheduler", []any{id}
		return s, true
	}
	if g.w.version[0] == '5' && g.chance(20) {
		return g.legacy(s.Queue)
	}
	template := map[string]any{"name": g.name()}
	if g.chance(60) {
		template["data"] = g.data()
	}
	if g.chance(70) {
		template["opts"] = g.template()
	}
	s.Args = []any{id, g.repeat(), template}
	return s, true
}

func (g *generator) repeat() map[string]any {
	repeat := map[string]any{}
	maybe := func(percent int, name string, value any) {
		if g.chance(percent) {
			repeat[name] = value
		}
	}
	if g.chance(60) {
		repeat["every"] = pick(g, hour, 2*hour, 24*hour)
		maybe(20, "offset", 900_000)
	} else {
		repeat["pattern"] = pick(g, "0 0 3 * * *", "30 4 1 * *", "0 12 * * 1-5", "0 */6 * * *", "0 0 29 2 *")
		maybe(40, "tz", pick(g, "Europe/Berlin", "America/New_York"))
		maybe(30, "immediately", true)
	}
	maybe(20, "limit", 1+g.IntN(3))
	maybe(20, "endDate", now(hour*(1+g.Int64N(50))))
	if repeat["immediately"] == nil {
		maybe(15, "startDate", now(hour*(g.Int64N(6)-2)))
	}
	return repeat
}

func (g *generator) template() map[string]any {
	opts := g.spec().node()
	delete(opts, "jobId")
	delete(opts, "delay")
	delete(opts, "deduplication")
	if g.chance(20) {
		// The first run has it as it is here.
		opts["backoff"] = pick(g, 1, hour)
	}
	return opts
}

// legacy adds a repeatable job, as programs did before there were schedulers.
func (g *generator) legacy(queue string) (step, bool) {
	opts := g.template()
	opts["repeat"] = pick(g, map[string]any{"every": hour}, map[string]any{"pattern": "0 3 * * *"}, map[string]any{"every": hour, "limit": 2})
	return step{Do: "queue", Queue: queue, Method: "add", Args: []any{g.name(), g.data(), opts}}, true
}

// scheduled does something to the job that a scheduler waits for: most often
// it is made due.
func (g *generator) scheduled() (step, bool) {
	s := step{Do: "scheduled", Queue: g.queue(), Method: pick(g, "promote", "promote", "promote", "remove", "changePriority")}
	ids := g.w.schedulers[s.Queue]
	if len(ids) == 0 {
		return s, false
	}
	s.ID = pick(g, ids...)
	if s.Method == "changePriority" {
		s.Args = []any{map[string]any{"priority": g.IntN(3)}}
	}
	return g.byWhom(s), true
}
