package figures_test

import (
	"testing"

	"github.com/taktwork/takt/test/figures"
)

func TestTheMedianIsTheMiddleOfTheValues(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := figures.Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

func TestAPercentileIsTheValueThatSoManyDoNotExceed(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		values  []float64
		p, want float64
	}{
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred, 50, 50},
		{hundred, 0.1, 1},
		{[]float64{3, 1, 2}, 99, 3},
		{[]float64{3, 1, 2}, 34, 2},
		{[]float64{8}, 50, 8},
	} {
		if got := figures.Percentile(c.values, c.p); got != c.want {
			t.Errorf("Percentile of %d values(%v) = %v, want %v", len(c.values), c.p, got, c.want)
		}
	}
}

func TestStatisticsLeaveTheirValuesInOrder(t *testing.T) {
	values := []float64{3, 1, 2}
	figures.Median(values)
	figures.Percentile(values, 99)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("values = %v, want [3 1 2]", values)
	}
}

func TestAFigureKeepsItsGoalAtTheBorder(t *testing.T) {
	for _, c := range []struct {
		name   string
		figure figures.Figure
		want   bool
	}{
		{"at the upper bound", figures.New("f", "ms", []float64{50}, figures.AtMost(50)), true},
		{"above the upper bound", figures.New("f", "ms", []float64{50.1}, figures.AtMost(50)), false},
		{"at the lower bound", figures.New("f", "ms", []float64{50}, figures.AtLeast(50)), true},
		{"below the lower bound", figures.New("f", "ms", []float64{49.9}, figures.AtLeast(50)), false},
		{"by the median", figures.New("f", "ms", []float64{99, 50, 1}, figures.AtMost(50)), true},
		{"without a goal", figures.New("f", "ms", []float64{1}, nil), true},
	} {
		if got := c.figure.Reached(); got != c.want {
			t.Errorf("%s: reached = %t, want %t", c.name, got, c.want)
		}
	}
}
