package schedule_test

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// oracle decides by looking at every single second. It shares nothing with the
// package: its own reading of the expression, the standard library's dates, and
// of the zone nothing but the offset at an instant.
type oracle struct {
	fields    [6][64]bool
	lastDay   bool
	last      map[int]bool
	nth       map[[2]int]bool
	unbounded [6]bool
	days      map[int64]bool
	loc       *time.Location
}

func newOracle(expr string, loc *time.Location) *oracle {
	presets := map[string]string{
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@hourly": "0 * * * *", "@minutely": "* * * * *", "@secondly": "* * * * * *",
		"@weekdays": "0 0 * * 1-5", "@weekends": "0 0 * * 0,6",
	}
	expr = strings.ToLower(strings.TrimSpace(expr))
	if p, ok := presets[expr]; ok {
		expr = p
	}
	for i, name := range strings.Fields("sun mon tue wed thu fri sat") {
		expr = strings.ReplaceAll(expr, name, strconv.Itoa(i))
	}
	for i, name := range strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec") {
		expr = strings.ReplaceAll(expr, name, strconv.Itoa(i+1))
	}
	parts := strings.Fields(expr)
	if len(parts) == 5 {
		parts = append([]string{"0"}, parts...)
	}
	o := &oracle{last: map[int]bool{}, nth: map[[2]int]bool{}, days: map[int64]bool{}, loc: loc}
	lows, highs := [6]int{0, 0, 0, 1, 1, 0}, [6]int{59, 59, 23, 31, 12, 6}
	for i, part := range parts {
		for item := range strings.SplitSeq(part, ",") {
			o.item(i, item, lows[i], highs[i])
		}
	}
	for d := range 7 {
		every := true
		for k := 1; k <= 4; k++ {
			every = every && o.nth[[2]int{d, k}]
		}
		if every && (o.last[d] || o.nth[[2]int{d, 5}]) {
			o.fields[5][d] = true
		}
	}
	for i := range o.fields {
		o.unbounded[i] = true
		for v := lows[i]; v <= highs[i]; v++ {
			known := o.fields[i][v] || i == 3 && v == 31 && o.lastDay
			o.unbounded[i] = o.unbounded[i] && known
		}
	}
	return o
}

func (o *oracle) item(field int, item string, low, high int) {
	num := func(s string) int {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			panic("oracle: " + s)
		}
		return int(min(n, 1e9))
	}
	body, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		step = num(stepText)
	}
	if day, k, ok := strings.Cut(body, "#"); ok {
		o.nth[[2]int{num(day) % 7, num(k)}] = true
		return
	}
	switch {
	case body == "l":
		o.lastDay = true
		return
	case strings.HasSuffix(body, "l"):
		o.last[num(body[:len(body)-1])%7] = true
		return
	}
	from, to := low, high
	if body != "*" && body != "?" {
		if field == 5 {
			high = 7
		}
		a, b, isRange := strings.Cut(body, "-")
		from, to = num(a), num(a)
		if isRange {
			to = num(b)
		} else if stepped {
			to = high
		}
	}
	for v := from; v <= to; v += step {
		if field == 5 {
			o.fields[field][v%7] = true
		} else {
			o.fields[field][v] = true
		}
	}
}

func (o *oracle) day(wall int64) bool {
	key := (wall+1<<40*86400)/86400 - 1<<40
	if known, ok := o.days[key]; ok {
		return known
	}
	t := time.Unix(wall, 0).UTC()
	tail := t.AddDate(0, 0, 7).Month() != t.Month()
	isLast := t.AddDate(0, 0, 1).Month() != t.Month()
	dom := o.fields[3][t.Day()] || o.lastDay && isLast
	d := int(t.Weekday())
	dow := o.fields[5][d] || o.last[d] && tail || o.nth[[2]int{d, (t.Day()-1)/7 + 1}]
	ok := dom || dow
	switch {
	case o.unbounded[3] && o.unbounded[5]:
		ok = true
	case o.unbounded[3]:
		ok = dow
	case o.unbounded[5]:
		ok = dom
	}
	ok = ok && o.fields[4][int(t.Month())]
	o.days[key] = ok
	return ok
}

func (o *oracle) matches(wall int64) bool {
	sod := int((wall + 1<<40*86400) % 86400)
	return o.fields[0][sod%60] && o.fields[1][sod/60%60] && o.fields[2][sod/3600] && o.day(wall)
}

// window returns the instants in [from, to). What happened before from-margin
// does not matter to it.
func (o *oracle) window(from, to, margin int64, offsets []int64) []int64 {
	start := from - margin
	const slack = 30 * 3600
	seen := make([]bool, to-start+2*slack)
	base := start + offsets[0] - slack
	fired := make(map[int64]bool)
	for u := start; u < to; u++ {
		offset := offsets[u-start]
		wall := u + offset
		switch {
		case o.unbounded[2]:
			if o.matches(wall) {
				fired[u] = true
			}
			continue
		case !seen[wall-base] && o.matches(wall):
			fired[u] = true
		}
		seen[wall-base] = true
		if u > start && offset > offsets[u-start-1] {
			before := offsets[u-start-1]
			for missing := u + before; missing < wall; missing++ {
				if !seen[missing-base] && o.matches(missing) {
					fired[missing-before] = true
				}
			}
		}
	}
	var instants []int64
	for u := range fired {
		if u >= from && u < to {
			instants = append(instants, u)
		}
	}
	slices.Sort(instants)
	return instants
}

// offsetsOf lists the offset from UTC at every second of [from, to).
func offsetsOf(loc *time.Location, from, to int64) []int64 {
	offsets := make([]int64, 0, to-from)
	for u := from; u < to; u++ {
		_, offset := time.Unix(u, 0).In(loc).Zone()
		offsets = append(offsets, int64(offset))
	}
	return offsets
}
