package pattern_test

import (
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
)

// june is a Saturday.
var june = time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)

func parse(t *testing.T, expression, zone string) *pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse(expression, zone)
	if err != nil {
		t.Fatalf("Parse(%q, %q) = %v, want none", expression, zone, err)
	}
	return p
}

func TestExpressionsMean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, next string }{
		{"5", "2024-06-07T00:00:00Z"},
		{"5 5", "2025-05-02T00:00:00Z"},
		{"5 5 5", "2025-05-02T00:00:00Z"},
		{"5 5 5 5", "2025-05-02T05:00:00Z"},
		{"5 5 5 5 5", "2025-05-02T05:05:00Z"},
		{"5 5 5 5 5 5", "2025-05-02T05:05:05Z"},
		{"  0\t0  *\u00a0* * ", "2024-06-02T00:00:00Z"},
		{"5/10 * * * *", "2024-06-01T00:05:00Z"},
		{"*/100 * * * *", "2024-06-01T01:00:00Z"},
		{"1-10/3,59 1 * * *", "2024-06-01T01:01:00Z"},
		{"007 0005-010 * * *", "2024-06-01T05:07:00Z"},
		{"5-10-15 1 * * *", "2024-06-01T01:05:00Z"},
		{"1,1 * * * *", "2024-06-01T00:01:00Z"},
		{"0 0 1 JAN-mar *", "2025-01-01T00:00:00Z"},
		{"0 0 * * mon,WED", "2024-06-03T00:00:00Z"},
		{"0 0 * * 7", "2024-06-02T00:00:00Z"},
		{"0 0 * * SUN-tue", "2024-06-02T00:00:00Z"},
		{"0 0 * * 5-7", "2024-06-02T00:00:00Z"},
		{"0 0 * * 2/2", "2024-06-02T00:00:00Z"},
		{"0 0 L * *", "2024-06-30T00:00:00Z"},
		{"0 0 5L * *", "2024-06-30T00:00:00Z"},
		{"0 0 L 2 *", "2025-02-28T00:00:00Z"},
		{"0 0 * * 5L", "2024-06-28T00:00:00Z"},
		{"0 0 * * FRIL", "2024-06-28T00:00:00Z"},
		{"0 0 * * 7L", "2024-06-30T00:00:00Z"},
		{"0 0 * * 5#2", "2024-06-14T00:00:00Z"},
		{"0 0 * * FRI#02", "2024-06-14T00:00:00Z"},
		{"0 0 * * *#2", "2024-06-08T00:00:00Z"},
		{"0 0 4 * 5#2", "2024-06-04T00:00:00Z"},
		{"0 0 ? * ?", "2024-06-02T00:00:00Z"},
		{"? ? 4 ? ?", "2024-06-04T00:00:00Z"},
		{"0 0 4 * 5", "2024-06-04T00:00:00Z"},
		{"0 0 1-31 * 5", "2024-06-07T00:00:00Z"},
		{"0 0 1-30 * 5", "2024-06-07T00:00:00Z"},
		{"0 0 4 * 0-7", "2024-06-04T00:00:00Z"},
		{"0 0 4 * 0-6", "2024-06-02T00:00:00Z"},
		{"0 0 29 2 *", "2028-02-29T00:00:00Z"},
		{"0 0 29-31 2 *", "2028-02-29T00:00:00Z"},
		{"0 0 30 2 1", "2025-02-03T00:00:00Z"},
		{"0 0 * 2 1#5", "2044-02-29T00:00:00Z"},
		{"@yearly", "2025-01-01T00:00:00Z"},
		{"@annually", "2025-01-01T00:00:00Z"},
		{"@monthly", "2024-07-01T00:00:00Z"},
		{"@weekly", "2024-06-02T00:00:00Z"},
		{"@daily", "2024-06-02T00:00:00Z"},
		{"@hourly", "2024-06-01T01:00:00Z"},
		{"@minutely", "2024-06-01T00:01:00Z"},
		{"@secondly", "2024-06-01T00:00:01Z"},
		{"@weekdays", "2024-06-03T00:00:00Z"},
		{"@weekends", "2024-06-02T00:00:00Z"},
	} {
		next, ok := parse(t, c.expression, "UTC").Next(june)
		if got := next.Format(time.RFC3339); got != c.next || !ok {
			t.Errorf("%q after %s = %s, %v, want %s", c.expression, june, got, ok, c.next)
		}
	}
}

func TestExpressionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for expression, reason := range map[string]string{
		"":                         "fields",
		" \t ":                     "fields",
		"5 5 5 5 5 5 5":            "7 fields",
		"60 * * * *":               "out of range",
		"0 24 * * *":               "out of range",
		"0 0 0 * *":                "out of range",
		"0 0 32 * *":               "out of range",
		"0 0 1 13 *":               "out of range",
		"0 0 * * 8":                "out of range",
		"99999999999999999999 * ":  "out of range",
		"0 0 30 2 *":               "no such day",
		"0 0 31 4 *":               "no such day",
		"5-3 * * * *":              "backwards",
		"0 0 * * FRI-SUN":          "backwards",
		"-5 * * * *":               "missing",
		"5- * * * *":               "missing",
		"1,,2 * * * *":             "missing",
		", * * * *":                "missing",
		"/5 * * * *":               "missing",
		"*/ * * * *":               "step",
		"*/0 * * * *":              "step",
		"*/-5 * * * *":             "step",
		"*/5/2 * * * *":            "step",
		"*5 * * * *":               "out of range",
		"*,? * *":                  "both",
		"1e1 * * * *":              "character",
		"+5 * * * *":               "character",
		"5.5 * * * *":              "character",
		"0 0 15W * *":              "character",
		"0 0 * * MON\x00":          "character",
		"0 0 * * \xff":             "character",
		"٣ * * * *":                "character",
		"0 0 1 foo *":              "name",
		"0 0 1 mon *":              "name",
		"0 0 * * friday":           "name",
		"@midnight":                "name",
		"@Daily":                   "name",
		" @daily":                  "name",
		"@every 5m":                "",
		"0 0 L-3 * *":              "L",
		"0 0 L/2 * *":              "L",
		"0 0 * * L":                "L",
		"0 0 * * 1-5L":             "L",
		"0 0 * * 123L":             "L",
		"L * * * *":                "character",
		"0 0 * * 5#":               "#",
		"0 0 * * 5#6":              "#",
		"0 0 * * 5#0":              "#",
		"0 0 * * 5#1.5":            "#",
		"0 0 * * 5#1#2":            "#",
		"0 0 * * 1,5#2":            "#",
		"0 0 * * #2":               "character",
		"0 0 5#2 * *":              "character",
		"H * * * *":                "BullMQ 6",
		"H/15 H(1-5) * * *":        "BullMQ 6",
		"0 0 * * H":                "BullMQ 6",
		strings.Repeat("*", 1<<20): "too long",
		strings.Repeat(" ", 1<<20): "too long",
	} {
		p, err := pattern.Parse(expression, "UTC")
		if err == nil || !strings.Contains(err.Error(), reason) || len(err.Error()) > 4*1024 {
			t.Errorf("Parse(%.40q) = %v, %v, want an error that says %q", expression, p, err, reason)
		}
	}
}

func TestZonesAreNamedAsInNode(t *testing.T) {
	t.Parallel()
	for zone, next := range map[string]string{
		"UTC":                       "2024-06-02T00:00:00Z",
		"gmt":                       "2024-06-02T00:00:00Z",
		"Europe/Paris":              "2024-06-01T22:00:00Z",
		"europe/paris":              "2024-06-01T22:00:00Z",
		"AMERICA/NEW_YORK":          "2024-06-01T04:00:00Z",
		"america/port-au-prince":    "2024-06-01T04:00:00Z",
		"africa/dar_es_salaam":      "2024-06-01T21:00:00Z",
		"antarctica/mcmurdo":        "2024-06-01T12:00:00Z",
		"us/pacific":                "2024-06-01T07:00:00Z",
		"etc/gmt+3":                 "2024-06-01T03:00:00Z",
		"est5edt":                   "2024-06-01T04:00:00Z",
		"PST":                       "2024-06-01T07:00:00Z",
		"ist":                       "2024-06-01T18:30:00Z",
		"utc+3":                     "2024-06-01T21:00:00Z",
		"UTC-03:30":                 "2024-06-01T03:30:00Z",
		"Asia/Kathmandu":            "2024-06-01T18:15:00Z",
		"antarctica/dumontdurville": "2024-06-01T14:00:00Z",
	} {
		got, _ := parse(t, "0 0 * * *", zone).Next(june)
		if got := got.Format(time.RFC3339); got != next {
			t.Errorf("midnight in %s = %s, want %s", zone, got, next)
		}
	}
}

func TestZonesThatAreNotKnown(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Mars/Base", "+03:00", "GMT+3", " UTC", "utc+123", "../../etc/passwd", "/etc/localtime", "Europe", "a\x00b", strings.Repeat("x/", 1<<19)} {
		if p, err := pattern.Parse("* * * * *", zone); err == nil || len(err.Error()) > 300 {
			t.Errorf("Parse in %.40q = %v, %v, want a short error", zone, p, err)
		}
	}
}

func TestWithoutZoneItIsThatOfTheProcess(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "local", "System"} {
		got, _ := parse(t, "30 4 * * *", zone).Next(june)
		if local := got.In(time.Local); local.Hour() != 4 || local.Minute() != 30 {
			t.Errorf("30 4 * * * in zone %q = %s, want 04:30 local", zone, local)
		}
	}
}
