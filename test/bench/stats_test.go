package main_test

import (
	"testing"

	bench "github.com/taktwork/takt/test/bench"
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
		if got := bench.Median(c.values); got != c.want {
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
		if got := bench.Percentile(c.values, c.p); got != c.want {
			t.Errorf("Percentile of %d values(%v) = %v, want %v", len(c.values), c.p, got, c.want)
		}
	}
}

func TestStatisticsLeaveTheirValuesInOrder(t *testing.T) {
	values := []float64{3, 1, 2}
	bench.Median(values)
	bench.Percentile(values, 99)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("values = %v, want [3 1 2]", values)
	}
}

func TestAFigureKeepsItsGoalAtTheBorder(t *testing.T) {
	for _, c := range []struct {
		name   string
		figure bench.Figure
		want   bool
	}{
		{"at the upper bound", bench.NewFigure("f", []float64{50}, bench.AtMost(50)), true},
		{"above the upper bound", bench.NewFigure("f", []float64{50.1}, bench.AtMost(50)), false},
		{"at the lower bound", bench.NewFigure("f", []float64{50}, bench.AtLeast(50)), true},
		{"below the lower bound", bench.NewFigure("f", []float64{49.9}, bench.AtLeast(50)), false},
		{"by the median", bench.NewFigure("f", []float64{99, 50, 1}, bench.AtMost(50)), true},
		{"without a goal", bench.NewFigure("f", []float64{1}, nil), true},
	} {
		if got := bench.IsReached(c.figure); got != c.want {
			t.Errorf("%s: reached = %t, want %t", c.name, got, c.want)
		}
	}
}
