package parity_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/parity"
)

// parityDocument is a valid document with one table whose rows are given.
func parityDocument(rows ...string) string {
	return strings.Join([]string{
		"# Parity",
		"",
		"## Process",
		"",
		"| Id | Behaviour | Proof |",
		"|---|---|---|",
		strings.Join(rows, "\n"),
		"",
		"## Later work",
		"",
		"| Subject | Brings |",
		"|---|---|",
		"| Redis queues | queues shared with Node |",
	}, "\n")
}

const (
	// firstRow is the line of the first row in parityDocument.
	firstRow = 7
	// waiting is a valid row that uses the listed subject.
	waiting = "| P-99 | shares queues | later: Redis queues |"
)

func claimsOf(t *testing.T, document string) []parity.Problem {
	t.Helper()
	problems, err := parity.Claims(fstest.MapFS{
		"docs/parity.md":             {Data: []byte(document)},
		"core/schedule/cron_test.go": {Data: []byte("package schedule_test\nfunc TestNext(t *testing.T) {}\nfunc ExampleParse() {}\nfunc FuzzParse(f *testing.F) {}\n")},
		"core/schedule/cron.go":      {Data: []byte("package schedule\nfunc TestData() {}\n")},
		"core/runner/suite_test.go":  {Data: []byte("package runner_test\ntype suite struct{}\nfunc (suite) TestMethod() {}\n")},
		"core/broken/broken_test.go": {Data: []byte("package broken_test\nfunc {\n")},
	}, "docs/parity.md")
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func TestClaimsAcceptsTestsExamplesFuzzTargetsSubtestsAndLaterWork(t *testing.T) {
	problems := claimsOf(t, parityDocument(
		"| P-01 | test | `core/schedule TestNext` |",
		"| P-02 | several | `core/schedule ExampleParse`, `core/schedule FuzzParse` |",
		"| P-03 | subtest | `core/schedule TestNext/across_the_gap` |",
		"| P-04 | a part now, the rest later | `core/schedule TestNext`; later: Redis queues |",
		"| P-05 | a bar \\| in the text | `core/schedule TestNext` |",
	))
	if len(problems) > 0 {
		t.Errorf("Claims = %v, want no problem", problems)
	}
}

func TestClaimsReportsEachBadRow(t *testing.T) {
	cases := []struct {
		name, row, want string
	}{
		{"neither a test nor later work", "| P-01 | x |  |", "P-01 has neither a test nor later work"},
		{"prose instead of a proof", "| P-01 | x | obvious |", "P-01 has neither a test nor later work"},
		{"prose beside a test", "| P-01 | x | `core/schedule TestNext` mostly |", `P-01: "mostly" is not a test; write ` + "`path/to/package TestName`" + ` or later: SUBJECT`},
		{"a test that does not exist", "| P-01 | x | `core/schedule TestGone` |", "P-01: package core/schedule has no TestGone"},
		{"one of two tests that does not exist", "| P-01 | x | `core/schedule TestNext`, `core/schedule TestGone` |", "P-01: package core/schedule has no TestGone"},
		{"a subtest of a test that does not exist", "| P-01 | x | `core/schedule TestGone/case` |", "P-01: package core/schedule has no TestGone"},
		{"a function outside the test files", "| P-01 | x | `core/schedule TestData` |", "P-01: package core/schedule has no TestData"},
		{"a method", "| P-01 | x | `core/runner TestMethod` |", "P-01: package core/runner has no TestMethod"},
		{"a package that does not exist", "| P-01 | x | `core/gone TestNext` |", "P-01: package core/gone does not exist"},
		{"unlisted later work", "| P-01 | x | later: some day |", `P-01 waits for "some day", which "Later work" does not list`},
		{"later work without a subject", "| P-01 | x | later: |", `P-01 waits for "", which "Later work" does not list`},
		{"no behaviour", "| P-01 |  | `core/schedule TestNext` |", "P-01 says no behaviour"},
		{"a malformed id", "| 1 | x | `core/schedule TestNext` |", `id "1" is not of the form P-01`},
		{"a missing cell", "| P-01 | x |", "row has 2 cells, want id, behaviour and proof"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var report []string
			for _, p := range claimsOf(t, parityDocument(c.row, waiting)) {
				if p.Line != firstRow || p.File != "docs/parity.md" {
					t.Errorf("reported at %s:%d, want docs/parity.md:%d", p.File, p.Line, firstRow)
				}
				report = append(report, p.Text)
			}
			if len(report) == 0 || report[0] != c.want {
				t.Errorf("Claims = %q, want first %q", report, c.want)
			}
		})
	}
}

func TestClaimsReportsDocumentsThatAreWrongAsAWhole(t *testing.T) {
	cases := []struct {
		name, document string
		want           []string
	}{
		{
			"the same id twice",
			parityDocument("| P-01 | x | `core/schedule TestNext` |", "| P-01 | y | `core/schedule TestNext` |", waiting),
			[]string{"docs/parity.md:8: P-01 is taken by line 7"},
		},
		{
			"later work that nothing waits for",
			parityDocument("| P-01 | x | `core/schedule TestNext` |"),
			[]string{`docs/parity.md:13: no row waits for "Redis queues" any more: remove it from "Later work"`},
		},
		{"no rows", "# Parity\n", []string{"docs/parity.md: has no rows"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var report []string
			for _, p := range claimsOf(t, c.document) {
				report = append(report, p.String())
			}
			if diff := cmp.Diff(c.want, report); diff != "" {
				t.Errorf("Claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClaimsNamesThePackageThatDoesNotParse(t *testing.T) {
	problems := claimsOf(t, parityDocument("| P-01 | x | `core/broken TestNext` |", waiting))
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "package core/broken: broken_test.go:2") {
		t.Errorf("Claims = %v, want the position in core/broken", problems)
	}
}

func TestClaimsFailsWithoutTheDocument(t *testing.T) {
	if _, err := parity.Claims(fstest.MapFS{}, "docs/parity.md"); err == nil {
		t.Error("Claims of an empty tree = nil error, want one")
	}
}
