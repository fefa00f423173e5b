package schedule

import "strings"

// field is one of the six fields of an expression, in order.
type field int

const (
	fieldSecond field = iota
	fieldMinute
	fieldHour
	fieldDay
	fieldMonth
	fieldWeekday
	fieldCount
)

const (
	nameExpression = "expression"
	nameZone       = "zone"

	monthNames   = "janfebmaraprmayjunjulaugsepoctnovdec"
	weekdayNames = "sunmontuewedthufrisat"
	nameLength   = 3
)

// String returns the name of the field as errors show it.
func (f field) String() string {
	return [fieldCount]string{"second", "minute", "hour", "day-of-month", "month", "day-of-week"}[f]
}

// limits returns the least and the greatest number that may be written.
func (f field) limits() (lo, hi int) {
	switch f {
	case fieldHour:
		return 0, 23
	case fieldDay:
		return 1, 31
	case fieldMonth:
		return 1, 12
	case fieldWeekday:
		return 0, 7
	case fieldSecond, fieldMinute, fieldCount:
	}
	return 0, 59
}

// last returns the greatest number that has a meaning of its own: Sunday is 0 before it is 7.
func (f field) last() int {
	_, hi := f.limits()
	if f == fieldWeekday {
		return hi - 1
	}
	return hi
}

// names returns the three-letter names of the field, joined, and the value of the first.
func (f field) names() (joined string, first int) {
	switch f {
	case fieldMonth:
		return monthNames, 1
	case fieldWeekday:
		return weekdayNames, 0
	case fieldSecond, fieldMinute, fieldHour, fieldDay, fieldCount:
	}
	return "", 0
}

// named returns the value of a three-letter name in any case.
func (f field) named(name string) (int, bool) {
	joined, first := f.names()
	if len(name) != nameLength {
		return 0, false
	}
	at := strings.Index(joined, strings.ToLower(name))
	if at < 0 || at%nameLength != 0 {
		return 0, false
	}
	return first + at/nameLength, true
}

// isDay reports whether the field selects days of a month.
func (f field) isDay() bool { return f == fieldDay || f == fieldWeekday }
