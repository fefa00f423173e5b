package pattern

import (
	"fmt"
	"strings"
	"time"
)

// maxLength is the longest expression that is read, in bytes. All values of
// all fields, listed one by one, take half of it.
const maxLength = 1024

// Pattern is a parsed expression in a zone. It is safe for concurrent use.
type Pattern struct {
	second, minute, hour field
	days                 days
	zone                 *time.Location
}

// Parse reads an expression and the zone that it is meant in: an IANA name,
// utc, or utc and an offset such as utc+5:30. Without one it is the zone of
// the process, as in BullMQ.
func Parse(expression, zone string) (*Pattern, error) {
	location, err := loadZone(zone)
	if err != nil {
		return nil, err
	}
	texts, err := split(expression)
	if err != nil {
		return nil, err
	}
	weekday, nth, err := cutNth(texts[5])
	if err != nil {
		return nil, err
	}
	texts[5] = weekday
	var fields [6]field
	for i, kind := range kinds() {
		if fields[i], err = parseField(&kind, texts[i]); err != nil {
			return nil, err
		}
	}
	p := &Pattern{second: fields[0], minute: fields[1], hour: fields[2], zone: location}
	p.days, err = newDays(fields[3], fields[4], fields[5], nth)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// split returns the six fields of an expression.
func split(expression string) ([6]string, error) {
	fields := [6]string{"0", "*", "*", "*", "*", "*"}
	if len(expression) > maxLength {
		return fields, fmt.Errorf("pattern: %d bytes are too long; at most %d", len(expression), maxLength)
	}
	if full := nickname(expression); full != "" {
		expression = full
	}
	given := strings.Fields(expression)
	if len(given) == 0 || len(given) > len(fields) {
		return fields, fmt.Errorf("pattern: %q has %d fields; one to six are known", expression, len(given))
	}
	copy(fields[len(fields)-len(given):], given)
	return fields, nil
}

func nickname(expression string) string {
	switch expression {
	case "@yearly", "@annually":
		return "0 0 0 1 1 *"
	case "@monthly":
		return "0 0 0 1 * *"
	case "@weekly":
		return "0 0 0 * * 0"
	case "@daily":
		return "0 0 0 * * *"
	case "@hourly":
		return "0 0 * * * *"
	case "@minutely":
		return "0 * * * * *"
	case "@secondly":
		return "* * * * * *"
	case "@weekdays":
		return "0 0 0 * * 1-5"
	case "@weekends":
		return "0 0 0 * * 0,6"
	}
	return ""
}

// cutNth takes the occurrence off a day of week; zero means any.
func cutNth(text string) (weekday string, nth int, err error) {
	weekday, occurrence, found := strings.Cut(text, "#")
	if !found {
		return text, 0, nil
	}
	nth, ok := number(occurrence, 1, 5)
	if !ok || strings.ContainsAny(weekday, ",-/") {
		return "", 0, fmt.Errorf("pattern: day of week %q: # takes one weekday before it and 1 to 5 after it", text)
	}
	return weekday, nth, nil
}
