package takttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

const (
	// historyPause is how long it takes until decisions are in the history.
	historyPause = 100 * time.Millisecond
	// everything is a limit that selects all there is.
	everything = 1 << 30
	// mostShown is how many decisions or jobs a failure lists.
	mostShown = 50
)

// Jobs returns the jobs of the queue that are in the state, in the order in
// which they will be worked, finished ones newest first.
func (w *Worker) Jobs(queue string, state domain.State) []domain.JobView {
	w.tb.Helper()
	inspector, err := w.Service().Queues()
	if err != nil {
		w.tb.Fatalf("Jobs(%q, %q): %v", queue, state, err)
	}
	jobs, err := inspector.Jobs(context.Background(), domain.QueueName(queue), domain.JobFilter{State: state, Limit: everything})
	if err != nil {
		w.tb.Fatalf("Jobs(%q, %q): %v", queue, state, err)
	}
	return jobs
}

// Records returns the decisions about the runs of a scheduled job, oldest
// first. They are written in batches: Records lets a tenth of a second pass.
// It fails the test if decisions, of whatever job, are no longer known.
func (w *Worker) Records(job string) []domain.Record {
	w.tb.Helper()
	records, missing := w.recall(job)
	if missing != "" {
		w.tb.Fatalf("Records(%q): %s", job, missing)
	}
	return records
}

// recall returns what the history knows of the job, and why that may not be
// all; empty if it is.
func (w *Worker) recall(job string) (records []domain.Record, missing string) {
	w.tb.Helper()
	pass(historyPause)
	records, err := w.Service().Runs(context.Background(), domain.RunFilter{Limit: everything})
	if err != nil {
		w.tb.Fatalf("the history cannot be read: %v", err)
	}
	if len(records) >= w.history {
		missing = fmt.Sprintf("more than %d records were made, and earlier ones are forgotten: raise Settings.HistorySize", w.history-1)
	}
	if lost := w.lost.sum(); lost > 0 {
		missing = fmt.Sprintf("%d decisions were made too fast to be kept", lost)
	}
	records = slices.DeleteFunc(records, func(r domain.Record) bool { return r.Run.Job != job || !r.IsDecision() })
	slices.Reverse(records)
	return records, missing
}

// WantCompleted reports unless exactly n jobs of the name are completed, and
// still kept, on the queue.
func (w *Worker) WantCompleted(queue, name string, n int) {
	w.tb.Helper()
	w.WantJobs(queue, name, domain.StateCompleted, n)
}

// WantFailed reports unless exactly n jobs of the name have failed for good,
// and are still kept, on the queue.
func (w *Worker) WantFailed(queue, name string, n int) {
	w.tb.Helper()
	w.WantJobs(queue, name, domain.StateFailed, n)
}

// WantJobs reports unless exactly n jobs of the name are in the state.
func (w *Worker) WantJobs(queue, name string, state domain.State, n int) {
	w.tb.Helper()
	got := 0
	for _, job := range w.Jobs(queue, state) {
		if job.Job.Name == name {
			got++
		}
	}
	if got != n {
		w.tb.Errorf("%d jobs %s on queue %s are %s, want %d\n%s", got, name, queue, state, n, w.contents(queue))
	}
}

// contents lists what is on a queue.
func (w *Worker) contents(queue string) string {
	var text strings.Builder
	found := 0
	for _, state := range []domain.State{
		domain.StateWait, domain.StatePrioritized, domain.StateDelayed, domain.StateParked, domain.StateActive,
		domain.StateCompleted, domain.StateFailed,
	} {
		for _, job := range w.Jobs(queue, state) {
			if found++; found > mostShown {
				continue
			}
			fmt.Fprintf(&text, "\n  %s %s (%s)", state, job.Job.Name, job.Job.ID)
			if job.Reason != "" {
				fmt.Fprintf(&text, ": %s", job.Reason)
			}
		}
	}
	if found == 0 {
		return "the queue is empty"
	}
	if found > mostShown {
		fmt.Fprintf(&text, "\n  and %d more", found-mostShown)
	}
	return "on the queue are:" + text.String()
}

// WantRuns reports unless the event was decided exactly n times about runs of
// the scheduled job. A run whose function did the work ends as
// [domain.EventCompleted]; one that put a job on a queue as
// [domain.EventFired]. Like [Worker.Records] it lets a tenth of a second pass,
// and reports if decisions are no longer known.
func (w *Worker) WantRuns(job string, event domain.Event, n int) {
	w.tb.Helper()
	records, missing := w.recall(job)
	got := 0
	for i := range records {
		if records[i].Event == event {
			got += max(records[i].Count, 1)
		}
	}
	switch {
	case missing != "":
		w.tb.Errorf("runs of %s were %s at least %d times, want %d; how often cannot be told: %s\n%s",
			job, event, got, n, missing, story(records))
	case got != n:
		w.tb.Errorf("runs of %s were %s %d times, want %d\n%s", job, event, got, n, story(records))
	}
}

// story tells what was decided last, one line for each decision.
func story(records []domain.Record) string {
	if len(records) == 0 {
		return "nothing was decided about the job"
	}
	var text strings.Builder
	text.WriteString("decided was:")
	if left := len(records) - mostShown; left > 0 {
		fmt.Fprintf(&text, "\n  %d earlier decisions, left out here", left)
		records = records[left:]
	}
	for i := range records {
		text.WriteString("\n  " + line(&records[i]))
	}
	return text.String()
}

// line tells one decision.
func line(r *domain.Record) string {
	text := fmt.Sprintf("%s %s %s", r.At.UTC().Format("2006-01-02 15:04:05.000"), r.Run, r.Event)
	if r.Attempt > 0 {
		text += fmt.Sprintf(", attempt %d", r.Attempt)
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	if r.By != "" {
		text += " (" + r.By + ")"
	}
	return text
}
