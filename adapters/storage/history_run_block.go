package storage

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

const (
	// wholeRun and endOfRun are the events of the kinds of short runs: those of the records
	// in their blocks. Of some runs an earlier batch had the claim.
	wholeRun = "claimed+" + endOfRun
	endOfRun = "started+completed"
	// runSpan is how long, in µs, after the planned instant of a run the records in its
	// block may be made: so a query for an instant knows where its blocks are.
	runSpan = int64(10 * time.Second / time.Microsecond)
	// mostApart is how far the first and the last record in the block of a run may lie
	// apart: so far before a record such a block can begin that has a later one.
	mostApart = 1 << 12
)

// runEvents are the events of a short run, in their order. Its block has records of all,
// or of the last two.
func runEvents() [3]domain.Event {
	return [...]domain.Event{domain.EventClaimed, domain.EventStarted, domain.EventCompleted}
}

// runKindsWith returns the events of the kinds of runs whose blocks have records of any
// of these.
func runKindsWith(events []domain.Event) (kinds []string) {
	for _, kind := range [...]string{wholeRun, endOfRun} {
		parts := strings.Split(kind, "+")
		if slices.ContainsFunc(events, func(event domain.Event) bool { return slices.Contains(parts, string(event)) }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// runTimes returns the first and the last time that the block of a run can have which
// was planned then. Instants that are too far away for that have none.
func runTimes(plannedMS int64) (firstUS, lastUS int64, ok bool) {
	const most = (math.MaxInt64 - runSpan) / 1000
	if plannedMS < -most || plannedMS > most {
		return 0, 0, false
	}
	return plannedMS * 1000, plannedMS*1000 + runSpan, true
}

// runSoFar is where a batch has the first records about a run, and how many it has.
type runSoFar struct {
	places [3]int
	count  int
}

// divideRuns returns the blocks of runs that end in the batch and of which it has
// nothing to explain, and tells of each record whether it is in one; nil if there is no
// block.
func divideRuns(records []domain.Record) (blocks []historyBlock, within []bool) {
	runs := runsIn(records)
	for i := range runs {
		run := &runs[i]
		if !run.fitsBlock(records) {
			continue
		}
		if within == nil {
			within = make([]bool, len(records))
		}
		places := run.places[:run.count]
		first, last := &records[places[0]], &records[places[len(places)-1]]
		blocks = append(blocks, historyBlock{
			places: places, sinceUS: first.At.UnixMicro(), atUS: last.At.UnixMicro(), plannedMS: first.Run.PlannedMS,
		})
		for _, place := range places {
			within[place] = true
		}
	}
	return blocks, within
}

// runsIn returns the runs of schedules that the records are about, in the order of
// their first ones.
func runsIn(records []domain.Record) (runs []runSoFar) {
	var numbers map[domain.RunKey]int
	for i := range records {
		key := &records[i].Run
		if key.Origin != domain.OriginSchedule {
			continue
		}
		number, known := numbers[*key]
		if !known {
			if numbers == nil {
				numbers = make(map[domain.RunKey]int)
			}
			number = len(runs)
			numbers[*key], runs = number, append(runs, runSoFar{})
		}
		run := &runs[number]
		if run.count < len(run.places) {
			run.places[run.count] = i
		}
		run.count++
	}
	return runs
}

// fitsBlock reports whether a block can hold all that the batch has of the run.
func (r *runSoFar) fitsBlock(records []domain.Record) bool {
	events := runEvents()
	if r.count < 2 || r.count > len(events) {
		return false
	}
	first := &records[r.places[0]]
	earliest, latest, ok := runTimes(first.Run.PlannedMS)
	beganUS := first.At.UnixMicro()
	if !ok || r.places[r.count-1]-r.places[0] > mostApart || first.Run.OriginID != "" || beganUS < earliest {
		return false
	}
	latest = min(latest, addSpan(beganUS))
	for n, event := range events[len(events)-r.count:] {
		record := &records[r.places[n]]
		atUS := record.At.UnixMicro()
		if record.Event != event || record.Replica != first.Replica || atUS < earliest || atUS > latest ||
			record.Queue != "" || record.JobID != "" || record.JobName != "" || !isPlain(record) {
			return false
		}
		earliest = atUS // else the run would be under way by a record of the block
	}
	return true
}
