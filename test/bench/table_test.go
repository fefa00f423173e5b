package main_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	bench "github.com/taktwork/takt/test/bench"
)

func TestNumbersHaveThreeDigitsOrGroups(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0383: "0.0383", 0.5: "0.5", 1: "1", 2.674: "2.67", 9.999: "10", 12.34: "12.3", 68: "68",
		123.4: "123", 999.4: "999", 1000: "1,000", 500000: "500,000", 1234567.8: "1,234,568",
	} {
		if got := bench.Number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestTheTableHasALinePerFigure(t *testing.T) {
	got := bench.Table([]bench.Figure{
		bench.NewFigure("kept", []float64{30, 10, 20}, bench.AtMost(40)),
		bench.NewFigure("missed", []float64{250_000}, bench.AtLeast(500_000)),
		bench.NewFigure("none", []float64{0}, bench.AtMost(0)),
		bench.NewFigure("known", []float64{1.5}, nil),
	})
	want := strings.Join([]string{
		"row  figure  measured    min–max of runs  goal       ratio",
		"     kept    20 ms       10–30 of 3       ≤ 40       0.50   ok",
		"     missed  250,000 ms  -                ≥ 500,000  0.50   short",
		"     none    0 ms        -                ≤ 0        -      ok",
		"     known   1.5 ms      -                -          -",
		"",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestRowsAreSelectedByName(t *testing.T) {
	got, err := bench.RowsOf("-run", "^planner-10k$|^next")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"planner-10k", "next"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if got, err := bench.RowsOf("-run", "("); err == nil {
		t.Errorf("rows of a broken expression = %v, want an error", got)
	}
}

func TestTheExitCodeTellsWhetherMeasuringWorked(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"nothing to measure", []string{"-run", "^none$"}, 0},
		{"a broken expression", []string{"-run", "("}, 2},
		{"a binary that is none", []string{"-run", "^binary$", "-worker", "go.mod"}, 1},
	} {
		var stdout, stderr bytes.Buffer
		if got := bench.Run(t.Context(), c.args, &stdout, &stderr); got != c.want {
			t.Errorf("%s: exit code %d, want %d; it said %s", c.name, got, c.want, &stderr)
		}
	}
}

func TestJSONNamesTheMachineAndTheFigures(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := bench.Run(t.Context(), []string{"-json", "-run", "^none$"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d, want 0; it said %s", code, &stderr)
	}
	var got struct {
		Machine struct {
			Cores int
			Go    string
		}
		Figures []bench.Figure
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("output is not JSON: %v", err)
	}
	if got.Machine.Cores < 1 || !strings.HasPrefix(got.Machine.Go, "go") || got.Figures == nil {
		t.Errorf("output = %s, want the machine and a list of figures", &stdout)
	}
}
