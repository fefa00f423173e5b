package node

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// EventLog is what one object of an agent has emitted so far. It is safe for
// concurrent use.
type EventLog struct {
	mu      sync.Mutex
	events  []Event
	changed chan struct{}
}

func (l *EventLog) add(event Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event)
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *EventLog) now() ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events, l.changed
}

// All returns the events of the names in order; without a name, all.
func (l *EventLog) All(names ...string) []Event {
	events, _ := l.now()
	return selectEvents(events, names)
}

// Await returns the events of the names once there are n of them.
func (l *EventLog) Await(tb testing.TB, n int, names ...string) []Event {
	tb.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		events, changed := l.now()
		if found := selectEvents(events, names); len(found) >= n {
			return found
		}
		select {
		case <-changed:
		case <-timer.C:
			tb.Fatalf("waited %s for %d events %q, seen: %s", patience, n, names, describe(events))
		}
	}
}

// Field returns a field of an event whose first argument is an object, or "".
func (e *Event) Field(tb testing.TB, name string) string {
	tb.Helper()
	if len(e.Args) == 0 {
		return ""
	}
	fields := Decode[map[string]Value](tb, e.Args[0])
	value, ok := fields[name]
	if !ok {
		return ""
	}
	if value[0] == '"' {
		return Decode[string](tb, value)
	}
	return string(value)
}

func selectEvents(events []Event, names []string) []Event {
	if len(names) == 0 {
		return events
	}
	var found []Event
	for _, event := range events {
		for _, name := range names {
			if event.Name == name {
				found = append(found, event)
			}
		}
	}
	return found
}

func describe(events []Event) string {
	var text strings.Builder
	for _, event := range events {
		text.WriteString("\n\t" + event.Name)
		for _, arg := range event.Args {
			text.WriteString(" " + string(arg))
		}
	}
	if text.String() == "" {
		return "none"
	}
	return text.String()
}
