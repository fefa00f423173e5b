package pattern

import (
	"fmt"
	"strconv"
	"strings"
)

// maxStep is far beyond every field: only the first value of a range is left.
const maxStep = 1 << 31

// kind is one of the six fields of an expression.
type kind struct {
	name     string
	min, max int
	// names, if there are any, stand for numbers from firstName on.
	names     []string
	firstName int
	// marks are the letters that are allowed beside names.
	marks string
}

// kinds returns the six fields in the order in which they are written.
func kinds() [6]kind {
	return [6]kind{
		{name: "second", max: 59},
		{name: "minute", max: 59},
		{name: "hour", max: 23},
		{name: "day of month", min: 1, max: 31, marks: "L"},
		{
			name: "month", min: 1, max: 12, firstName: 1,
			names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"},
		},
		{
			name: "day of week", max: 7, marks: "L",
			names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"},
		},
	}
}

func (k *kind) isWeekday() bool { return k.max == 7 }

// field is what one field of an expression selects.
type field struct {
	values uint64
	// listed counts the values as written, each as often as it is listed. A
	// day field is unrestricted when it lists enough of them.
	listed int
	// last holds what comes with an L: for the day of month bit 0 is the last
	// day, for the day of week bit n is the last weekday n of the month.
	last uint8
	// twice is one more than a value that is listed twice, zero if none is.
	twice int
	// overshot tells that a step of weekdays passes over the Sunday at its end.
	overshot bool
}

func (f *field) has(value int) bool { return f.values>>value&1 == 1 }

func (f *field) add(value int) {
	if f.has(value) {
		f.twice = value + 1
	}
	f.values |= 1 << value
	f.listed++
}

// parseField reads one field: a list of numbers, ranges and steps.
func parseField(k *kind, text string) (field, error) {
	numbers, ok := k.replaceNames(text)
	if !ok {
		return field{}, k.refuse(text, "a name is not known")
	}
	if strings.Contains(numbers, "H") {
		return field{}, k.refuse(text, "H, hashed values, exists only in BullMQ 6")
	}
	if numbers == "" || strings.ContainsFunc(numbers, func(r rune) bool { return !k.allows(r) }) {
		return field{}, k.refuse(text, "it holds a character that it may not")
	}
	if strings.Contains(numbers, "*") && strings.Contains(numbers, "?") {
		return field{}, k.refuse(text, "* and ? mean the same; it holds both")
	}
	every := strconv.Itoa(k.min) + "-" + strconv.Itoa(k.max)
	numbers = strings.NewReplacer("*", every, "?", every).Replace(numbers)
	var f field
	for item := range strings.SplitSeq(numbers, ",") {
		if problem := f.parseItem(k, item); problem != "" {
			return field{}, k.refuse(text, problem)
		}
	}
	return f, nil
}

func (k *kind) refuse(text, problem string) error {
	return fmt.Errorf("pattern: %s %q: %s", k.name, text, problem)
}

func (k *kind) allows(r rune) bool {
	return r >= '0' && r <= '9' || strings.ContainsRune(",-*?/", r) || strings.ContainsRune(k.marks, r)
}

// replaceNames puts numbers in the place of names; three letters in a row are
// a name, wherever they stand.
func (k *kind) replaceNames(text string) (numbers string, ok bool) {
	if k.names == nil {
		return text, true
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		if !startsWithName(rest) {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		number, known := k.named(rest[:3])
		if !known {
			return "", false
		}
		b.WriteString(strconv.Itoa(number))
		rest = rest[3:]
	}
	return b.String(), true
}

func startsWithName(s string) bool {
	return len(s) >= 3 && isLetter(s[0]) && isLetter(s[1]) && isLetter(s[2])
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func (k *kind) named(name string) (number int, known bool) {
	for i, n := range k.names {
		if strings.EqualFold(n, name) {
			return k.firstName + i, true
		}
	}
	return 0, false
}

// parseItem adds one item of the list. It returns what is wrong with it.
func (f *field) parseItem(k *kind, item string) (problem string) {
	base, step, stepped := strings.Cut(item, "/")
	switch {
	case !stepped:
		step = "1"
	case strings.Contains(base, "L"):
		return "an L takes no step"
	case isNumber(base):
		base += "-" + strconv.Itoa(k.max)
	}
	from, to, ranged := strings.Cut(base, "-")
	switch {
	case strings.Contains(base, "L"):
		return f.parseLast(k, base)
	case !ranged:
		return f.parseValue(k, base)
	}
	// A third number is allowed, and means nothing.
	to, _, _ = strings.Cut(to, "-")
	return f.parseRange(k, [3]string{from, to, step})
}

func (f *field) parseValue(k *kind, text string) (problem string) {
	value, ok := number(text, k.min, k.max)
	if !ok {
		return "a value is missing or out of range"
	}
	if k.isWeekday() {
		value %= 7
	}
	f.add(value)
	return ""
}

// parseLast reads an item with an L. For the day of month the number before
// it means nothing.
func (f *field) parseLast(k *kind, text string) (problem string) {
	digits, atEnd := strings.CutSuffix(text, "L")
	if !atEnd || len(digits) > 2 || digits != "" && !isNumber(digits) {
		return "an L stands at the end of at most two digits"
	}
	f.listed++
	if !k.isWeekday() {
		f.last = 1
		return ""
	}
	if digits == "" {
		return "an L needs its weekday before it"
	}
	f.last |= 1 << ((digits[0] - '0') % 7)
	return ""
}

// parseRange adds the values of a range, given as first, last and step. A
// range of weekdays that ends with Sunday begins with it, too.
func (f *field) parseRange(k *kind, text [3]string) (problem string) {
	from, okFrom := number(text[0], k.min, k.max)
	to, okTo := number(text[1], k.min, k.max)
	step, okStep := number(text[2], 1, maxStep)
	switch {
	case !okFrom || !okTo:
		return "an end of a range is missing or out of range"
	case from > to:
		return "a range runs backwards"
	case !okStep:
		return "a step is missing, zero or not a number"
	}
	sunday := k.isWeekday() && to%7 == 0
	if sunday {
		f.add(0)
		f.overshot = f.overshot || from > 0 && (to-from)%step != 0
	}
	for value := from; value <= to; value += step {
		if value > 0 || !sunday {
			f.add(value)
		}
	}
	return ""
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// number reads digits as a number from low to high.
func number(s string, low, high int) (n int, ok bool) {
	if !isNumber(s) {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= low && n <= high
}
