package pattern_test

import (
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
)

// What is refused names the field and what is wrong with it.
func TestCheck_refusesWhatTheVersionsReadDifferently(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"0 3,3 * * *":       `hour "3,3": it lists 3 twice`,
		"*/5,10 * * * *":    `minute "*/5,10": it lists 10 twice`,
		"0 0 * * sun,7":     `day of week "sun,7": it lists 0 twice`,
		"? * * * *":         `minute "?": BullMQ 5 takes ? for days alone`,
		"0 0 * ? *":         `month "?": BullMQ 5 takes ? for days alone`,
		"@weekdays":         "@weekdays is known to BullMQ 6 alone; write 0 0 0 * * 1-5",
		"0 9 * * 2-7/2":     `day of week "2-7/2": its step passes over the Sunday`,
		"0 9 13 * 5#2":      `day of week "5#2": beside a day of month BullMQ 5`,
		"0 9 1-31 * 5":      `day of month "1-31": it lists all days`,
		"0 9 */1 2 5":       `day of month "*/1": it lists all days`,
		"0 9 13 * 0-7":      `day of week "0-7": it lists all days`,
		"0 9 30,1 2 5":      `day of month "30,1": the month has no such day`,
		"0 H * * *":         `hour "H": H, hashed values`,
		"0 3 * * * * *":     "7 fields",
		"0 3 * * MONDAY":    "day of week",
		"0 24 * * *":        "hour",
		"0 0 30 2 *":        "the month has no such day",
		"0 0 * * L":         "day of week",
		"not a pattern":     "",
		"0 3 * * * /* 1 */": "",
	} {
		err := pattern.Check(expression, "UTC")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%q) = %v, want an error with %q", expression, err, want)
		}
	}
	if err := pattern.Check("0 3 * * *", "Europe/Nowhere"); err == nil {
		t.Error("Check(a zone that there is not) = nil, want an error")
	}
}

func TestCheck_takesWhatTheVersionsReadAlike(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"0 3 * * *", "*/5 * * * *", "0 0 3 * * 1-5", "0 0 L * *", "0 0 * * 5L", "0 0 * * 5#2", "0 9 13 * 5", "0 0 ? * mon", "0 0 1 1 ?",
		"0 9 1-31 * *", "0 9 * * 0-7", "0 9 * * 1-7", "0 9 * * 1-7/2", "0 9 * * */2", "@daily", "@hourly", "0 0 29 2 *", "15,45 8-17/3 * jan-mar *",
		"*", "* 5",
	} {
		if err := pattern.Check(expression, "Europe/Paris"); err != nil {
			t.Errorf("Check(%q) = %v, want no error", expression, err)
		}
	}
}
