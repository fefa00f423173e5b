package history

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// errTime says how a time is written.
var errTime = errors.New("want RFC 3339 (2026-03-29T01:30:00Z) or a local time (2026-03-29T01:30)")

// Moment is a time as a question names it.
type Moment struct {
	// Instants are those that the time may mean: one, two for a local time that
	// the clocks show twice, none for one that they jump over.
	Instants []time.Time
	// Wall holds the fields of a local time in UTC; zero if an instant was given.
	Wall time.Time
	zone *time.Location
}

// ParseMoment reads RFC 3339, or a local time of the zone with or without
// seconds. The error is [domain.ErrInvalid] and says what would be right.
func ParseMoment(text string, zone *time.Location) (Moment, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return Moment{Instants: []time.Time{at.Truncate(time.Millisecond)}, zone: zone}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if wall, err := time.Parse(layout, strings.Replace(text, " ", "T", 1)); err == nil {
			wall = wall.Truncate(time.Millisecond)
			return Moment{Instants: instantsOf(wall, zone), Wall: wall, zone: zone}, nil
		}
	}
	return Moment{}, domain.Invalidf("%s: %w", domain.Quote(text), errTime)
}

// instantsOf returns the instants at which clocks of the zone show the time,
// earliest first.
func instantsOf(wall time.Time, zone *time.Location) []time.Time {
	var found []time.Time
	// An offset is that of some instant less than a day away.
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(near).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		_, actual := at.In(zone).Zone()
		if actual == offset && (len(found) == 0 || !found[0].Equal(at)) {
			found = append(found, at)
		}
	}
	if len(found) == 2 && found[1].Before(found[0]) {
		found[0], found[1] = found[1], found[0]
	}
	return found
}

// Tick returns the instant that the moment means for a job with the schedule: of a
// local time that the clocks jump over, the tick that was moved. Of a local time that comes twice it
// is the one that is planned. A time that comes twice and is planned neither
// time or both times, or one that never comes and is not planned, is
// [domain.ErrInvalid].
func (m Moment) Tick(s schedule.Schedule) (time.Time, error) {
	switch len(m.Instants) {
	case 1:
		return m.Instants[0], nil
	case 0:
		if at, ok := movedTo(s, m.Wall); ok {
			return at, nil
		}
		return time.Time{}, domain.Invalidf("%s does not exist in %s: the clocks jump over it, and the job does not run at it",
			m.Wall.Format("2006-01-02T15:04:05"), m.zone)
	}
	first, second := plans(s, m.Instants[0]), plans(s, m.Instants[1])
	if first != second {
		if first {
			return m.Instants[0], nil
		}
		return m.Instants[1], nil
	}
	return time.Time{}, domain.Invalidf("%s comes twice in %s; say which: %s", m.Wall.Format("2006-01-02T15:04:05"), m.zone,
		fmt.Sprintf("%s or %s", m.Instants[0].In(m.zone).Format(time.RFC3339), m.Instants[1].In(m.zone).Format(time.RFC3339)))
}
