package schedule_test

import (
	"testing"
	"time"
	_ "time/tzdata" // The tests must not depend on the host's zone files being there.

	"github.com/taktwork/takt/core/schedule"
)

func parse(t testing.TB, expr, zone string) *schedule.Cron {
	t.Helper()
	c, err := schedule.ParseCron(expr, zone)
	if err != nil {
		t.Fatalf("ParseCron(%q, %q) = %v", expr, zone, err)
	}
	return c
}

func every(t testing.TB, interval, phase time.Duration) schedule.Every {
	t.Helper()
	e, err := schedule.NewFastEvery(interval, phase)
	if err != nil {
		t.Fatalf("NewFastEvery(%s, %s) = %v", interval, phase, err)
	}
	return e
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.UTC()
}
