package pattern

import "time"

const (
	// furthest is how many steps a search takes at most, a day each or less:
	// the days of 41 years. A fifth Monday of February comes after 40 at the
	// latest.
	furthest = 15_100
	// latest and its opposite bound the instants of JavaScript, in milliseconds.
	latest = 8_640_000_000_000_000

	noHour = -1
)

// Next returns the first match after the given instant, a whole second in UTC,
// and false if there is none.
func (p *Pattern) Next(after time.Time) (time.Time, bool) {
	start := after.Unix()
	if p.days.never || start <= -latest/1000 || start >= latest/1000 {
		return time.Time{}, false
	}
	s := search{walker: walker{zone: p.zone}, pattern: p, landed: noHour, again: noHour}
	s.set(start)
	for range furthest {
		switch {
		case s.step():
		case s.at > start:
			return time.Unix(s.at, 0).UTC(), true
		default:
			s.move(1)
		}
	}
	return time.Time{}, false
}

// search is a walker that looks for a match.
type search struct {
	walker
	pattern *Pattern
	// landed is the hour that came after one that was left out, which is due
	// in it, too.
	landed int
	// again is the hour that began for the second time.
	again int
}

// step moves on if the clock does not show a match, and reports whether it did.
func (s *search) step() (moved bool) {
	p := s.pattern
	switch {
	case !p.days.match(&s.wall):
		s.nextDay()
	case !p.days.month.has(s.wall.month):
		s.nextMonth()
	case !s.hourMatches():
		s.move(hourSeconds)
	case !p.minute.has(s.wall.minute):
		s.move(minuteSeconds)
	case !p.second.has(s.wall.second):
		s.move(1)
	default:
		return false
	}
	return true
}

func (s *search) hourMatches() bool {
	hour, hours := s.wall.hour, &s.pattern.hour
	switch {
	case hours.has(hour) && s.again == hour:
		s.again = noHour
		return false
	case hours.has(hour):
		return true
	case s.landed == hour && hours.has(hour-1):
		return true
	}
	s.landed = noHour
	return false
}

// move goes forward and notes how the hour on the clock changes: it rises by
// two where one is left out, and not at all where it begins again.
func (s *search) move(unit int64) {
	before := s.wall.hour
	s.forward(unit)
	if s.pattern.hour.listed == 24 {
		return
	}
	switch s.wall.hour - before {
	case 2:
		s.landed = s.wall.hour
	case 0:
		if s.wall.minute == 0 && s.wall.second == 0 {
			s.again = s.wall.hour
		}
	}
}
