package history

import (
	"time"

	"github.com/taktwork/takt/core/schedule"
)

// ClockNote explains how a change of the clocks touches an instant of the
// schedule, as in "02:30 does not exist on this day: runs at 03:30"; it is empty
// for ordinary instants and for intervals.
func clockNote(s schedule.Schedule, at time.Time) string {
	if cron, ok := s.(*schedule.Cron); ok && plans(s, at) {
		return cron.Note(at).String()
	}
	return ""
}

// firstPass returns the tick whose local time the clocks show a second time at
// the instant, at which the job does not run again.
func firstPass(s schedule.Schedule, at time.Time) (time.Time, bool) {
	cron, ok := s.(*schedule.Cron)
	if !ok {
		return time.Time{}, false
	}
	changed, _ := at.In(cron.Location()).ZoneBounds()
	if changed.IsZero() {
		return time.Time{}, false
	}
	_, now := at.In(cron.Location()).Zone()
	_, before := changed.Add(-time.Nanosecond).In(cron.Location()).Zone()
	first := at.Add(time.Duration(now-before) * time.Second)
	if before <= now || !first.Before(changed) || !plans(cron, first) {
		return time.Time{}, false
	}
	return first, true
}

// movedTo returns the tick that stands for a local time, given as the fields of
// an instant in UTC, that the clocks of the schedule jump over.
func movedTo(s schedule.Schedule, wall time.Time) (time.Time, bool) {
	cron, ok := s.(*schedule.Cron)
	if !ok {
		return time.Time{}, false
	}
	// No change of clocks is longer than a day, nor any offset.
	const reach = 48 * time.Hour
	for at := cron.Next(wall.Add(-reach)); !at.IsZero() && at.Before(wall.Add(reach)); at = cron.Next(at) {
		note := cron.Note(at)
		moved := note.Kind == schedule.NoteMoved || note.Kind == schedule.NoteMerged
		if moved && note.Nominal.Equal(wall) {
			return at, true
		}
	}
	return time.Time{}, false
}
