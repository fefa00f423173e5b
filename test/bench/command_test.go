package main_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	bench "github.com/taktwork/takt/test/bench"
	"github.com/taktwork/takt/test/figures"
)

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
		Figures []figures.Figure
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("output is not JSON: %v", err)
	}
	if got.Machine.Cores < 1 || !strings.HasPrefix(got.Machine.Go, "go") || got.Figures == nil {
		t.Errorf("output = %s, want the machine and a list of figures", &stdout)
	}
}
