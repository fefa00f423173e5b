package pattern

import (
	"errors"
	"math/bits"
)

// days are the three fields that select days.
type days struct {
	ofMonth, month, ofWeek field
	// nth is which weekday of the month it is; zero means any.
	nth int
	// never tells that no day is ever selected.
	never bool
	// dropped tells that days were listed that the only month never has.
	dropped bool
}

// newDays also drops the days that the only month never has.
func newDays(ofMonth, month, ofWeek field, nth int) (days, error) {
	d := days{ofMonth: ofMonth, month: month, ofWeek: ofWeek, nth: nth}
	most := 0
	for m := 1; m <= 12; m++ {
		if month.has(m) {
			most = max(most, longest(m))
		}
	}
	beyond := ofMonth.values &^ (1<<(most+1) - 1)
	d.never = beyond == ofMonth.values && ofMonth.last == 0 && d.anyWeekday()
	if month.listed == 1 {
		if d.never {
			return d, errors.New("pattern: the month has no such day")
		}
		d.dropped = beyond != 0
		d.ofMonth.values &^= beyond
		d.ofMonth.listed -= bits.OnesCount64(beyond)
	}
	return d, nil
}

// anyWeekday and anyDay report whether a day field does not restrict the day.
func (d *days) anyWeekday() bool { return d.ofWeek.listed == 8 && d.nth == 0 }

func (d *days) anyDay(month int) bool { return d.ofMonth.listed >= longest(month) }

// match reports whether the two day fields select the day.
func (d *days) match(w *wall) bool {
	switch {
	case d.anyWeekday():
		return d.matchOfMonth(w)
	case d.anyDay(w.month):
		return d.matchOfWeek(w)
	}
	return d.matchOfMonth(w) || d.matchOfWeek(w)
}

func (d *days) matchOfMonth(w *wall) bool {
	return d.ofMonth.has(w.day) || d.ofMonth.last != 0 && w.day == daysIn(w.year, w.month)
}

func (d *days) matchOfWeek(w *wall) bool {
	if d.ofWeek.has(w.weekday) && (d.nth == 0 || (w.day+6)/7 == d.nth) {
		return true
	}
	return d.ofWeek.last>>w.weekday&1 == 1 && w.day+7 > daysIn(w.year, w.month)
}

func daysIn(year, month int) int {
	if month == 2 && (year%4 != 0 || year%100 == 0 && year%400 != 0) {
		return 28
	}
	return longest(month)
}

// longest returns how many days the month may have.
func longest(month int) int {
	switch month {
	case 2:
		return 29
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
