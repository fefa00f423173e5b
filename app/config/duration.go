package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// duration accepts Go durations and whole days, with a unit, from low to high.
func duration(low, high time.Duration) rule {
	return rule{
		display:  durationDisplay,
		expected: "a duration with a unit (ms, s, m, h, d) from " + durationText(low) + " to " + durationText(high),
		canonical: func(value string) (string, error) {
			span, err := parseDuration(value)
			if err != nil {
				return "", err
			}
			return span.String(), within(span, low, high)
		},
	}
}

// parseDuration reads a Go duration that may begin with whole days, as in 1d12h.
// A negative one is below every range.
func parseDuration(value string) (time.Duration, error) {
	if value != strings.TrimSpace(value) {
		return 0, errBlank
	}
	if value != "" && strings.Trim(value, "+-.0123456789") == "" {
		return 0, errors.New("a duration without a unit")
	}
	if unsigned, negative := strings.CutPrefix(value, "-"); negative {
		if _, err := parseDuration(unsigned); err != nil {
			return 0, errNotDuration
		}
		return 0, errBelow
	}
	days, rest, err := cutDays(value)
	if err != nil || rest == "" {
		return days, err
	}
	if strings.ContainsAny(rest, "+-") {
		return 0, errNotDuration
	}
	span, err := time.ParseDuration(rest)
	if err != nil {
		return 0, errNotDuration
	}
	if span > maxDuration-days {
		return 0, errAbove
	}
	return days + span, nil
}

const maxDuration = time.Duration(1<<63 - 1)

var errNotDuration = errors.New("not a duration")

// cutDays takes leading whole days off. Without days it returns the text as it is.
func cutDays(text string) (days time.Duration, rest string, err error) {
	digits, rest, found := strings.Cut(text, "d")
	if !found {
		return 0, text, nil
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, "", errNotDuration
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number > int64(maxDuration/day) {
		return 0, "", errAbove
	}
	return time.Duration(number) * day, rest, nil
}

func durationDisplay(canonical string) string {
	span, err := time.ParseDuration(canonical)
	if err != nil {
		return canonical
	}
	return durationText(span)
}

// durationText counts long spans in days where it can, and drops the zero parts
// that time.Duration prints: 24h, not 24h0m0s.
func durationText(span time.Duration) string {
	if span > day && span%day == 0 {
		return decimal(int64(span/day)) + "d"
	}
	text := span.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
