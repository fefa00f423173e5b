package schedule_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/schedule"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var badInput = []struct{ expr, zone string }{
	{"", ""},
	{" \t ", ""},
	{"* * * *", ""},
	{"5m", ""},
	{"* * * * * * *", ""},
	{"* * * * * * * * *", ""},
	{"TZ=Europe/Berlin 0 3 * * *", ""},
	{"CRON_TZ=UTC 0 3 * * *", ""},
	{"@every 5m", ""},
	{"@reboot", ""},
	{"@midnight", ""},
	{"  @fortnightly", ""},
	{"60 * * * *", ""},
	{"* 60 * * * *", ""},
	{"60 * * * * *", ""},
	{"0 24 * * *", ""},
	{"0 0 0 * *", ""},
	{"0 0 32 * *", ""},
	{"0 0 * 0 *", ""},
	{"0 0 * 13 *", ""},
	{"0 0 * * 8", ""},
	{"99999999999999999999 * * * *", ""},
	{"*/0 * * * *", ""},
	{"*/ * * * *", ""},
	{"*/x * * * *", ""},
	{"*/-5 * * * *", ""},
	{"5/+5 * * * *", ""},
	{"*5 * * * *", ""},
	{"**/5 * * * *", ""},
	{"*-5 * * * *", ""},
	{"1- * * * *", ""},
	{"1-5-9 * * * *", ""},
	{"5-1 * * * *", ""},
	{"0 22-2 * * *", ""},
	{"0 23-0 * * *", ""},
	{"0 0 * * fri-sun", ""},
	{"0 0 * * sat-mon", ""},
	{"0 0 * nov-feb *", ""},
	{"+5 * * * *", ""},
	{"-5 * * * *", ""},
	{"1.5 * * * *", ""},
	{"1,,2 * * * *", ""},
	{",1 * * * *", ""},
	{"1, * * * *", ""},
	{"1;2 * * * *", ""},
	{"\u0663 * * * *", ""},
	{"0\u00a00 * * *", ""},
	{"0 0 * * *\n", ""},
	{"\xff * * * *", ""},
	{"0 0 \ufffd * *", ""},
	{"jan 0 * * *", ""},
	{"mon 0 * * *", ""},
	{"0 0 * January *", ""},
	{"0 0 * * Sunday", ""},
	{"0 0 * mon *", ""},
	{"0 0 * * jan", ""},
	{"0 0 * foo *", ""},
	{"0 0 * * anj", ""},
	{"0 0 * x *", ""},
	{"0 0 15W * *", ""},
	{"0 0 LW * *", ""},
	{"0 0 W * *", ""},
	{"0 H * * *", ""},
	{"0 0 L-3 * *", ""},
	{"0 0 5L * *", ""},
	{"0 0 * * L", ""},
	{"0 0 * * 5L/2", ""},
	{"0 0 * * 1-5L", ""},
	{"L * * * *", ""},
	{"0 0 * * 5#", ""},
	{"0 0 * * 5#0", ""},
	{"0 0 * * 5#6", ""},
	{"0 0 * * 5#2#3", ""},
	{"0 0 5#2 * *", ""},
	{"? * * * *", ""},
	{"0 0 ?/2 * *", ""},
	{"0 0 1,? * *", ""},
	{"0 0 30 2 *", ""},
	{"0 0 31 4 *", ""},
	{"0 0 31 2,4,6,9,11 *", ""},
	{"0 0 30-31 2 0-6", ""},
	{strings.Repeat("0,", 128) + "0 * * * *", ""},
	{"0 3 * * *", "Not/AZone"},
	{"0 3 * * *", "europe/berlin"},
	{"0 3 * * *", "Europe/Berln"},
	{"0 3 * * *", "America/New York"},
	{"0 3 * * *", "Sofia"},
	{"0 3 * * *", "Local"},
	{"0 3 * * *", "localtime"},
	{"0 3 * * *", "right/Europe/Berlin"},
	{"0 3 * * *", "utc"},
	{"0 3 * * *", "Z"},
	{"0 3 * * *", "+02:00"},
	{"0 3 * * *", "UTC+2"},
	{"0 3 * * *", "GMT-3"},
	{"0 3 * * *", "../etc/passwd"},
	{"0 3 * * *", strings.Repeat("a", 100)},
	{"0 3 * * *", " "},
}

func TestEveryErrorNamesThePlaceAndWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, bad := range badInput {
		_, err := schedule.ParseCron(bad.expr, bad.zone)
		parseErr, ok := errors.AsType[*schedule.ParseError](err)
		if !ok {
			t.Errorf("ParseCron(%q, %q) = %v, want a *ParseError", bad.expr, bad.zone, err)
			continue
		}
		checkError(t, bad.expr, parseErr)
		lines = append(lines, err.Error())
	}
	got := strings.Join(lines, "\n") + "\n"
	const golden = "testdata/errors.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("error texts differ (-want +got), rewrite with -update:\n%s", diff)
	}
}

// checkError holds for every error, whatever the input.
func checkError(t *testing.T, expr string, err *schedule.ParseError) {
	t.Helper()
	if err.Expr != expr || err.Field == "" || err.Reason == "" || err.Hint == "" {
		t.Errorf("ParseCron(%q): incomplete error %+v", expr, *err)
	}
	if most := utf8.RuneCountInString(expr) + 1; err.Position < 0 || err.Position > most {
		t.Errorf("ParseCron(%q): column %d, want at most %d", expr, err.Position, most)
	}
	if text := err.Error(); len(text) > 600 || strings.ContainsAny(text, "\n\r") || !utf8.ValidString(text) {
		t.Errorf("ParseCron(%q): error is not one short line: %q", expr, text)
	}
}
