package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// tail is how much of the end is not compared: runs that the stop cut short.
const tail = 6 * time.Hour

// check compares what happened with the model and returns what differs.
func (w *world) check() []string {
	var faults []string
	actual := w.stories()
	end := w.start.Add(w.lasts - tail)
	for i := range w.specs {
		for _, e := range w.expect(&w.specs[i]) {
			got := actual[e.run]
			delete(actual, e.run)
			if e.run.Planned().After(end) || e.end.After(end) || e.end.IsZero() {
				continue
			}
			faults = append(faults, w.compare(e, got)...)
		}
	}
	for run, story := range actual {
		if run.Origin != domain.OriginManual && !run.Planned().After(end) {
			faults = append(faults, fmt.Sprintf("%s is no tick of its job, but: %q", run, story))
		}
	}
	return faults
}

// expect plays the job on the model.
func (w *world) expect(s *spec) []*expected {
	m := &model{spec: s, seed: w.seed}
	if s.schedule == nil {
		for n, at := range w.manual[s.name] {
			m.trigger(fmt.Sprint("hand-", n), at)
		}
	} else {
		for _, at := range s.ticks(w.start, w.start.Add(w.lasts)) {
			m.tick(at)
		}
	}
	m.promote(w.start.Add(w.lasts))
	return m.all
}

func (w *world) compare(e *expected, got []string) []string {
	var faults []string
	if !slices.Equal(got, e.records) {
		faults = append(faults, fmt.Sprintf("%s: recorded %q, want %q", e.run, got, e.records))
	}
	if calls := w.calls[e.run]; !slices.Equal(calls, e.calls) {
		faults = append(faults, fmt.Sprintf("%s: handler called %q, want %q", e.run, calls, e.calls))
	}
	want := 0
	if e.queued {
		want = 1
	}
	if n := w.worked[e.run.JobID(domain.DefaultNamespace)]; n != want {
		faults = append(faults, fmt.Sprintf("%s: its job was worked %d times, want %d", e.run, n, want))
	}
	return faults
}

// stories returns the records of each run as the model writes them.
func (w *world) stories() map[domain.RunKey][]string {
	all := map[domain.RunKey][]string{}
	for i := range w.records {
		r := &w.records[i]
		if r.Run.Job == "" {
			continue
		}
		var text strings.Builder
		fmt.Fprintf(&text, "%s %s", stamp(r.At), r.Event)
		if r.Attempt > 0 {
			fmt.Fprintf(&text, " #%d", r.Attempt)
		}
		text.WriteString(waitText(r.Wait))
		if r.Event == domain.EventSkipped && r.Attempt == 0 {
			fmt.Fprintf(&text, " (%s)", r.Reason)
		}
		if r.By != "" && r.Event != domain.EventFired {
			text.WriteString(" by " + r.By)
		}
		if r.Event == domain.EventQueued && w.cancelsPrevious(r.Run.Job) {
			continue // Whether the wait for the cancelled run is seen is a matter of who comes first.
		}
		all[r.Run] = append(all[r.Run], text.String())
	}
	return all
}

func (w *world) cancelsPrevious(job string) bool {
	return slices.ContainsFunc(w.specs, func(s spec) bool { return s.name == job && s.policy.Overlap == domain.OverlapCancelPrevious })
}
