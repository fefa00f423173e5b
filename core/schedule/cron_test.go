package schedule_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/schedule"
)

func TestCronAcceptsWhatTheLanguageAllows(t *testing.T) {
	t.Parallel()
	const after = "2026-01-01T12:00:00Z"
	tests := []struct{ expr, next string }{
		{"0\t3\t*\t*\t*", "2026-01-02T03:00:00Z"},
		{" @DAILY ", "2026-01-02T00:00:00Z"},
		{"05 08 * * *", "2026-01-02T08:05:00Z"},
		{"0 0 * * 7L", "2026-01-25T00:00:00Z"},
		{"0 0 * * friL", "2026-01-30T00:00:00Z"},
		{"0 0 * * FRI#1", "2026-01-02T00:00:00Z"},
		{"0 0 l * *", "2026-01-31T00:00:00Z"},
		{"0 0 * * 5l", "2026-01-30T00:00:00Z"},
		{"0 0 * * 7/2", "2026-01-04T00:00:00Z"},
		{"0 0 1-30,L * 1", "2026-01-05T00:00:00Z"},             // Complete, hence unrestricted.
		{"0 0 3 * 1#1,1#2,1#3,1#4,1L", "2026-01-03T00:00:00Z"}, // Every Monday, or the 3rd.
		{"0 0 ? * ?", "2026-01-02T00:00:00Z"},
		{"*/1000000 * * * *", "2026-01-01T13:00:00Z"},
		{"0 0 1 1 *", "2027-01-01T00:00:00Z"},
		{"59 59 23 31 12 ?", "2026-12-31T23:59:59Z"},
		{"0 0 29 2 1#5", "2028-02-29T00:00:00Z"},
		{"* * * * * *", "2026-01-01T12:00:01Z"},
		{"*,5 1 * * *", "2026-01-02T01:00:00Z"},
		{"10-20/100 * * * *", "2026-01-01T12:10:00Z"},
		{"0 12 1 jan-jan thu", "2026-01-08T12:00:00Z"},
		{"0 0 31 1,2 *", "2026-01-31T00:00:00Z"},
		{"0 0 * 2 1#5", "2044-02-29T00:00:00Z"},
		{"@Weekends", "2026-01-03T00:00:00Z"},
		{"0 0 * dec sun", "2026-12-06T00:00:00Z"},
		{"30 12 1 * *", "2026-01-01T12:30:00Z"},
		{"0,30 0-59/59 12 * * *", "2026-01-01T12:00:30Z"},
		{strings.Repeat(" ", 247) + "* * * * *", "2026-01-01T12:01:00Z"}, // As long as may be.
	}
	for _, test := range tests {
		if got := parse(t, test.expr, "").Next(at(t, after)); !got.Equal(at(t, test.next)) {
			t.Errorf("%q: Next(%s) = %s, want %s", test.expr, after, got, test.next)
		}
	}
}

