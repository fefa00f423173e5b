package redisqueue

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Event is one entry of the stream in which BullMQ and Takt tell what happens
// to a queue and its jobs.
type Event struct {
	// ID is the entry's place in the stream. Reading goes on after it.
	ID EventID
	// Name is BullMQ's name of the event, "completed".
	Name string
	// Detail says what happened, as one of the types of this package that
	// begin with Event: an [EventCompleted] for "completed". A name that BullMQ
	// does not have is an [EventCustom].
	Detail EventDetail
	// Fields are the entry's other fields as they stand in the stream.
	Fields map[string]string
	// Damage says what is wrong with the entry, nil if it is well formed. What
	// could not be read of a damaged one is zero in Detail.
	Damage error
}

// EventID is a place in a queue's stream of events, "1795422887233-0": the
// time in ms at which the server wrote the entry, and a number among those of
// that time. Later entries have greater ids.
type EventID string

const (
	// EventsFromNow is the end of the stream at the time of reading.
	EventsFromNow EventID = ""
	// EventsFromStart is before the oldest event that the stream still holds.
	EventsFromStart EventID = "0-0"
)

// Time returns when the server wrote the entry; the zero time if the id is
// not of an entry.
func (id EventID) Time() time.Time {
	p, err := id.place()
	if err != nil || p == (eventPlace{}) || p.ms > math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(int64(p.ms)).UTC()
}

// eventPlace is an id as numbers, which compare as the server compares ids.
type eventPlace struct{ ms, number uint64 }

func (p eventPlace) before(other eventPlace) bool {
	return p.ms < other.ms || p.ms == other.ms && p.number < other.number
}

func (id EventID) place() (eventPlace, error) {
	msText, numberText, both := strings.Cut(string(id), "-")
	if !both {
		numberText = "0"
	}
	ms, err := strconv.ParseUint(msText, 10, 64)
	if err == nil {
		var number uint64
		if number, err = strconv.ParseUint(numberText, 10, 64); err == nil {
			return eventPlace{ms: ms, number: number}, nil
		}
	}
	return eventPlace{}, domain.Invalidf("event id %s: want the id of an event, such as 1795422887233-0", domain.Quote(string(id)))
}

// EventsLostError says that a stream may have held events that nobody will
// read: it was trimmed, deleted or restored while its reader was away or slow.
type EventsLostError struct {
	Queue domain.QueueName
	// After is the last event that was read, Next the first that is still
	// there, empty if there is none.
	After, Next EventID
}

func (e *EventsLostError) Error() string {
	next := "none is left"
	if e.Next != "" {
		next = "the next that is left is " + string(e.Next)
	}
	return fmt.Sprintf("events of queue %s: some after %s may be lost: %s", e.Queue, e.After, next)
}
