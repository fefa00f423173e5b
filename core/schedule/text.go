package schedule

import (
	"fmt"
	"strings"
	"time"
)

const everyPrefix = "every "

// Text returns the schedule in the form that [ParseText] reads: that of its
// String method. It is empty for nil and for schedules of other packages.
func Text(s Schedule) string {
	switch s := s.(type) {
	case *Cron:
		return s.String()
	case Every:
		return s.String()
	}
	return ""
}

// ParseText reads what [Text] wrote, such as "30 2 * * * Europe/Berlin" or
// "every 5m0s+12.5s": the schedule has the same instants. Errors are of type
// *[ParseError] and *[IntervalError], or say that the text is none.
func ParseText(text string) (Schedule, error) {
	if rest, ok := strings.CutPrefix(text, everyPrefix); ok {
		return parseEvery(text, rest)
	}
	cut := strings.LastIndexByte(text, ' ')
	if cut < 0 {
		return nil, fmt.Errorf("schedule %s: want a cron expression and a zone, or every and an interval", quote(text))
	}
	return ParseCron(text[:cut], text[cut+1:])
}

func parseEvery(text, rest string) (Schedule, error) {
	length, shift, moved := strings.Cut(rest, "+")
	interval, err := time.ParseDuration(length)
	var phase time.Duration
	if err == nil && moved {
		phase, err = time.ParseDuration(shift)
	}
	if err != nil {
		return nil, fmt.Errorf("schedule %s: %w", quote(text), err)
	}
	return NewFastEvery(interval, phase)
}
