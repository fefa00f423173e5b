package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// duration is a flag: a Go duration that may begin with whole days, as in
// 1d12h. It is never negative.
type duration time.Duration

// String is the flag's text. Help leaves a default of 0 out.
func (d *duration) String() string {
	if *d == 0 {
		return "0"
	}
	return time.Duration(*d).String()
}

// Type is what help calls the value.
func (d *duration) Type() string { return "duration" }

// Set reads the flag.
func (d *duration) Set(text string) error {
	span, err := parseDuration(text)
	*d = duration(span)
	return err
}

var errDuration = errors.New("want a duration with a unit (ms, s, m, h, d), such as 90s or 1d12h")

func parseDuration(text string) (time.Duration, error) {
	digits, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		digits, rest = "0", text
	}
	days, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || days > uint64(math.MaxInt64/day) {
		return 0, errDuration
	}
	span := time.Duration(days) * day
	if hasDays && rest == "" {
		return span, nil
	}
	part, err := time.ParseDuration(rest)
	if err != nil || strings.ContainsAny(rest, "+-") || part > math.MaxInt64-span {
		return 0, errDuration
	}
	return span + part, nil
}
