package figures_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/figures"
)

func TestNumbersHaveThreeDigitsOrGroups(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0383: "0.0383", 0.5: "0.5", 1: "1", 2.674: "2.67", 9.999: "10", 12.34: "12.3", 68: "68",
		123.4: "123", 999.4: "999", 1000: "1,000", 500000: "500,000", 1234567.8: "1,234,568",
	} {
		if got := figures.Number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestTheTableHasALinePerFigure(t *testing.T) {
	got := figures.Table([]figures.Figure{
		figures.New("kept", "ms", []float64{30, 10, 20}, figures.AtMost(40)),
		figures.New("missed", "ms", []float64{250_000}, figures.AtLeast(500_000)),
		figures.New("none", "ms", []float64{0}, figures.AtMost(0)),
		figures.New("known", "ms", []float64{1.5}, nil),
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
