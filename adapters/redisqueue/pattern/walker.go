package pattern

import "time"

const (
	minuteSeconds = 60
	hourSeconds   = 60 * minuteSeconds
	daySeconds    = 24 * hourSeconds
)

// wall is what a clock on the wall shows.
type wall struct {
	year, month, day     int
	weekday              int
	hour, minute, second int
}

// walker goes forward through the time of a zone. Instants are seconds since
// 1970; what a clock shows is the same number of a clock in UTC that shows it.
type walker struct {
	zone       *time.Location
	at, offset int64
	wall       wall
}

func (w *walker) offsetAt(at int64) int64 {
	_, offset := time.Unix(at, 0).In(w.zone).Zone()
	return int64(offset)
}

func (w *walker) set(at int64) {
	w.at, w.offset = at, w.offsetAt(at)
	t := time.Unix(at+w.offset, 0).UTC()
	year, month, day := t.Date()
	w.wall = wall{year: year, month: int(month), day: day, weekday: int(t.Weekday())}
	w.wall.hour, w.wall.minute, w.wall.second = t.Clock()
}

// instant returns when the clock shows the given time. Of two instants it is
// the one with the given offset. If there is none, because the clock is put
// forward over the time, it is as long after the change as the time is after
// its begin.
func (w *walker) instant(shown, offset int64) int64 {
	at := shown - offset
	before := w.offsetAt(at)
	if before == offset {
		return at
	}
	at = shown - before
	if after := w.offsetAt(at); after != before {
		return shown - min(before, after)
	}
	return at
}

// forward goes to the begin of the next hour, minute or second. Where the
// clock is put back to the middle of one, there is no begin ahead.
func (w *walker) forward(unit int64) {
	at := w.at + unit
	offset := w.offsetAt(at)
	at = w.instant(floor(at+offset, unit), offset)
	if at <= w.at {
		at += unit
	}
	w.set(at)
}

// nextDay goes to the begin of the next day. If that comes twice, it is the
// one with the offset of this time of day on the next day.
func (w *walker) nextDay() {
	tomorrow := w.at + w.offset + daySeconds
	w.toDay(floor(tomorrow, daySeconds), tomorrow)
}

// nextMonth goes to the begin of the next month. If that comes twice, it is
// the one with the offset of this time of this day in the next month.
func (w *walker) nextMonth() {
	year, month := w.wall.year, w.wall.month+1
	if month > 12 {
		year, month = year+1, 1
	}
	begin := time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC).Unix()
	day := int64(min(w.wall.day, daysIn(year, month)))
	shown := w.at + w.offset
	w.toDay(begin, begin+(day-1)*daySeconds+shown-floor(shown, daySeconds))
}

func (w *walker) toDay(begin, shown int64) {
	offset := w.offsetAt(w.instant(shown, w.offset))
	w.set(max(w.instant(begin, offset), w.at+1))
}

// floor returns the largest multiple of unit that is not above n.
func floor(n, unit int64) int64 {
	return n - (n%unit+unit)%unit
}
