package sim_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// checkOnce checks what holds whatever the clocks and the ledger did: each
// tick was decided once, by one replica, each run that was claimed came to one
// end, and its handler was called once for each attempt, beside no other
// where that is prevented. It returns what is wrong.
func (w *world) checkOnce() []string {
	var faults []string
	decided, ends := w.decisions()
	end := w.now().Add(-tail)
	for i := range w.specs {
		s := &w.specs[i]
		if s.schedule == nil {
			continue
		}
		for _, at := range s.ticks(w.start, end) {
			if n := decided[domain.TickKey(s.name, at)]; n != 1 {
				faults = append(faults, fmt.Sprintf("%s was decided %d times, want once", domain.TickKey(s.name, at), n))
			}
		}
	}
	for run, n := range ends {
		if n != 1 && !run.Planned().After(end) {
			faults = append(faults, fmt.Sprintf("%s came to %d ends, want one", run, n))
		}
	}
	return append(faults, w.checkCalls(nil)...)
}

// checkDriven checks what holds when replicas lose their claims: each tick
// was decided once, no run was driven more often than it was claimed or taken
// over, and no handler ran beside another one where that is prevented.
func (w *world) checkDriven() []string {
	var faults []string
	decided, _ := w.decisions()
	drives := map[domain.RunKey]int{}
	for i := range w.records {
		if w.records[i].Event == domain.EventAbandoned {
			drives[w.records[i].Run]++
		}
	}
	end := w.now().Add(-tail)
	for i := range w.specs {
		s := &w.specs[i]
		if s.schedule == nil {
			continue
		}
		for _, at := range s.ticks(w.start.Add(time.Minute), end) {
			if n := decided[domain.TickKey(s.name, at)]; n != 1 {
				faults = append(faults, fmt.Sprintf("%s was decided %d times, want once", domain.TickKey(s.name, at), n))
			}
		}
	}
	return append(faults, w.checkCalls(drives)...)
}

// decisions counts how often each tick was decided, and how often each run
// that was claimed came to an end.
func (w *world) decisions() (decided, ends map[domain.RunKey]int) {
	decided, ends = map[domain.RunKey]int{}, map[domain.RunKey]int{}
	claimed := map[domain.RunKey]bool{}
	for i := range w.records {
		r := &w.records[i]
		if r.Event == domain.EventClaimed {
			claimed[r.Run] = true
			decided[r.Run]++
			ends[r.Run] += 0
		}
	}
	for i := range w.records {
		r := &w.records[i]
		if r.Run.Job == "" {
			continue
		}
		switch r.Event { //nolint:exhaustive // the other events decide and end nothing
		case domain.EventCoalesced, domain.EventSkipped:
			if claimed[r.Run] {
				ends[r.Run]++
				continue
			}
			for _, run := range w.rangeOf(r) {
				decided[run]++
			}
		case domain.EventCompleted, domain.EventFailed, domain.EventFired, domain.EventCancelled, domain.EventLost, domain.EventReleased:
			ends[r.Run]++
		default:
		}
	}
	return decided, ends
}

// rangeOf returns the ticks that a record is about.
func (w *world) rangeOf(r *domain.Record) []domain.RunKey {
	runs := []domain.RunKey{r.Run}
	for i := range w.specs {
		if s := &w.specs[i]; s.name == r.Run.Job && r.Count > 1 {
			for _, at := range s.ticks(r.Run.Planned(), r.Until) {
				runs = append(runs, domain.TickKey(s.name, at))
			}
		}
	}
	return runs
}

// checkCalls checks the calls of handlers. A run may have been driven more
// often than once if it was taken over.
func (w *world) checkCalls(takenOver map[domain.RunKey]int) []string {
	var faults []string
	for run, calls := range w.calls {
		attempts := map[string]int{}
		for _, call := range calls {
			_, attempt, ok := strings.Cut(call, "#")
			if !ok {
				faults = append(faults, fmt.Sprint(run, " ", call))
			} else if attempts[attempt]++; attempts[attempt] > 1+takenOver[run] {
				faults = append(faults, fmt.Sprintf("%s: attempt %s was called %d times", run, attempt, attempts[attempt]))
			}
		}
	}
	for id, n := range w.worked {
		if n != 1 {
			faults = append(faults, fmt.Sprintf("job %s was worked %d times, want once", id, n))
		}
	}
	return faults
}
