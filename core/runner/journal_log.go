package runner

import (
	"context"
	"log/slog"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// logRecords writes a line for each decision, and one for all ticks in a row
// that were passed over alike: after an outage there may be very many.
func (j *journal) logRecords(records []domain.Record) {
	for first := 0; first < len(records); {
		after := first + 1
		for after < len(records) && passesOn(&records[first], &records[after]) {
			after++
		}
		if after == first+1 {
			j.logRecord(&records[first])
		} else {
			told := rangeOf(records[first:after])
			j.logRecord(&told)
		}
		first = after
	}
}

// passesOn reports whether both are ticks of a job that were passed over for the
// same reason.
func passesOn(r, next *domain.Record) bool {
	passed := r.Event == domain.EventCoalesced || r.Event == domain.EventSkipped
	return passed && r.Run.Origin == domain.OriginSchedule && r.Event == next.Event && r.Run.Job == next.Run.Job &&
		r.Run.Origin == next.Run.Origin && r.Reason == next.Reason && r.By == next.By
}

// rangeOf describes ticks in a row as one range of them.
func rangeOf(ticks []domain.Record) domain.Record {
	all := ticks[0]
	all.Count = 0
	for i := range ticks {
		all.Count += max(ticks[i].Count, 1)
	}
	last := &ticks[len(ticks)-1]
	if all.Until = last.Until; all.Until.IsZero() {
		all.Until = last.Run.Planned()
	}
	return all
}

// logRecord writes the one log line of a decision.
func (j *journal) logRecord(r *domain.Record) {
	level, message := lineOf(r)
	ctx := context.Background()
	if !j.log.Enabled(ctx, level) {
		return
	}
	j.log.LogAttrs(ctx, level, message, attrsOf(r)...) //nolint:sloglint // one of the constants of lineOf
}

// lineOf returns level and message of a decision's log line. The start and
// end of each run are told at info; those of queue jobs, of which there may
// be very many, at debug.
func lineOf(r *domain.Record) (slog.Level, string) {
	if r.Run.Job == "" {
		switch r.Event { //nolint:exhaustive // these alone read otherwise for a job than for a run
		case domain.EventSkipped:
			return slog.LevelInfo, "job skipped by its handler"
		case domain.EventCompleted:
			return slog.LevelDebug, "job completed"
		case domain.EventFailed:
			return slog.LevelError, "job failed"
		case domain.EventQuarantined:
			return slog.LevelError, "job quarantined"
		}
	}
	return levelOf(r.Event), messageOf(r.Event)
}

func levelOf(event domain.Event) slog.Level {
	switch event {
	case domain.EventClaimed, domain.EventJittered, domain.EventRegistered, domain.EventWorkerStarted, domain.EventWorkerAlive,
		domain.EventWorkerStopped: // the log tells of starts and stops in other lines
		return slog.LevelDebug
	case domain.EventQueued, domain.EventStarted, domain.EventFired, domain.EventCompleted, domain.EventReleased,
		domain.EventSnoozed, domain.EventReturned, domain.EventWaiting, domain.EventJobPaused, domain.EventJobResumed:
		return slog.LevelInfo
	case domain.EventStuck, domain.EventFailed, domain.EventLost, domain.EventQuarantined:
		return slog.LevelError
	case domain.EventCoalesced, domain.EventSkipped, domain.EventRetrying, domain.EventTimedOut, domain.EventLate,
		domain.EventDropped, domain.EventCancelled, domain.EventAbandoned, domain.EventParked, domain.EventLimited,
		domain.EventRequeued:
	}
	return slog.LevelWarn
}

//nolint:funlen // one case for each event
func messageOf(event domain.Event) string {
	switch event {
	case domain.EventClaimed:
		return "run claimed"
	case domain.EventCoalesced:
		return "missed ticks coalesced"
	case domain.EventJittered:
		return "run waits for its jitter"
	case domain.EventQueued:
		return "run waits for the one before"
	case domain.EventSkipped:
		return "run skipped"
	case domain.EventStarted:
		return "run started"
	case domain.EventTimedOut:
		return "attempt timed out"
	case domain.EventStuck:
		return "handler ignores the end of its context"
	case domain.EventLate:
		return "late result discarded"
	case domain.EventRetrying:
		return "attempt failed"
	case domain.EventDropped:
		return "result dropped: it cannot be stored"
	case domain.EventFired:
		return "run queued its job"
	case domain.EventCompleted:
		return "run completed"
	case domain.EventFailed:
		return "run failed"
	case domain.EventCancelled:
		return "run cancelled"
	case domain.EventReleased:
		return "run released"
	case domain.EventAbandoned:
		return "run taken over"
	case domain.EventLost:
		return "lease lost"
	case domain.EventParked:
		return "job parked: no handler for its name"
	case domain.EventSnoozed:
		return "job snoozed"
	case domain.EventReturned:
		return "job returned"
	case domain.EventLimited:
		return "queue rate limited"
	case domain.EventWaiting:
		return "job waits for its children"
	case domain.EventQuarantined:
		return "quarantined after too many crashes"
	case domain.EventRequeued:
		return "job requeued after its lease ran out"
	case domain.EventRegistered:
		return "definition registered"
	case domain.EventJobPaused:
		return "scheduled job paused"
	case domain.EventJobResumed:
		return "scheduled job resumed"
	case domain.EventWorkerStarted:
		return "replica started"
	case domain.EventWorkerAlive:
		return "replica alive"
	case domain.EventWorkerStopped:
		return "replica stopped"
	}
	return string(event)
}

func attrsOf(r *domain.Record) []slog.Attr {
	attrs := make([]slog.Attr, 0, 12)
	if r.Run.Job != "" {
		attrs = append(attrs, slog.String("job", r.Run.Job))
	}
	if r.Run.Origin != "" {
		attrs = append(attrs, slog.String("run_id", r.Run.String()))
		if r.Run.Origin == domain.OriginSchedule {
			attrs = append(attrs, slog.Time("tick", r.Run.Planned()))
		}
	}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("queue", string(r.Queue))
	text("job_id", string(r.JobID))
	text("job_name", r.JobName)
	if r.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", r.Attempt))
	}
	if r.Took > 0 {
		attrs = append(attrs, slog.Float64("duration_ms", float64(r.Took.Microseconds())/1000))
	}
	if r.Late >= time.Millisecond {
		attrs = append(attrs, slog.Int64("late_ms", r.Late.Milliseconds()))
	}
	if r.Wait >= time.Millisecond {
		attrs = append(attrs, slog.Int64("wait_ms", r.Wait.Milliseconds()))
	}
	if r.Count > 1 {
		attrs = append(attrs, slog.Int("count", r.Count))
	}
	if !r.Until.IsZero() {
		attrs = append(attrs, slog.Time("until", r.Until))
	}
	text("schedule", r.Schedule)
	text("by", r.By)
	text("stack", r.Stack)
	if isFailure(r.Event) {
		text("err", r.Reason)
	} else {
		text("reason", r.Reason)
	}
	return attrs
}

func isFailure(event domain.Event) bool {
	return event == domain.EventFailed || event == domain.EventRetrying ||
		event == domain.EventTimedOut || event == domain.EventQuarantined
}
