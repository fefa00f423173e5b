package history_test

import (
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/schedule"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestMomentOfALocalTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, zone string
		cron       string
		want       string // RFC 3339, or none if it is refused.
	}{
		{"2026-06-01T02:30", "Europe/Berlin", "30 2 * * *", "2026-06-01T00:30:00Z"},
		{"2026-06-01 02:30:15", "Europe/Berlin", "30 2 * * *", "2026-06-01T00:30:15Z"},
		{"2026-06-01T02:30:00.250", "UTC", "30 2 * * *", "2026-06-01T02:30:00.25Z"},
		{"2026-06-01T02:30:00+02:00", "UTC", "30 2 * * *", "2026-06-01T00:30:00Z"},
		// Jumped over: the tick was moved by an hour.
		{"2026-03-29T02:30", "Europe/Berlin", "30 2 * * *", "2026-03-29T01:30:00Z"},
		{"2026-03-29T02:15", "Europe/Berlin", "30 2 * * *", ""},
		// Midnight that does not exist, and a day that does not.
		{"2018-11-04T00:00", "America/Sao_Paulo", "0 0 * * *", "2018-11-04T03:00:00Z"},
		{"2011-12-30T12:00", "Pacific/Apia", "0 12 * * *", "2011-12-30T22:00:00Z"},
		// Twice: the first is planned, or both, or neither.
		{"2026-10-25T02:30", "Europe/Berlin", "30 2 * * *", "2026-10-25T00:30:00Z"},
		{"2026-10-25T02:30", "Europe/Berlin", "30 * * * *", ""},
		{"2026-10-25T02:15", "Europe/Berlin", "30 2 * * *", ""},
		// Half an hour twice.
		{"2026-04-05T01:45", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T14:45:00Z"},
		{"now", "UTC", "* * * * *", ""},
		{"2026-06-01", "UTC", "* * * * *", ""},
		{"2026-06-01T25:00", "UTC", "* * * * *", ""},
	} {
		cron, err := schedule.ParseCron(c.cron, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		var at time.Time
		moment, err := history.ParseMoment(c.text, zone(t, c.zone))
		if err == nil {
			at, err = moment.Tick(cron)
		}
		switch {
		case c.want == "" && !errors.Is(err, domain.ErrInvalid):
			t.Errorf("%s in %s is %s, %v, want it refused", c.text, c.zone, at, err)
		case c.want != "" && (err != nil || at.UTC().Format(time.RFC3339Nano) != c.want):
			t.Errorf("%s in %s is %s, %v, want %s", c.text, c.zone, at.UTC().Format(time.RFC3339Nano), err, c.want)
		}
	}
}

func FuzzMoment(f *testing.F) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu"}
	for i, text := range []string{"2026-03-29T02:30", "2026-10-25T02:30:00", "2026-10-25T02:30:00Z", "2011-12-30 12:00", "0001-01-01T00:00", "9999-12-31T23:59:59.999"} {
		f.Add(text, uint8(i))
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		loc := zone(t, zones[int(n)%len(zones)])
		moment, err := history.ParseMoment(text, loc)
		if err != nil {
			if !errors.Is(err, domain.ErrInvalid) {
				t.Fatalf("ParseMoment(%q) = %v, want ErrInvalid", text, err)
			}
			return
		}
		if len(moment.Instants) > 2 {
			t.Fatalf("%q in %s means %d instants", text, loc, len(moment.Instants))
		}
		for i, at := range moment.Instants {
			shown := at.In(loc)
			fields := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), shown.Nanosecond(), time.UTC)
			if !moment.Wall.IsZero() && !fields.Equal(moment.Wall) {
				t.Fatalf("%q in %s means %s, which shows %s", text, loc, at, fields)
			}
			if i > 0 && !at.After(moment.Instants[0]) {
				t.Fatalf("%q in %s means %s and then %s", text, loc, moment.Instants[0], at)
			}
		}
		if at, err := moment.Tick(schedule.Every{Interval: time.Minute}); err == nil && at.IsZero() && moment.Wall.Year() > 1 {
			t.Fatalf("%q in %s is the tick of no time", text, loc)
		}
	})
}
