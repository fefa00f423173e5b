package redisqueue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// eventReading reads the fields of one entry and gathers what is wrong.
type eventReading struct {
	fields map[string]string
	wrong  []error
}

// decodeEvent reads an entry, whatever it holds.
func decodeEvent(id string, values map[string]any) Event {
	r := eventReading{fields: make(map[string]string, len(values))}
	for field, value := range values {
		r.fields[field], _ = value.(string)
	}
	name := r.text("event")
	delete(r.fields, "event")
	event := Event{ID: EventID(id), Name: name, Detail: EventCustom{}, Fields: r.fields}
	if read := eventDecoders[name]; read != nil {
		event.Detail = read(&r)
	}
	if err := errors.Join(r.wrong...); err != nil {
		event.Damage = domain.Invalidf("event %s %s: %w", id, domain.Quote(name), err)
	}
	return event
}

// isEventName reports whether BullMQ itself uses the name.
func isEventName(name string) bool { return eventDecoders[name] != nil }

// eventDecoders are how the events of BullMQ are read (protocol 1.8).
//
//nolint:gochecknoglobals // a table
var eventDecoders = map[string]func(*eventReading) EventDetail{
	"added":   func(r *eventReading) EventDetail { return EventAdded{Job: r.job(), Name: r.text("name")} },
	"waiting": func(r *eventReading) EventDetail { return EventWaiting{Job: r.job(), Prev: r.fields["prev"]} },
	"delayed": func(r *eventReading) EventDetail { return EventDelayed{Job: r.job(), Due: r.time("delay")} },
	"active":  func(r *eventReading) EventDetail { return EventActive{Job: r.job(), Prev: r.fields["prev"]} },
	"progress": func(r *eventReading) EventDetail {
		return EventProgress{Job: r.job(), Progress: r.json("data")}
	},
	"completed": func(r *eventReading) EventDetail {
		return EventCompleted{Job: r.job(), Result: r.json("returnvalue"), Prev: r.fields["prev"]}
	},
	"failed": func(r *eventReading) EventDetail {
		return EventFailed{Job: r.job(), Reason: r.text("failedReason"), Prev: r.fields["prev"]}
	},
	"retries-exhausted": func(r *eventReading) EventDetail {
		return EventRetriesExhausted{Job: r.job(), AttemptsMade: r.count("attemptsMade")}
	},
	"stalled": func(r *eventReading) EventDetail { return EventStalled{Job: r.job()} },
	"waiting-children": func(r *eventReading) EventDetail {
		return EventWaitingChildren{Job: r.job(), Prev: r.fields["prev"]}
	},
	"duplicated": func(r *eventReading) EventDetail { return EventDuplicated{Job: r.job()} },
	"deduplicated": func(r *eventReading) EventDetail {
		dropped := domain.JobID(r.text("deduplicatedJobId"))
		return EventDeduplicated{Job: r.job(), Key: r.text("deduplicationId"), Dropped: dropped}
	},
	"debounced": func(r *eventReading) EventDetail { return EventDebounced{Job: r.job(), Key: r.text("debounceId")} },
	"removed":   func(r *eventReading) EventDetail { return EventRemoved{Job: r.job(), Prev: r.fields["prev"]} },
	"cleaned":   func(r *eventReading) EventDetail { return EventCleaned{Count: r.count("count")} },
	"drained":   func(*eventReading) EventDetail { return EventDrained{} },
	"paused":    func(*eventReading) EventDetail { return EventPaused{} },
	"resumed":   func(*eventReading) EventDetail { return EventResumed{} },
}

func (r *eventReading) damaged(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Errorf(format, args...))
}

// field returns a field that must be there; whether it is.
func (r *eventReading) field(name string) (value string, there bool) {
	if value, there = r.fields[name]; !there {
		r.damaged("it has no field %s", name)
	}
	return value, there
}

func (r *eventReading) text(field string) string {
	value, _ := r.field(field)
	return value
}

func (r *eventReading) job() domain.JobID { return domain.JobID(r.text("jobId")) }

func (r *eventReading) json(field string) json.RawMessage {
	value, there := r.field(field)
	if there && json.Valid([]byte(value)) {
		return json.RawMessage(value)
	}
	if there {
		r.damaged("its %s is not JSON", field)
	}
	return nil
}

func (r *eventReading) count(field string) int {
	value, there := r.field(field)
	n, err := strconv.ParseInt(value, 10, 32)
	if there && (err != nil || n < 0) {
		r.damaged("its %s is not a count", field)
	}
	return int(max(n, 0))
}

func (r *eventReading) time(field string) time.Time {
	value, there := r.field(field)
	at := millisTime(value)
	if there && at.IsZero() {
		r.damaged("its %s is not a time", field)
	}
	return at
}
