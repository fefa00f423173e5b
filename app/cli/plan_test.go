package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
)

func TestPlanAcrossTheChangesOfTheClocks(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]string{
		"berlin_spring": "2026-03-28", "berlin_autumn": "2026-10-24", "new_york_spring": "2026-03-07", "new_york_autumn": "2026-10-31",
	} {
		for form, flag := range map[string]string{"text": "", "json": "--json", "ics": "--ical"} {
			words := []string{"plan", "--from", from, "--for", "3d"}
			if flag != "" {
				words = append(words, flag)
			}
			got := run(t, args(words...))
			if got.code != cli.ExitOK || got.stderr != "" {
				t.Errorf("plan from %s: exit code %d, stderr %q", from, got.code, got.stderr)
			}
			golden(t, "plan_"+name+"_"+form+".golden", got.stdout)
		}
	}
}

func TestPlanOfOneJob(t *testing.T) {
	t.Parallel()
	got := run(t, args("plan", "reports.nightly", "--count", "2", "--json"))
	want := `[
  {
    "job": "reports.nightly",
    "at": "2026-03-08T02:30:00+01:00",
    "zone": "Europe/Berlin"
  },
  {
    "job": "reports.nightly",
    "at": "2026-03-09T02:30:00+01:00",
    "zone": "Europe/Berlin"
  }
]
`
	if diff := cmp.Diff(want, got.stdout); diff != "" || got.stderr != "" {
		t.Errorf("plan (-want +got):\n%s%s", diff, got.stderr)
	}
}

func TestPlanIsBoundedUnlessTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		ticks int
		note  string
	}{
		{[]string{"--cron", "* * * * * *", "--tz", "UTC"}, 10, "worker: the first 10 ticks; --count and --for show more\n"},
		{[]string{"--cron", "* * * * * *", "--tz", "UTC", "--for", "1d"}, 1000, "worker: the first 1000 ticks; --count and --for show more\n"},
		{[]string{"--cron", "* * * * * *", "--tz", "UTC", "--for", "1d", "--count", "1500"}, 1500, ""},
		{[]string{"--cron", "0 3 * * *", "--tz", "UTC", "--for", "7d"}, 7, ""},
		{[]string{"stock.sync", "--for", "1d"}, 4, ""},
		{[]string{"stock.sync"}, 10, "worker: the first ticks only of stock.sync; --count and --for show more\n"},
		{[]string{"--cron", "0 3 1 1 *", "--tz", "UTC", "--for", "1h"}, 0, "worker: nothing fires in this time\n"},
	} {
		got := run(t, args(append([]string{"plan"}, c.words...)...))
		header := min(c.ticks, 1)
		if lines := strings.Count(got.stdout, "\n") - header; lines != c.ticks || got.stderr != c.note || got.code != 0 {
			t.Errorf("plan %s: %d ticks, note %q, exit code %d, want %d, %q and 0", c.words, lines, got.stderr, got.code, c.ticks, c.note)
		}
	}
}

func TestPlanOfAnExpressionAgreesWithTheVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../core/schedule/testdata/cron_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		ID, Expr, TZ, After string
		Next                []time.Time
		Error               json.RawMessage
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, vector := range vectors {
		if vector.After == "" || len(vector.Next) == 0 {
			continue
		}
		checked++
		got := run(t, args("plan", "--cron", vector.Expr, "--tz", vector.TZ, "--from", vector.After, "--json",
			"--count", string(rune('0'+len(vector.Next)))))
		var instants []time.Time
		if err := json.Unmarshal([]byte(got.stdout), &instants); err != nil {
			t.Errorf("%s: %v, stderr %q", vector.ID, err, got.stderr)
			continue
		}
		if diff := cmp.Diff(vector.Next, instants); diff != "" {
			t.Errorf("%s (-want +got):\n%s", vector.ID, diff)
		}
	}
	if checked < 50 {
		t.Errorf("%d vectors checked, want at least 50", checked)
	}
}

func TestPlanRefusesBadData(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, words := range [][]string{
		{"--cron", "61 * * * *", "--tz", "UTC"},
		{"--cron", "", "--tz", "UTC"},
		{"--cron", "0 0 30 2 *", "--tz", "UTC"},
		{"--cron", "@every 5s", "--tz", "UTC"},
		{"--cron", "TZ=UTC * * * * *", "--tz", "UTC"},
		{"--cron", "* * * * *", "--tz", "Mars/Base"},
		{"--cron", "\x1b[31m", "--tz", "UTC"},
		{"--from", "tomorrow"},
		{"reports.nightyl"},
		{"stock.old"},
		{"stock.rebuild"},
	} {
		got := run(t, args(append([]string{"plan"}, words...)...))
		if got.code != cli.ExitBadData || got.stdout != "" {
			t.Errorf("plan %q: exit code %d, stdout %q, want 65 and nothing", words, got.code, got.stdout)
		}
		all.WriteString(got.stderr)
	}
	golden(t, "plan_refused.golden", all.String())
}

