package figures

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Table renders the figures, one a line.
func Table(figures []Figure) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "row\tfigure\tmeasured\tmin–max of runs\tgoal\tratio\t")
	for _, f := range figures {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\t%s\t%s\t%s\n",
			f.Row, f.Name, Number(f.Measured), f.Unit, spread(f), goalText(f), ratioText(f), verdict(f))
	}
	_ = w.Flush()
	lines := strings.Split(text.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func spread(f Figure) string {
	if f.Runs < 2 {
		return "-"
	}
	return fmt.Sprintf("%s–%s of %d", Number(f.Min), Number(f.Max), f.Runs)
}

func goalText(f Figure) string {
	if f.Goal == nil {
		return "-"
	}
	sign := "≤"
	if f.Goal.Bound == Least {
		sign = "≥"
	}
	return sign + " " + Number(f.Goal.Value)
}

func ratioText(f Figure) string {
	ratio, ok := f.ratio()
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.2f", ratio)
}

func verdict(f Figure) string {
	switch {
	case f.Goal == nil:
		return ""
	case f.Reached():
		return "ok"
	}
	return "short"
}

// Number writes three significant digits, and all digits of large numbers in
// groups of three.
func Number(v float64) string {
	switch {
	case v >= 1000:
		return grouped(int64(v + 0.5))
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return trimZeros(strconv.FormatFloat(v, 'f', 1, 64))
	case v >= 1:
		return trimZeros(strconv.FormatFloat(v, 'f', 2, 64))
	}
	return trimZeros(strconv.FormatFloat(v, 'f', 4, 64))
}

func trimZeros(s string) string {
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
