package schedule_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

// changes lists the zones and years whose changes of clocks are looked at second by second.
var changes = []struct {
	zone     string
	from, to int
}{
	{"America/New_York", 2024, 2030},
	{"Europe/London", 2024, 2030},
	{"America/Sao_Paulo", 2015, 2019},
	{"Australia/Lord_Howe", 2024, 2030},
	{"Africa/Cairo", 2024, 2030},
	{"Pacific/Apia", 2009, 2013},
	{"Africa/Casablanca", 2024, 2030},
	{"Asia/Tehran", 2019, 2023},
	{"Antarctica/Troll", 2024, 2030},
	{"America/New_York", 1966, 1970},
	{"Europe/London", 1940, 1946},
	{"Africa/Monrovia", 1971, 1973},
	{"Europe/Berlin", 2038, 2041},
}

var changeExprs = []string{
	"30 2 * * *", "30 0 * * *", "15 1,2,3 * * *", "0 */2 * * *", "0 10 * * *", "*/15 2 * * *",
	"30 * * * *", "*/15 * * * *", "*/23 * * * * *", "*/29 * 0-22 * * *", "59 59 0-5 * * *",
	"20 40/7 23,0,1 * * *", "0 0-3 L * 0", "*/10 1-4 * * 0L,0#2,5", "30 2 29-31 * *",
}

// TestCronAgreesWithEverySecondAroundChangesOfClocks walks all instants near
// every transition, and asks from random moments as well.
func TestCronAgreesWithEverySecondAroundChangesOfClocks(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	total := 0
	t.Cleanup(func() { t.Logf("%d instants agreed", total) })
	for _, change := range changes {
		t.Run(change.zone, func(t *testing.T) {
			t.Parallel()
			loc := parse(t, "* * * * *", change.zone).Location()
			n, found := 0, 0
			for u := year(change.from); u < year(change.to+1); u += 3600 {
				_, before := time.Unix(u, 0).In(loc).Zone()
				_, after := time.Unix(u+3600, 0).In(loc).Zone()
				if before == after {
					continue
				}
				found++
				reach := int64(max(before-after, after-before)) + 3*3600
				n += compareWindow(t, loc, u-reach, u+3600+reach)
			}
			listed := schedule.Transitions(loc, time.Unix(year(change.from), 0), time.Unix(year(change.to+1), 0))
			if len(listed) != found || found == 0 {
				t.Errorf("Transitions found %d changes of clocks, want %d and at least one", len(listed), found)
			}
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
}

func year(y int) int64 { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }

func compareWindow(t *testing.T, loc *time.Location, from, to int64) int {
	t.Helper()
	offsets := offsetsOf(loc, from, to)
	random := rand.New(rand.NewPCG(uint64(from), 1))
	n := 0
	for _, expr := range changeExprs {
		want := newOracle(expr, loc).window(from, to, 0, offsets)
		c := parse(t, expr, loc.String())
		compareWalk(t, c, from, to, want)
		for range 20 {
			compareAt(t, c, from+random.Int64N(to-from), to, want)
		}
		if got := c.Count(time.Unix(from-1, 0), time.Unix(to-1, 0)); got != int64(len(want)) {
			t.Fatalf("%s: Count around %s = %d, want %d", c, time.Unix(from, 0).UTC(), got, len(want))
		}
		n += len(want)
	}
	return n
}

func compareWalk(t *testing.T, c *schedule.Cron, from, to int64, want []int64) {
	t.Helper()
	after := time.Unix(from-1, 0)
	for _, u := range want {
		got := c.Next(after)
		if got.Unix() != u {
			t.Fatalf("%s: Next(%s) = %s, want %s", c, after.UTC(), got, time.Unix(u, 0).UTC())
		}
		after = got
	}
	if got := c.Next(after); got.Unix() < to {
		t.Fatalf("%s: Next(%s) = %s, want nothing before %s", c, after, got, time.Unix(to, 0).UTC())
	}
}

// compareAt asks what is next, what was latest and how many there are from the middle of a window.
func compareAt(t *testing.T, c *schedule.Cron, u, to int64, want []int64) {
	t.Helper()
	i := 0
	for i < len(want) && want[i] <= u {
		i++
	}
	asked := time.Unix(u, 999)
	if got := c.Next(asked); i < len(want) && got.Unix() != want[i] {
		t.Fatalf("%s: Next(%s) = %s, want %s", c, asked.UTC(), got, time.Unix(want[i], 0).UTC())
	}
	if got := c.Count(asked, time.Unix(to-1, 0)); got != int64(len(want)-i) {
		t.Fatalf("%s: Count(%s, end) = %d, want %d", c, asked.UTC(), got, len(want)-i)
	}
	if i > 0 {
		if got := schedule.Latest(c, time.Unix(want[0]-1, 0), asked); got.Unix() != want[i-1] {
			t.Fatalf("%s: Latest(%s) = %s, want %s", c, asked.UTC(), got, time.Unix(want[i-1], 0).UTC())
		}
	}
}

// The calendar looks at the change at the start of a period only. That is right
// as long as no change follows another one within the stretch it moves.
func TestNoZoneChangesItsClocksAgainWithinTheStretchOfAChange(t *testing.T) {
	t.Parallel()
	for _, name := range allZones(t) {
		loc := parse(t, "* * * * *", name).Location()
		previous := schedule.Transition{}
		for i, change := range schedule.Transitions(loc, at(t, "1800-01-01T00:00:00Z"), at(t, "2060-01-01T00:00:00Z")) {
			if distance := change.At.Sub(previous.At); i > 0 && distance < previous.Shift().Abs() {
				t.Errorf("%s: %s follows %s within %s", name, change, previous, distance)
			}
			if change.Shift().Abs() > 26*time.Hour {
				t.Errorf("%s: %s is longer than the calendar looks back", name, change)
			}
			previous = change
		}
	}
}

// allZones lists the zones that errors may suggest: they all have to exist.
func allZones(t *testing.T) []string {
	t.Helper()
	zones := schedule.KnownZones()
	if len(zones) < 150 {
		t.Fatalf("%d zones, want more", len(zones))
	}
	return zones
}
