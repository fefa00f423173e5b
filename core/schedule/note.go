package schedule

import "time"

// NoteKind says how a change of clocks touches an instant of a schedule.
type NoteKind uint8

// The kinds of notes. NoteNone is the zero value: the instant is ordinary.
const (
	NoteNone NoteKind = iota
	// NoteMoved marks a run whose local time the clocks jump over.
	NoteMoved
	// NoteMerged marks a regular run that also stands for a local time the clocks jump over.
	NoteMerged
	// NoteOnlyFirst marks a run at a local time that occurs twice, of a
	// schedule that runs in the first pass only.
	NoteOnlyFirst
	// NoteFirstPass marks the first of two runs at a local time that occurs twice.
	NoteFirstPass
	// NoteSecondPass marks the second of two such runs.
	NoteSecondPass
)

// Note explains an instant near a change of clocks.
type Note struct {
	Kind NoteKind
	// Nominal is the local time the expression asks for, Actual the local time
	// of the run. Both hold wall clock fields in UTC. They differ only for
	// moved and merged runs.
	Nominal, Actual time.Time
}

// String returns a sentence for people, or nothing for an ordinary instant.
func (n Note) String() string {
	layout := "15:04"
	if n.Nominal.Second() != 0 || n.Actual.Second() != 0 {
		layout = time.TimeOnly
	}
	nominal, actual := n.Nominal.Format(layout), n.Actual.Format(layout)
	switch n.Kind {
	case NoteMoved:
		return nominal + " does not exist on this day: runs at " + actual
	case NoteMerged:
		return nominal + " does not exist on this day: runs once, with " + actual
	case NoteOnlyFirst:
		return nominal + " occurs twice on this day: runs the first time only"
	case NoteFirstPass:
		return nominal + " occurs twice on this day: runs both times, this is the first"
	case NoteSecondPass:
		return nominal + " occurs twice on this day: runs both times, this is the second"
	case NoteNone:
	}
	return ""
}

// Note explains how a change of clocks touches at, which must be an instant of
// the schedule. An ordinary instant has a note of kind NoteNone.
func (c *Cron) Note(at time.Time) Note {
	u := at.Unix()
	p := periodAt(c.loc, u)
	wall := u + p.offset
	if nominal, ok := c.jumpedOver(p, u); ok {
		kind := NoteMoved
		if c.calendar.matches(wall) {
			kind = NoteMerged
		}
		return Note{Kind: kind, Nominal: wallTime(nominal), Actual: wallTime(wall)}
	}
	note := Note{Nominal: wallTime(wall), Actual: wallTime(wall)}
	switch {
	case p.start >= minUnix && wall < p.start+offsetAt(c.loc, p.start-1):
		note.Kind = NoteSecondPass
	case p.end <= maxUnix && wall >= p.end+offsetAt(c.loc, p.end):
		note.Kind = NoteOnlyFirst
		if c.calendar.anyHour {
			note.Kind = NoteFirstPass
		}
	}
	return note
}

// jumpedOver returns the missing local time that the rule moves to u.
func (c *Cron) jumpedOver(p period, u int64) (wall int64, ok bool) {
	before, changed := c.changeBefore(p, u)
	if !changed {
		return 0, false
	}
	wall = u + before
	return wall, wall < p.start+p.offset && before < p.offset && c.calendar.matches(wall)
}

func wallTime(wall int64) time.Time { return time.Unix(wall, 0).UTC() }
