package schedule

import (
	"strings"
	"time"
)

const (
	// horizon is how far Next looks. The rarest date, 29 February on a given
	// weekday, leaves a hole of 40 years around 2100.
	horizon = 41 * 366 * secondsPerDay

	// longestShift bounds every change of clocks there has been: a zone that
	// changed sides of the date line moved by one day.
	longestShift = 26 * secondsPerHour
)

// Cron is a schedule in civil time: a cron expression read in a time zone. Make
// one with ParseCron. It is immutable and safe for concurrent use.
type Cron struct {
	calendar calendar
	loc      *time.Location
	expr     string
	warnings []string
}

// Expr returns the expression, as written.
func (c *Cron) Expr() string { return c.expr }

// Zone returns the name of the time zone.
func (c *Cron) Zone() string { return c.loc.String() }

// Location returns the time zone.
func (c *Cron) Location() *time.Location { return c.loc }

// Warnings returns what is legal in the expression but hardly meant, such as a
// step wider than its range.
func (c *Cron) Warnings() []string { return append([]string(nil), c.warnings...) }

// String returns the expression with single blanks, and the zone. Two schedules
// with the same text have the same instants.
func (c *Cron) String() string {
	return strings.Join(strings.Fields(c.expr), " ") + " " + c.Zone()
}

// Next returns the first instant after the given one, on a whole second of UTC,
// or the zero time when there is none within 41 years or before the year 10000.
func (c *Cron) Next(after time.Time) time.Time {
	u := clamp(after) + 1
	end := min(u+horizon, maxUnix)
	for u < end {
		p := periodAt(c.loc, u)
		limit := min(p.end, end)
		if at, ok := c.nextIn(p, u, limit); ok {
			return time.Unix(at, 0).UTC()
		}
		u = limit
	}
	return time.Time{}
}

// Count returns the number of instants in (from, to]. The work is proportional
// to the number of months, not of instants.
func (c *Cron) Count(from, to time.Time) int64 {
	var n int64
	u, end := clamp(from)+1, clamp(to)+1
	for u < end {
		p := periodAt(c.loc, u)
		limit := min(p.end, end)
		n += c.countIn(p, u, limit)
		u = limit
	}
	return n
}

// nextIn returns the first instant in [u, limit), which lies within p.
func (c *Cron) nextIn(p period, u, limit int64) (int64, bool) {
	from := u + p.offset
	before, changed := c.changeBefore(p, u)
	if !changed {
		wall, ok := c.calendar.next(from, limit+p.offset)
		return wall - p.offset, ok
	}
	// After clocks went back, the local times seen before them are skipped.
	from = max(from, p.start+before)
	wall, ok := c.calendar.next(from, limit+p.offset)
	at := wall - p.offset
	// After they went forward, the times jumped over are read with the offset before.
	if moved, found := c.calendar.next(u+before, p.start+p.offset); found && moved-before < limit {
		if !ok || moved-before < at {
			return moved - before, true
		}
	}
	return at, ok
}

// changeBefore returns the offset before p, if u is so near to the start of p
// that the change can matter to it.
func (c *Cron) changeBefore(p period, u int64) (offset int64, changed bool) {
	if c.calendar.anyHour || u-longestShift > p.start || p.start < minUnix {
		return 0, false
	}
	offset = offsetAt(c.loc, p.start-1)
	return offset, offset != p.offset
}

// countIn returns the number of instants in [u, limit), which lies within p.
func (c *Cron) countIn(p period, u, limit int64) int64 {
	from := u + p.offset
	before, changed := c.changeBefore(p, u)
	if !changed {
		return c.calendar.count(from, limit+p.offset)
	}
	if before > p.offset {
		return c.calendar.count(max(from, p.start+before), limit+p.offset)
	}
	// Moved times and regular ones can coincide: in this short stretch only
	// looking at each tells how many there are.
	var n int64
	settled := min(limit, p.start+p.offset-before)
	for u < settled {
		at, ok := c.nextIn(p, u, settled)
		if !ok {
			break
		}
		n++
		u = at + 1
	}
	u = max(u, settled)
	return n + c.calendar.count(u+p.offset, limit+p.offset)
}
