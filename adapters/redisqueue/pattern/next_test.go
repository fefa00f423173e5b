package pattern_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
)

// runs returns the next matches as the clock in the zone shows them.
func runs(t *testing.T, expression, zone, after string, n int) []string {
	t.Helper()
	p := parse(t, expression, zone)
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for range n {
		var ok bool
		if at, ok = p.Next(at); !ok {
			t.Fatalf("%q after %v in %s has no match", expression, shown, zone)
		}
		shown = append(shown, at.In(location).Format("02 15:04-07:00"))
	}
	return shown
}

func TestClocksThatChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, expression, zone, after string
		want                          [2]string
	}{
		{"an hour left out is made up in the next", "30 2 * * *", "Europe/Paris", "2024-03-30T12:00:00+01:00", [2]string{"31 03:30+02:00", "01 02:30+02:00"}},
		{"not so by a search that begins there", "30 2 * * *", "Europe/Paris", "2024-03-31T03:10:00+02:00", [2]string{"01 02:30+02:00", "02 02:30+02:00"}},
		{"a pattern of all hours does without it", "0 * * * *", "Europe/Paris", "2024-03-31T00:30:00+01:00", [2]string{"31 01:00+01:00", "31 03:00+02:00"}},
		{"an hour that comes twice counts once", "30 2 * * *", "Europe/Paris", "2024-10-26T12:00:00+02:00", [2]string{"27 02:30+02:00", "28 02:30+01:00"}},
		{"but for a search that begins in its second pass", "30 2 * * *", "Europe/Paris", "2024-10-27T02:10:00+01:00", [2]string{"27 02:30+01:00", "28 02:30+01:00"}},
		{"a pattern of all hours runs in both passes", "0 * * * *", "Europe/Paris", "2024-10-27T01:30:00+02:00", [2]string{"27 02:00+02:00", "27 02:00+01:00"}},
		{"half an hour left out is lost", "15 2 * * *", "Australia/Lord_Howe", "2024-10-05T12:00:00+10:30", [2]string{"07 02:15+11:00", "08 02:15+11:00"}},
		{"half an hour that comes twice counts twice", "45 1 * * *", "Australia/Lord_Howe", "2024-04-06T12:00:00+11:00", [2]string{"07 01:45+11:00", "07 01:45+10:30"}},
		{"two hours left out are lost", "30 1 * * *", "Antarctica/Troll", "2024-03-30T12:00:00Z", [2]string{"01 01:30+02:00", "02 01:30+02:00"}},
		{"what is left out at midnight is lost", "0 0 * * *", "Africa/Cairo", "2024-04-25T12:00:00+02:00", [2]string{"27 00:00+03:00", "28 00:00+03:00"}},
		{"a change in the middle of an hour", "0 3 * * *", "Pacific/Chatham", "2024-09-28T12:00:00+12:45", [2]string{"29 04:00+13:45", "30 03:00+13:45"}},
	} {
		got := runs(t, c.expression, c.zone, c.after, 2)
		if [2]string(got) != c.want {
			t.Errorf("%s: %q in %s = %v, want %v", c.name, c.expression, c.zone, got, c.want)
		}
	}
}

func TestNextComesStrictlyAfter(t *testing.T) {
	t.Parallel()
	p := parse(t, "0 10 * * *", "UTC")
	ten := time.Date(2024, 6, 1, 10, 0, 0, 0, time.UTC)
	tomorrow := ten.AddDate(0, 0, 1)
	for after, want := range map[time.Duration]time.Time{
		-time.Nanosecond: ten, -time.Second: ten, 0: tomorrow, time.Millisecond: tomorrow, time.Hour: tomorrow,
	} {
		if got, ok := p.Next(ten.Add(after)); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("Next(10:00 %+d) = %s, %v, want %s", after, got, ok, want)
		}
	}
}

func TestPatternsThatNeverMatchEnd(t *testing.T) {
	t.Parallel()
	far := time.Unix(1<<62, 0)
	for _, c := range []struct {
		expression string
		after      time.Time
	}{
		{"0 0 31 4,6 *", june},
		{"0 0 30,31 2,2 *", june},
		{"* * * * *", far},
		{"* * * * *", time.Unix(-1<<62, 0)},
	} {
		if next, ok := parse(t, c.expression, "Europe/Paris").Next(c.after); ok {
			t.Errorf("%q after %v = %v, want no match", c.expression, c.after, next)
		}
	}
}

// 2100 has no leap day, so that it is 40 years to the next fifth Monday of
// a February.
func TestRareMatchesAreFound(t *testing.T) {
	t.Parallel()
	p := parse(t, "0 0 * 2 1#5", "UTC")
	at := time.Date(2072, 3, 1, 0, 0, 0, 0, time.UTC)
	next, ok := p.Next(at)
	if want := time.Date(2112, 2, 29, 0, 0, 0, 0, time.UTC); !ok || !next.Equal(want) {
		t.Errorf("Next(%v) = %v, %v, want %v", at, next, ok, want)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, expression := range []string{"*/5 * * * *", "0 3 * * *", "0 0 1 1 *", "0 0 29 2 *", "0 0 * 2 1#5"} {
		b.Run(expression, func(b *testing.B) {
			p, err := pattern.Parse(expression, "Europe/Paris")
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				p.Next(june)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := pattern.Parse("*/5 9-17 * * MON-FRI", "Europe/Paris"); err != nil {
			b.Fatal(err)
		}
	}
}
