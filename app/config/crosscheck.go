package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// socketPathLimit is the shortest limit of the supported systems, in bytes.
const socketPathLimit = 104

// crossCheck judges what single values cannot show, and completes the target.
// A value that is bad in itself takes no part.
func (l *loader) crossCheck(target *decoded) {
	l.resolveBackend(target)
	l.resolveLedger(target)
	l.resolveRedis(target)
	l.resolveDatabase(target)
	l.resolveStorage(target)
	l.checkHeartbeatCron(target.Config.Scheduler)
	l.checkPayload(target.Config.Queue)
	l.checkSocketPath(target.Config.Process)
}

func (l *loader) resolveBackend(target *decoded) {
	queue := &target.Config.Queue
	wish := Wish{
		QueueEnabled: l.switchOf(nameQueueEnabled, target.Switches.QueueEnabled),
		RedisEnabled: l.switchOf(nameRedisEnabled, target.Switches.RedisEnabled),
	}
	if found := l.values[nameQueueBackend]; found.set && !found.bad {
		wish.Backend = queue.Backend
	}
	backend, contradictions := wish.Resolve()
	for _, pair := range contradictions {
		l.contradict(pair)
	}
	queue.Backend = backend
	l.explainBackend(wish, backend)
}

// explainBackend records the switch that decided an unset backend.
func (l *loader) explainBackend(wish Wish, backend Backend) {
	found := l.values[nameQueueBackend]
	if wish.Backend == BackendUnset {
		switch {
		case wish.QueueEnabled == SwitchOff:
			found.origin = l.values[nameQueueEnabled].origin.via(nameQueueEnabled)
		case wish.RedisEnabled == SwitchOn:
			found.origin = l.values[nameRedisEnabled].origin.via(nameRedisEnabled)
		}
	}
	found.text = string(backend)
	l.values[nameQueueBackend] = found
}

func (l *loader) switchOf(name string, on bool) Switch {
	switch found := l.values[name]; {
	case !found.set || found.bad:
		return SwitchUnset
	case on:
		return SwitchOn
	}
	return SwitchOff
}

func (l *loader) resolveLedger(target *decoded) {
	queue := &target.Config.Queue
	switch queue.Ledger {
	case LedgerAuto:
		queue.Ledger, queue.LedgerFollows = LedgerSQL, true
		if queue.Backend == BackendRedis {
			queue.Ledger = LedgerRedis
		}
	case LedgerRedis:
		if l.switchOf(nameRedisEnabled, target.Switches.RedisEnabled) == SwitchOff {
			l.contradict(Contradiction{Variable: nameLedger, Value: string(LedgerRedis), Other: nameRedisEnabled, OtherValue: "false"})
		}
	case LedgerMemory, LedgerSQL:
	}
}

func (l *loader) checkHeartbeatCron(scheduler Scheduler) {
	if l.values[nameHeartbeatCron].bad {
		return
	}
	if err := l.checkCron(scheduler.HeartbeatCron, scheduler.Timezone); err != nil {
		l.report(l.mistakeHere(nameHeartbeatCron, oneLine(err.Error())))
	}
}

func (l *loader) checkPayload(queue Queue) {
	if queue.Backend == BackendRedis || l.anyBad(nameMaxPayload, nameMemoryBytes) || queue.MaxPayload <= queue.MemoryMaxBytes {
		return
	}
	limit := bytesText(queue.MemoryMaxBytes)
	problem := l.mistakeHere(nameMaxPayload, "larger than "+nameMemoryBytes+"="+limit+
		" ("+l.values[nameMemoryBytes].origin.String()+"), so such a job would never fit")
	problem.Expected, problem.Example = "at most "+limit+", or more "+nameMemoryBytes, limit
	l.report(problem)
}

func (l *loader) checkSocketPath(process Process) {
	if l.anyBad(nameStateDir, nameNamespace, nameInstance) {
		return
	}
	path := filepath.Join(process.StateDir, process.Namespace, process.Instance+".sock")
	if excess := len(path) - socketPathLimit; excess > 0 {
		problem := l.mistakeHere(nameStateDir, "too long: the path of the control socket, "+
			"<directory>/<namespace>/<instance>.sock, would have "+strconv.Itoa(len(path))+" bytes")
		problem.Expected = "an absolute path that keeps it at " + strconv.Itoa(socketPathLimit) + " bytes"
		l.report(problem)
	}
}

func (l *loader) anyBad(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return l.values[name].bad })
}

// contradict reports a backend that a switch forbids, and both ways out.
func (l *loader) contradict(pair Contradiction) {
	problem := l.mistakeHere(pair.Variable, "contradicts "+pair.Other+"="+pair.OtherValue+
		" ("+l.values[pair.Other].origin.String()+")")
	way := BackendNone
	if pair.Other == nameRedisEnabled {
		way = BackendMemory
	}
	problem.Expected = string(way) + ", or " + pair.Other + "=true"
	problem.Example = string(way)
	l.report(problem)
}

// mistakeHere is a problem of a value that is good alone but not beside others.
func (l *loader) mistakeHere(name, what string) Problem {
	variable, text := l.byName[name], l.values[name].text
	if display := variable.rule.display; display != nil {
		text = display(text)
	}
	problem := l.mistake(variable, text, what)
	if redact := variable.rule.redact; variable.Secret && redact != nil {
		problem.Got = quoted(redact(text))
	}
	return problem
}

func (l *loader) report(problem Problem) { l.problems = append(l.problems, problem) }

// oneLine keeps a foreign error message short and printable.
func oneLine(text string) string {
	const limit = 200
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text))
	if len(runes) <= limit {
		return string(runes)
	}
	return string(runes[:limit]) + "…"
}
