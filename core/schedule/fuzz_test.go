package schedule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

// fuzzZones have shifts of at most two hours, so that a short window shows all of them.
var fuzzZones = []string{
	"UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Cairo", "Africa/Casablanca",
	"Asia/Tehran", "Antarctica/Troll", "Asia/Kathmandu",
}

func FuzzCron(f *testing.F) {
	for i, v := range readVectors(f) {
		f.Add(v.Expr, uint8(i), v.After.Unix())
	}
	for i, bad := range badInput {
		f.Add(bad.expr, uint8(i), int64(i)*1e7)
	}
	for i, expr := range changeExprs {
		f.Add(expr, uint8(1), int64(1_772_949_600+i*600))
		f.Add(expr, uint8(3), int64(1_775_314_800+i*600))
	}
	f.Fuzz(func(t *testing.T, expr string, zone uint8, unix int64) {
		c, err := schedule.ParseCron(expr, fuzzZones[int(zone)%len(fuzzZones)])
		if err != nil {
			checkRefusal(t, expr, err)
			return
		}
		// Within the years 1900 to 2100; the horizon of 41 years must always do.
		unix = -2_208_988_800 + int64(uint64(unix)%6_311_433_600)
		unix = nearChange(c.Location(), unix)
		after := time.Unix(unix, 1)
		next := c.Next(after)
		if !next.After(after) || next.Nanosecond() != 0 {
			t.Fatalf("%s: Next(%s) = %s", c, after.UTC(), next)
		}
		if again := c.Next(next.Add(-1)); !again.Equal(next) {
			t.Fatalf("%s: Next just before %s = %s", c, next, again)
		}
		const reach = 3 * 3600
		from, to := unix+1, unix+reach
		want := newOracle(c.Expr(), c.Location()).window(from, to, reach, offsetsOf(c.Location(), from-reach, to))
		compareWalk(t, c, from, to, want)
		if got := c.Count(after, time.Unix(to-1, 0)); got != int64(len(want)) {
			t.Fatalf("%s: Count = %d, want %d", c, got, len(want))
		}
		if latest := schedule.Latest(c, after, time.Unix(to-1, 0)); len(want) > 0 && latest.Unix() != want[len(want)-1] {
			t.Fatalf("%s: Latest = %s, want %s", c, latest, time.Unix(want[len(want)-1], 0).UTC())
		}
	})
}

// nearChange moves every other moment to just before the following change of clocks.
func nearChange(loc *time.Location, unix int64) int64 {
	if unix%2 == 0 {
		return unix
	}
	const year = 366 * 86400
	for _, change := range schedule.Transitions(loc, time.Unix(unix, 0), time.Unix(unix+year, 0)) {
		return change.At.Unix() - unix%9000
	}
	return unix
}

func checkRefusal(t *testing.T, expr string, err error) {
	t.Helper()
	parseErr, ok := errors.AsType[*schedule.ParseError](err)
	if !ok {
		t.Fatalf("ParseCron(%q) = %v, want a *ParseError", expr, err)
	}
	checkError(t, expr, parseErr)
	if !strings.Contains(parseErr.Reason, "never fires") {
		return
	}
	o := newOracle(expr, time.UTC)
	const daysOfFourHundredYears = 146_097
	for day := range int64(daysOfFourHundredYears) {
		if o.day(day * 86400) {
			t.Fatalf("ParseCron(%q) = %v, but it fires on %s", expr, err, time.Unix(day*86400, 0).UTC())
		}
	}
}

func FuzzInterval(f *testing.F) {
	f.Add(int64(time.Minute), int64(0), int64(1_767_225_600), int64(5))
	f.Add(int64(time.Millisecond), int64(-7), int64(-1), int64(999_999_999))
	f.Add(int64(366*24*time.Hour), int64(1e18), int64(-1<<40), int64(0))
	f.Fuzz(func(t *testing.T, interval, phase, sec, nano int64) {
		e, err := schedule.NewFastEvery(time.Duration(interval), time.Duration(phase))
		if err != nil {
			return
		}
		if e.Phase < 0 || e.Phase >= e.Interval {
			t.Fatalf("%s: phase %s out of the interval", e, e.Phase)
		}
		after := time.Unix(sec%1e11, nano%1e9)
		next := e.Next(after)
		if !next.After(after) || next.Sub(after) > e.Interval {
			if after.Year() >= 1 && after.Year() < 9998 {
				t.Fatalf("%s: Next(%s) = %s", e, after.UTC(), next)
			}
			return
		}
		later := e.Next(next)
		switch {
		case later.IsZero():
		case later.Sub(next) != e.Interval:
			t.Fatalf("%s: %s follows %s", e, later, next)
		case e.Count(after, later) != 2 || !schedule.Latest(e, after, later.Add(-1)).Equal(next):
			t.Fatalf("%s: Count and Latest disagree with Next after %s", e, after.UTC())
		}
	})
}
