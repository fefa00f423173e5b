package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// rule is what a variable accepts.
type rule struct {
	// expected completes "expected …" in a problem and heads the documentation.
	expected string
	// canonical brings a value into the spelling that go-envconfig decodes, or
	// says what is wrong with it, without repeating the value.
	canonical func(value string) (string, error)
	// display is the canonical spelling as people read it; nil means as it is.
	display func(canonical string) string
	// redact is what may be shown of a secret; nil means nothing.
	redact func(canonical string) string
}

var errBlank = errors.New("blank before or after the value")

// boolean accepts the usual words in any case.
func boolean() rule {
	return rule{
		expected: "true, false, 1, 0, yes, no, on or off",
		canonical: func(value string) (string, error) {
			switch strings.ToLower(strings.TrimSpace(value)) {
			case "true", "1", "yes", "on":
				return "true", nil
			case "false", "0", "no", "off":
				return "false", nil
			}
			return "", errors.New("not a boolean")
		},
	}
}

// choice accepts one of the words, in any case.
func choice(words ...string) rule {
	return rule{
		expected: orList(words),
		canonical: func(value string) (string, error) {
			word := strings.ToLower(strings.TrimSpace(value))
			for _, known := range words {
				if word == known {
					return known, nil
				}
			}
			if near := nearest(word, words); near != "" {
				return "", errors.New("not one of the choices, the nearest is " + near)
			}
			return "", errors.New("not one of the choices")
		},
	}
}

// count accepts whole decimal numbers from low to high.
func count(low, high int64) rule {
	return rule{
		expected: "a whole number from " + decimal(low) + " to " + decimal(high),
		canonical: func(value string) (string, error) {
			number, err := wholeNumber(value)
			if err != nil {
				return "", err
			}
			return decimal(number), within(number, low, high)
		},
	}
}

// size accepts bytes, plain or in KiB, MiB or GiB, from low to high.
func size(low, high int64) rule {
	return rule{
		display:  sizeText,
		expected: "a size from " + bytesText(low) + " to " + bytesText(high) + ", in bytes or with KiB, MiB or GiB",
		canonical: func(value string) (string, error) {
			number, unit := splitUnit(value)
			factor, known := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
			bytes, err := wholeNumber(number)
			switch {
			case err != nil:
				return "", err
			case !known:
				return "", errors.New("unknown unit of size")
			case bytes > high/factor:
				return "", errAbove
			}
			return decimal(bytes * factor), within(bytes*factor, low, high)
		},
	}
}

// matches compiles the expression when it is needed: each takes 50 KiB for as
// long as it lives, and a worker reads its settings once.
func matches(expression, text string) bool { return regexp.MustCompile(expression).MatchString(text) }

// pattern accepts whole values that match the expression.
func pattern(what, expression string) rule {
	return rule{
		expected: what + " matching " + strings.Trim(expression, "^$"),
		canonical: func(value string) (string, error) {
			if !matches(expression, value) {
				return "", errors.New("not " + what)
			}
			return value, nil
		},
	}
}

// list accepts values of one rule, separated by commas, each at most once.
func list(what string, one rule) rule {
	return rule{
		expected: what + ", separated by commas: each " + one.expected,
		canonical: func(value string) (string, error) {
			seen := map[string]bool{}
			var items []string
			for i, item := range strings.Split(value, ",") {
				place := "name " + strconv.Itoa(i+1) + ": "
				name, err := one.canonical(strings.TrimSpace(item))
				if err != nil {
					return "", errors.New(place + err.Error())
				}
				if seen[name] {
					return "", errors.New(place + "named twice")
				}
				seen[name] = true
				items = append(items, name)
			}
			return strings.Join(items, ","), nil
		},
	}
}

var (
	errAbove = errors.New("above the range")
	errBelow = errors.New("below the range")
)

func within[T int64 | time.Duration](value, low, high T) error {
	switch {
	case value < low:
		return errBelow
	case value > high:
		return errAbove
	}
	return nil
}

// wholeNumber reads decimal digits alone. A number too large for int64 is
// reported as above every range.
func wholeNumber(value string) (int64, error) {
	if value != strings.TrimSpace(value) {
		return 0, errBlank
	}
	if digits := strings.TrimPrefix(value, "-"); digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errors.New("not a whole decimal number")
	}
	if strings.HasPrefix(value, "-") {
		return 0, errBelow
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, errAbove
	}
	return number, nil
}

func splitUnit(value string) (number, unit string) {
	end := len(value)
	for end > 0 && (value[end-1] < '0' || value[end-1] > '9') {
		end--
	}
	return value[:end], value[end:]
}

func decimal(number int64) string { return strconv.FormatInt(number, 10) }

func bytesText(bytes int64) string {
	for _, unit := range []struct {
		name   string
		factor int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= unit.factor && bytes%unit.factor == 0 {
			return decimal(bytes/unit.factor) + unit.name
		}
	}
	return decimal(bytes)
}

func sizeText(canonical string) string {
	bytes, err := strconv.ParseInt(canonical, 10, 64)
	if err != nil {
		return canonical
	}
	return bytesText(bytes)
}

func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	end := len(words) - 1
	return strings.Join(words[:end], ", ") + " or " + words[end]
}
