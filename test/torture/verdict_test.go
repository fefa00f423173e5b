package torture_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// rules are what a run is judged by.
type rules struct {
	// concurrency is that of each worker, workers their number.
	concurrency, workers int
	// batch is how many jobs a producer adds in one call.
	batch int
	// crashes is how many crashes a job survives.
	crashes int
	// removes tells that jobs leave nothing behind when they are completed.
	removes bool
	// interval is that of the ticks that jobs come from.
	interval time.Duration
}

// tally is what a run came to.
type tally struct {
	accepted, unanswered, completed, failed, duplicates, kills int
	// byServer are the duplicates that only an absence of the server explains.
	byServer int
	// stalls are how often the machine stood still.
	stalls int
}

func (t tally) String() string {
	return fmt.Sprintf("%d accepted, %d added without an answer, %d completed, %d failed after crashes, %d duplicates (%d of them by the server's absence), %d kills, %d stalls",
		t.accepted, t.unanswered, t.completed, t.failed, t.duplicates, t.byServer, t.kills, t.stalls)
}

// judge returns what was wrong with a run that came to rest.
func (e *evidence) judge(r rules) (tally, []string) {
	j := &judge{
		evidence: *e, rules: r, starts: map[string][]stretch{}, accepted: map[string]bool{}, blowsOf: map[int][]blow{},
	}
	j.readBlows()
	j.readEffects()
	j.judgeAccepted()
	j.judgePlaces()
	for _, id := range slices.Sorted(maps.Keys(j.starts)) {
		j.judgeStarts(id, j.starts[id])
	}
	j.judgeSum()
	return j.tally, j.wrong
}

// stretch is one execution of a job.
type stretch struct {
	effect

	// end is when the handler returned, zero if it never did; how says with what.
	end int64
	how mark
}

type judge struct {
	evidence

	rules    rules
	starts   map[string][]stretch
	accepted map[string]bool
	blowsOf  map[int][]blow
	absences []blow

	tally tally
	wrong []string
}

func (j *judge) violation(format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf(format, args...))
}

func (j *judge) readBlows() {
	for _, b := range j.blows {
		switch b.Kind {
		case serverAway:
			j.absences = append(j.absences, b)
			j.tally.kills++
		case killedWorker, killedProducer:
			j.tally.kills++
			j.blowsOf[b.PID] = append(j.blowsOf[b.PID], b)
		case stalledServer:
			j.absences = append(j.absences, b)
			j.tally.stalls++
		case stalledWorker:
			j.blowsOf[b.PID] = append(j.blowsOf[b.PID], b)
			j.tally.stalls++
		case pausedWorker:
			j.blowsOf[b.PID] = append(j.blowsOf[b.PID], b)
		}
	}
}

// readEffects joins the beginnings of executions with their ends.
func (j *judge) readEffects() {
	slices.SortStableFunc(j.effects, func(a, b effect) int { return int(min(max(a.At-b.At, -1), 1)) })
	for _, e := range j.effects {
		if e.Mark == began {
			j.starts[e.ID] = append(j.starts[e.ID], stretch{effect: e})
			continue
		}
		open := slices.IndexFunc(j.starts[e.ID], func(s stretch) bool {
			return s.PID == e.PID && s.Started == e.Started && s.end == 0
		})
		if open < 0 {
			j.violation("job %s: process %d ended start %d that it did not begin", e.ID, e.PID, e.Started)
			continue
		}
		j.starts[e.ID][open].end, j.starts[e.ID][open].how = e.At, e.Mark
	}
}

// judgeAccepted looks for lost jobs and for pieces of work added twice.
func (j *judge) judgeAccepted() {
	j.tally.accepted = len(j.evidence.accepted)
	ids := map[string]string{}
	for _, a := range j.evidence.accepted {
		if j.accepted[a.ID] {
			j.violation("job %s: accepted twice", a.ID)
		}
		j.accepted[a.ID] = true
		if len(j.contents.places[a.ID]) == 0 && (!j.rules.removes || !j.ended(a.ID)) {
			j.violation("job %s: lost", a.ID)
		}
		if other := ids[a.Key]; other != "" {
			j.violation("work %s: added as %s and as %s", a.Key, other, a.ID)
		}
		ids[a.Key] = a.ID
	}
	for id, starts := range j.starts {
		if other := ids[starts[0].Key]; other != "" && other != id {
			j.violation("work %s: done as job %s, accepted as %s", starts[0].Key, id, other)
		}
	}
}

