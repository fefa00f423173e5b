package schedule

// The proleptic Gregorian calendar in integers. Days count from 1970-01-01.

const (
	daysPer400Years = 146_097
	// marchEra is the distance from 0000-03-01 to the epoch: years are counted
	// from March, so that the leap day is the last day of a year.
	marchEra = 719_468
)

// civil returns the date of a day.
func civil(day int64) (year int64, month, date int) {
	day += marchEra
	era := floorDiv(day, daysPer400Years)
	doe := day - era*daysPer400Years
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	year, month, date = yoe+era*400, int(mp)+3, int(doy-(153*mp+2)/5)+1
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, date
}

// daysSinceEpoch is the inverse of civil.
func daysSinceEpoch(year int64, month, date int) int64 {
	mp := int64(month) - 3
	if mp < 0 {
		year, mp = year-1, mp+12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	return era*daysPer400Years + yoe*365 + yoe/4 - yoe/100 + (153*mp+2)/5 + int64(date) - 1 - marchEra
}

// daysIn returns the number of days in a month.
func daysIn(year int64, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

func nextMonth(year int64, month int) (int64, int) {
	if month == 12 {
		return year + 1, 1
	}
	return year, month + 1
}

// weekday returns the day of the week, Sunday being 0.
func weekday(day int64) int {
	const thursday = 4
	return int(day + thursday - 7*floorDiv(day+thursday, 7))
}

func clock(sod int64) (h, m, s int) {
	n := int(sod)
	return n / secondsPerHour, n / secondsPerMinute % 60, n % 60
}

// floorDiv divides towards minus infinity, so that days before 1970 stay whole.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