func TestTheWorkersZoneIsThatOfExpressionsWithoutOne(t *testing.T) {
	t.Parallel()
	i := args("plan", "--cron", "0 9 * * *", "--count", "1", "--from", "2026-07-01T08:30", "--json")
	i.Environ = environ("WORKER_TIMEZONE=Asia/Tokyo")
	if got := run(t, i); got.stdout != "[\n  \"2026-07-01T09:00:00+09:00\"\n]\n" {
		t.Errorf("plan = %s%s, want nine in Tokyo", got.stdout, got.stderr)
	}
}

func TestACalendarIsValid(t *testing.T) {
	t.Parallel()
	title := `commas, semicolons; backslash\ and many ✓ ` + strings.Repeat("ä", 200)
	ticks := []app.PlannedTick{{At: now, Note: "first"}, {At: now.Add(time.Millisecond)}}
	text := cli.Calendar(t.Context(), title, ticks, now)
	if strings.Count(text, "\n") != strings.Count(text, "\r\n") || !strings.HasSuffix(text, "END:VCALENDAR\r\n") {
		t.Error("lines do not all end in CRLF")
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 75 || !utf8.ValidString(line) {
			t.Errorf("line of %d octets, valid UTF-8: %t: %q", len(line), utf8.ValidString(line), line)
		}
	}
	unfolded := strings.ReplaceAll(text, "\r\n ", "")
	summary := `SUMMARY:commas\, semicolons\; backslash\\ and many ✓ ` + strings.Repeat("ä", 200) + "\r\n"
	if strings.Count(unfolded, summary) != 2 {
		t.Errorf("no %q in\n%s", summary, unfolded)
	}
	if !strings.Contains(unfolded, `12:00:00 +00:00 UTC\nfirst`+"\r\n") {
		t.Errorf("the note is not on a line of its own in\n%s", unfolded)
	}
	uids := map[string]bool{}
	for line := range strings.SplitSeq(unfolded, "\r\n") {
		if strings.HasPrefix(line, "UID:") {
			uids[line] = true
		}
	}
	if len(uids) != len(ticks) {
		t.Errorf("%d distinct UIDs, want %d", len(uids), len(ticks))
	}
}

func TestAPlanFromADateHasThatDayAndCountsDaysOfTheCalendar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"--cron", "0 0 * * *", "--tz", "Europe/Berlin", "--from", "2026-10-25", "--for", "1d"}, "2026-10-25T00:00:00+02:00"},
		{[]string{"--cron", "0 23 * * *", "--tz", "Europe/Berlin", "--from", "2026-10-25", "--for", "1d"}, "2026-10-25T23:00:00+01:00"},
		{[]string{"--cron", "0 23 * * *", "--tz", "Europe/Berlin", "--from", "2026-10-25", "--for", "24h"}, ""},
		{[]string{"--cron", "0 0 * * *", "--tz", "Europe/Berlin", "--from", "2026-03-29", "--for", "1d"}, "2026-03-29T00:00:00+01:00"},
		{[]string{"--cron", "0 0 * * *", "--tz", "Europe/Berlin", "--from", "2026-10-25T00:00", "--for", "1d"}, ""},
		// The clocks of Cairo skip midnight, those of Havana repeat it.
		{[]string{"--cron", "0 1 * * *", "--tz", "Africa/Cairo", "--from", "2026-04-24", "--for", "1d"}, "2026-04-24T01:00:00+03:00"},
		{[]string{"--cron", "30 0 * * *", "--tz", "America/Havana", "--from", "2026-11-01", "--for", "1d"}, "2026-11-01T00:30:00-04:00"},
	} {
		got := run(t, args(append([]string{"plan", "--json"}, c.words...)...))
		var ticks []string
		if err := json.Unmarshal([]byte(got.stdout), &ticks); err != nil || strings.Join(ticks, " ") != c.want {
			t.Errorf("plan %s = %s, %v, want %s", c.words, ticks, err, c.want)
		}
	}
	jobs := run(t, args("plan", "--from", "2026-10-25", "--for", "1d", "--json"))
	for _, want := range []string{`"2026-10-25T02:30:00+02:00"`, `"2026-10-25T01:30:00-04:00"`, `"2026-10-25T00:00:00Z"`} {
		if !strings.Contains(jobs.stdout, want) {
			t.Errorf("no %s in\n%s", want, jobs.stdout)
		}
	}
}