// ended tells whether a handler came to the end of the job.
func (j *judge) ended(id string) bool {
	return slices.ContainsFunc(j.starts[id], func(s stretch) bool { return s.how == ended })
}

// judgePlaces checks that each job is in one place, and done.
func (j *judge) judgePlaces() {
	for _, id := range slices.Sorted(maps.Keys(j.contents.places)) {
		places := j.contents.places[id]
		if len(places) > 1 {
			j.violation("job %s: in %s at once", id, strings.Join(places, " and "))
		}
		if !j.contents.hashes[id] {
			j.violation("job %s: in %s without a hash", id, places[0])
		}
		if !j.accepted[id] {
			j.tally.unanswered++
		}
		switch places[0] {
		case "completed":
			j.tally.completed++
			if !j.ended(id) {
				j.violation("job %s: completed, but no handler ended it", id)
			}
		case "failed":
			j.tally.failed++
			j.judgeFailed(id)
		default:
			j.violation("job %s: left in %s", id, places[0])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(j.contents.hashes)) {
		if len(j.contents.places[id]) == 0 {
			j.violation("job %s: a hash that no place names", id)
		}
	}
	for _, id := range j.contents.locks {
		j.violation("job %s: still locked", id)
	}
}

// crashReason is why jobs fail whose workers died too often, in BullMQ's words.
const crashReason = "job stalled more than allowable limit"

// judgeFailed checks that a job was under workers that were hit more often
// than it survives. Not each of them came to write that it began: a kill may
// come first.
func (j *judge) judgeFailed(id string) {
	hits := len(j.absences)
	for pid, blows := range j.blowsOf {
		if slices.ContainsFunc(j.starts[id], func(s stretch) bool { return s.PID == pid }) || blows[0].Kind == killedWorker {
			hits += len(blows)
		}
	}
	if reason := j.contents.reasons[id]; reason != crashReason || hits <= j.rules.crashes {
		j.violation("job %s: failed with %q after %d starts; %d blows came near it", id, reason, len(j.starts[id]), hits)
	}
}

// judgeStarts asks for the cause of each start after the first.
func (j *judge) judgeStarts(id string, starts []stretch) {
	if len(j.contents.places[id]) == 0 && !j.accepted[id] {
		j.violation("job %s: begun, but neither accepted nor on the queue", id)
	}
	for i := 1; i < len(starts); i++ {
		before, next := starts[i-1], starts[i]
		j.tally.duplicates++
		if next.Started <= before.Started {
			j.violation("job %s: start %d follows start %d", id, next.Started, before.Started)
		}
		own := slices.IndexFunc(j.blowsOf[before.PID], func(b blow) bool { return b.Until >= before.At && b.From <= next.At })
		if own < 0 {
			j.tally.byServer++
			if !slices.ContainsFunc(j.absences, func(b blow) bool { return b.Until >= before.At && b.From <= next.At }) {
				j.violation("job %s: begun by %d, begun again by %d %s later, and nothing hit the first",
					id, before.PID, next.PID, ms(next.At-before.At))
			}
		}
		paused := own >= 0 && (j.blowsOf[before.PID][own].Kind == pausedWorker || j.blowsOf[before.PID][own].Kind == stalledWorker)
		if before.end > next.At && !paused {
			j.violation("job %s: begun by %d %s before %d was through with it", id, next.PID, ms(before.end-next.At), before.PID)
		}
		if before.end == 0 && own < 0 {
			j.violation("job %s: begun by %d, who neither ended it nor was killed", id, before.PID)
		}
	}
}

func ms(ns int64) string { return fmt.Sprintf("%.1fms", float64(ns)/1e6) }

// judgeSum bounds duplicates and unanswered jobs by what was hit.
func (j *judge) judgeSum() {
	duplicates, unanswered := len(j.absences)*j.rules.concurrency*j.rules.workers, 0
	for _, blows := range j.blowsOf {
		for _, b := range blows {
			if b.Kind == killedProducer {
				unanswered += j.rules.batch
			} else {
				duplicates += j.rules.concurrency
			}
		}
	}
	if j.tally.duplicates > duplicates {
		j.violation("%d duplicates, and what was hit explains %d at most", j.tally.duplicates, duplicates)
	}
	if j.tally.unanswered > unanswered {
		j.violation("%d jobs were added without an answer, and what was hit explains %d at most", j.tally.unanswered, unanswered)
	}
}