func TestCronTellsWhatItIs(t *testing.T) {
	t.Parallel()
	c := parse(t, " 0  3 * * 1 ", "Europe/Sofia")
	got := []string{c.Expr(), c.Zone(), c.String(), c.Location().String(), parse(t, "@daily", "").String()}
	want := []string{" 0  3 * * 1 ", "Europe/Sofia", "0 3 * * 1 Europe/Sofia", "Europe/Sofia", "@daily UTC"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAStepWiderThanItsRangeIsAWarning(t *testing.T) {
	t.Parallel()
	got := parse(t, "*/90 1-5/7,3 * * *", "").Warnings()
	want := []string{
		"minute at column 1: step 90 is wider than the range: only 0 is used",
		"hour at column 6: step 7 is wider than the range: only 1 is used",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := parse(t, "*/59 5/5 * * *", "").Warnings(); len(got) != 0 {
		t.Errorf("Warnings() = %q, want none", got)
	}
}

func TestAParserSharesEqualSchedules(t *testing.T) {
	t.Parallel()
	var p schedule.Parser
	first, err := p.Cron("0 3 * * *", "Europe/Sofia")
	if err != nil {
		t.Fatal(err)
	}
	second, _ := p.Cron("0 3 * * *", "Europe/Sofia")
	other, _ := p.Cron("0 3 * * *", "Europe/Berlin")
	if first != second || first == other {
		t.Errorf("first %p, second %p, other %p: want the first two equal", first, second, other)
	}
}

func TestNextKeepsItsPromisesAtTheEndsOfTime(t *testing.T) {
	t.Parallel()
	c := parse(t, "0 0 1 1 *", "America/New_York")
	for _, sec := range []int64{math.MinInt64, math.MinInt64 / 2, -1 << 40, -62135596800, 0, 1 << 37, 253402300798, 253402300799, 1 << 40, math.MaxInt64 / 2} {
		after := time.Unix(sec, 0)
		next := c.Next(after)
		if !next.IsZero() && !next.After(after) {
			t.Errorf("Next(%d) = %s, not later", sec, next)
		}
		if next.Year() > 9999 {
			t.Errorf("Next(%d) = %s, want nothing beyond 9999", sec, next)
		}
	}
	if got := c.Next(time.Time{}); got.Year() != 1 && got.Year() != 2 {
		t.Errorf("Next(zero) = %s, want an instant in the first years", got)
	}
	if got := c.Next(at(t, "9999-12-31T00:00:00Z")); !got.IsZero() {
		t.Errorf("Next = %s, want zero", got)
	}
}

// Count sums over months and Latest bisects; walking tells whether they are right.
func TestCountAndLatestAgreeWithWalking(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	for _, expr := range append([]string{"0 0 29 2 *", "0 12 L * *", "0 0 * * 1#1", "0 0 13 * 5", "7 7 7 7 7 *"}, changeExprs...) {
		for _, zone := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"} {
			c := parse(t, expr, zone)
			from := time.Unix(random.Int64N(3_000_000_000)-500_000_000, random.Int64N(1e9))
			var walked []time.Time
			for next := c.Next(from); len(walked) < 500; next = c.Next(next) {
				walked = append(walked, next)
			}
			i := random.IntN(len(walked) - 1)
			to := walked[i].Add(time.Duration(random.Int64N(int64(walked[i+1].Sub(walked[i])))))
			if got := c.Count(from, to); got != int64(i+1) {
				t.Errorf("%s: Count(%s, %s) = %d, want %d", c, from.UTC(), to.UTC(), got, i+1)
			}
			if got := schedule.Latest(c, from, to); !got.Equal(walked[i]) {
				t.Errorf("%s: Latest(%s, %s) = %s, want %s", c, from.UTC(), to.UTC(), got, walked[i])
			}
			if got := schedule.Latest(c, from, walked[0].Add(-1)); !got.IsZero() {
				t.Errorf("%s: Latest = %s, want none before %s", c, got, walked[0])
			}
		}
	}
	c := parse(t, "* * * * * *", "")
	if got := c.Count(at(t, "2026-01-01T00:00:00Z"), at(t, "2027-01-01T00:00:00Z")); got != 365*86400 {
		t.Errorf("Count(a year of seconds) = %d, want %d", got, 365*86400)
	}
	if got := c.Count(at(t, "2027-01-01T00:00:00Z"), at(t, "2026-01-01T00:00:00Z")); got != 0 {
		t.Errorf("Count(backwards) = %d, want 0", got)
	}
	if got := schedule.Latest(c, time.Time{}, at(t, "2026-01-01T00:00:00.5Z")); !got.Equal(at(t, "2026-01-01T00:00:00Z")) {
		t.Errorf("Latest since the year 1 = %s", got)
	}
	if got := schedule.Latest(c, at(t, "2026-01-01T00:00:00Z"), at(t, "2026-01-01T00:00:00Z")); !got.IsZero() {
		t.Errorf("Latest(empty stretch) = %s, want none", got)
	}
}

func TestTheCalendarAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for day := int64(-720_000); day < 3_000_000; day += 11 {
		want := time.Unix(day*86400, 0).UTC()
		y, m, d := schedule.Civil(day)
		if int(y) != want.Year() || m != int(want.Month()) || d != want.Day() || schedule.Weekday(day) != int(want.Weekday()) {
			t.Fatalf("day %d = %d-%d-%d, weekday %d, want %s", day, y, m, d, schedule.Weekday(day), want)
		}
		if got := schedule.DaysSinceEpoch(y, m, d); got != day {
			t.Fatalf("DaysSinceEpoch(%d, %d, %d) = %d, want %d", y, m, d, got, day)
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	after := at(t, "2026-03-08T05:00:00Z")
	for _, s := range []schedule.Schedule{
		parse(t, "*/5 * * * *", "UTC"), parse(t, "30 2 * * *", "America/New_York"), every(t, time.Second, 0),
	} {
		if n := testing.AllocsPerRun(100, func() { s.Next(after); s.Count(after, after.Add(1e15)) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", s, n)
		}
	}
}

func TestNotesExplainChangesOfClocks(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, zone, at, want string }{
		{"30 2 * * *", "America/New_York", "2026-03-08T07:30:00Z", "02:30 does not exist on this day: runs at 03:30"},
		{"30 2 * * *", "America/New_York", "2026-03-09T06:30:00Z", ""},
		{"0 2,3 * * *", "America/New_York", "2026-03-08T07:00:00Z", "02:00 does not exist on this day: runs once, with 03:00"},
		{"0 3 * * *", "America/New_York", "2026-03-08T07:00:00Z", ""},
		{"15 30 2 * * *", "America/New_York", "2026-03-08T07:30:15Z", "02:30:15 does not exist on this day: runs at 03:30:15"},
		{"30 1 * * *", "America/New_York", "2026-11-01T05:30:00Z", "01:30 occurs twice on this day: runs the first time only"},
		{"30 * * * *", "America/New_York", "2026-11-01T05:30:00Z", "01:30 occurs twice on this day: runs both times, this is the first"},
		{"30 * * * *", "America/New_York", "2026-11-01T06:30:00Z", "01:30 occurs twice on this day: runs both times, this is the second"},
		{"30 * * * *", "America/New_York", "2026-11-01T07:30:00Z", ""},
		{"30 * * * *", "America/New_York", "2026-03-08T07:30:00Z", ""},
		{"30 4,5 * * *", "America/New_York", "2026-03-08T09:30:00Z", ""},
		{"0 0 * * *", "Pacific/Apia", "2011-12-30T10:00:00Z", "00:00 does not exist on this day: runs once, with 00:00"},
		{"0 0 * * *", "", "2011-12-30T00:00:00Z", ""},
	}
	for _, test := range tests {
		note := parse(t, test.expr, test.zone).Note(at(t, test.at))
		if got := note.String(); got != test.want {
			t.Errorf("%q in %s: Note(%s) = %q, want %q", test.expr, test.zone, test.at, got, test.want)
		}
		if (note.Kind == schedule.NoteNone) != (test.want == "") {
			t.Errorf("%q in %s: Note(%s) has kind %d", test.expr, test.zone, test.at, note.Kind)
		}
	}
}

func TestTransitionsAreListedInLocalTime(t *testing.T) {
	t.Parallel()
	list := func(zone, from, to string) (got []string) {
		for _, change := range schedule.Transitions(parse(t, "* * * * *", zone).Location(), at(t, from), at(t, to)) {
			got = append(got, change.String()+" ("+change.Shift().String()+")")
		}
		return got
	}
	got := list("America/New_York", "2026-03-08T06:59:59Z", "2026-11-01T06:00:00Z")
	got = append(got, list("Pacific/Apia", "2011-12-01T00:00:00Z", "2012-01-01T00:00:00Z")...)
	got = append(got, list("Africa/Monrovia", "1972-01-01T00:00:00Z", "2012-01-01T00:00:00Z")...)
	got = append(got, list("UTC", "1972-01-01T00:00:00Z", "2012-01-01T00:00:00Z")...)
	got = append(got, list("America/New_York", "2026-03-08T07:00:00Z", "2026-11-01T05:59:59Z")...)
	got = append(got, list("America/New_York", "2044-06-01T00:00:00Z", "2045-06-01T00:00:00Z")...)
	want := []string{
		"2026-03-08: clocks go from 02:00 to 03:00 (1h0m0s)",
		"2026-11-01: clocks go from 02:00 to 01:00 (-1h0m0s)",
		"2011-12-30: clocks go from 00:00 to 2011-12-31 00:00 (24h0m0s)",
		"1972-01-07: clocks go from 00:00:00 to 00:44:30 (44m30s)",
		"2044-11-06: clocks go from 02:00 to 01:00 (-1h0m0s)",
		"2045-03-12: clocks go from 02:00 to 03:00 (1h0m0s)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTheShortestGapIsFound(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	from := at(t, "2026-03-01T00:00:00Z")
	tests := []struct {
		schedule schedule.Schedule
		want     time.Duration
		exact    bool
	}{
		{parse(t, "*/5 * * * *", ""), 5 * time.Minute, true},
		{parse(t, "0 3,4,7 * * *", ""), time.Hour, true},
		{parse(t, "0 3 * * *", "America/New_York"), 23 * time.Hour, true},
		{parse(t, "* * * * * *", ""), time.Second, true},
		{parse(t, "*/2 * * * * *", ""), 2 * time.Second, false},
		{parse(t, "0 0 29 2 *", ""), 0, true},
		{every(t, 90*time.Minute, 0), 90 * time.Minute, true},
		{every(t, 29*24*time.Hour, 5*24*time.Hour), 0, true},
		{every(t, 40*24*time.Hour, 0), 0, true},
	}
	for _, test := range tests {
		got := schedule.ShortestGap(test.schedule, from, month)
		if got.Length != test.want || got.Exact != test.exact {
			t.Errorf("%s: ShortestGap = %+v, want %s, exact %t", test.schedule, got, test.want, test.exact)
		}
		if got.Length == 0 {
			continue
		}
		if next := test.schedule.Next(got.At); next.Sub(got.At) != got.Length || !got.At.After(from) {
			t.Errorf("%s: the gap at %s ends at %s, want %s", test.schedule, got.At, next, got.Length)
		}
	}
}
