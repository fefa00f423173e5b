package schedule

import "math/bits"

const (
	secondsPerMinute = 60
	secondsPerHour   = 60 * secondsPerMinute
	secondsPerDay    = 24 * secondsPerHour
)

// calendar is what an expression says about local time: bit sets over wall
// clock fields, without any zone. Wall seconds count from 1970-01-01 00:00:00
// local time.
type calendar struct {
	seconds, minutes, hours uint64
	days, months            uint64
	weekdays                uint8
	// lastWeekdays holds the weekdays wanted at their last date of a month,
	// nth[k] those wanted at their date number k+1.
	lastWeekdays uint8
	nth          [5]uint8
	lastDay      bool

	anyHour, anyDay, anyWeekday bool

	// perDay is the number of times on a matching day, firstTime the first.
	perDay, firstTime int64
}

const (
	allHours    = 1<<24 - 1
	allDays     = 1<<32 - 2
	allWeekdays = 1<<7 - 1
)

// seal derives what the matching needs from the parsed sets.
func (c *calendar) seal() {
	// Every date of a weekday is its first to fourth and its last one, or its
	// first to fifth: such a list is a plain weekday, however it was written.
	every := c.nth[0] & c.nth[1] & c.nth[2] & c.nth[3]
	c.weekdays |= every & (c.nth[4] | c.lastWeekdays)
	c.anyHour = c.hours == allHours
	c.anyDay = c.days == allDays || c.lastDay && c.days|1<<31 == allDays
	c.anyWeekday = c.weekdays == allWeekdays
	c.perDay = int64(bits.OnesCount64(c.hours) * bits.OnesCount64(c.minutes) * bits.OnesCount64(c.seconds))
	c.firstTime = c.firstFrom(bits.TrailingZeros64(c.hours))
}

// fires reports whether any date at all matches.
func (c *calendar) fires() bool {
	if c.anyDay || c.lastDay || !c.anyWeekday {
		return true
	}
	for month := 1; month <= 12; month++ {
		const leapYear = 2000
		if c.months>>month&1 == 1 && c.days&(1<<(daysIn(leapYear, month)+1)-1) != 0 {
			return true
		}
	}
	return false
}

// next returns the first matching wall second in [from, limit).
func (c *calendar) next(from, limit int64) (int64, bool) {
	day := floorDiv(from, secondsPerDay)
	year, month, date := civil(day)
	mask := c.dates(year, month)
	if mask>>date&1 == 1 {
		if sod, ok := c.timeFrom(from - day*secondsPerDay); ok {
			wall := day*secondsPerDay + sod
			return wall, wall < limit
		}
	}
	mask &^= 1<<(date+1) - 1
	first := day - int64(date) + 1
	for mask == 0 {
		first += int64(daysIn(year, month))
		if first*secondsPerDay >= limit {
			return 0, false
		}
		year, month = nextMonth(year, month)
		mask = c.dates(year, month)
	}
	wall := (first+int64(bits.TrailingZeros64(mask))-1)*secondsPerDay + c.firstTime
	return wall, wall < limit
}

// matches reports whether the wall second is in the set.
func (c *calendar) matches(wall int64) bool {
	got, ok := c.next(wall, wall+1)
	return ok && got == wall
}

// count returns the number of matching wall seconds in [from, limit).
func (c *calendar) count(from, limit int64) int64 {
	if limit <= from {
		return 0
	}
	return c.countTo(from, limit) - c.countTo(from, from)
}

// countTo counts from the first of the month of anchor up to, without, limit.
func (c *calendar) countTo(anchor, limit int64) int64 {
	day := floorDiv(anchor, secondsPerDay)
	last := floorDiv(limit, secondsPerDay)
	year, month, date := civil(day)
	first := day - int64(date) + 1
	var n int64
	for first+int64(daysIn(year, month)) <= last {
		n += int64(bits.OnesCount64(c.dates(year, month))) * c.perDay
		first += int64(daysIn(year, month))
		year, month = nextMonth(year, month)
	}
	mask, date := c.dates(year, month), int(last-first)+1
	n += int64(bits.OnesCount64(mask&(1<<date-1))) * c.perDay
	if mask>>date&1 == 1 {
		n += c.timesBefore(limit - last*secondsPerDay)
	}
	return n
}

// timesBefore returns the number of matching times of a day before sod.
func (c *calendar) timesBefore(sod int64) int64 {
	h, m, s := clock(sod)
	below := func(set uint64, n int) int64 { return int64(bits.OnesCount64(set & (1<<n - 1))) }
	perMinute := int64(bits.OnesCount64(c.seconds))
	n := below(c.hours, h) * int64(bits.OnesCount64(c.minutes)) * perMinute
	if c.hours>>h&1 == 1 {
		n += below(c.minutes, m) * perMinute
		if c.minutes>>m&1 == 1 {
			n += below(c.seconds, s)
		}
	}
	return n
}

// timeFrom returns the first matching second of a day at or after sod.
func (c *calendar) timeFrom(sod int64) (int64, bool) {
	h, m, s := clock(sod)
	if c.hours>>h&1 == 1 {
		if c.minutes>>m&1 == 1 {
			if rest := c.seconds >> s; rest != 0 {
				return sod + int64(bits.TrailingZeros64(rest)), true
			}
		}
		if rest := c.minutes >> (m + 1); rest != 0 {
			m += 1 + bits.TrailingZeros64(rest)
			return int64(h*secondsPerHour + m*secondsPerMinute + bits.TrailingZeros64(c.seconds)), true
		}
	}
	if rest := c.hours >> (h + 1); rest != 0 {
		return c.firstFrom(h + 1 + bits.TrailingZeros64(rest)), true
	}
	return 0, false
}

// firstFrom returns the first matching second of the day in the given hour.
func (c *calendar) firstFrom(hour int) int64 {
	return int64(hour*secondsPerHour + bits.TrailingZeros64(c.minutes)*secondsPerMinute + bits.TrailingZeros64(c.seconds))
}

// dates returns the matching dates of a month: bit n stands for date n.
func (c *calendar) dates(year int64, month int) uint64 {
	if c.months>>month&1 == 0 {
		return 0
	}
	n := daysIn(year, month)
	full := uint64(1)<<(n+1) - 2
	if c.anyDay && c.anyWeekday {
		return full
	}
	days := c.days & full
	if c.lastDay {
		days |= 1 << n
	}
	switch {
	case c.anyWeekday:
		return days
	case c.anyDay:
		return c.weekdayDates(year, month, n)
	default: // Both restricted: either is enough.
		return days | c.weekdayDates(year, month, n)
	}
}

// weekdayDates returns the dates of a month of n days that the weekday field asks for.
func (c *calendar) weekdayDates(year int64, month, n int) uint64 {
	const everyWeek = 1 | 1<<7 | 1<<14 | 1<<21 | 1<<28
	first := weekday(daysSinceEpoch(year, month, 1))
	dates := rotate(c.weekdays, first) * everyWeek
	for k, set := range c.nth {
		dates |= rotate(set, first) << (7 * k)
	}
	dates |= rotate(c.lastWeekdays, (first+n)%7) << (n - 7)
	return dates << 1 & (1<<(n+1) - 2)
}

// rotate turns a set of weekdays into the pattern of a week that starts on first.
func rotate(set uint8, first int) uint64 {
	return uint64(set>>first|set<<(7-first)) & allWeekdays
}
