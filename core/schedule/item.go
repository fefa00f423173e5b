package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

type itemKind uint8

const (
	itemRange itemKind = iota
	itemLast           // L, or nL with the weekday in lo.
	itemNth            // n#k, with the weekday in lo.
)

// item is one element of a list: lo, lo+step, … up to hi.
type item struct {
	kind         itemKind
	lo, hi, step int
	nth          int
}

// scanner reads one item of a field.
type scanner struct {
	expr  string
	field field
	whole string // The text of the field.
	text  string // The text of the item,
	col   int    // its column,
	at    int    // and what has been read of it.
}

func (s *scanner) item() (item, error) {
	lo, hi := s.field.limits()
	switch s.peek() {
	case 0:
		return item{}, s.fault("empty list item", "remove the surplus comma")
	case '*':
		s.at++
		return s.stepped(item{lo: lo, hi: s.field.last(), step: 1})
	case '?':
		return s.any(item{lo: lo, hi: hi, step: 1})
	}
	if s.field == fieldDay && strings.EqualFold(s.text, "L") {
		return item{kind: itemLast}, nil
	}
	v, err := s.value()
	if err != nil {
		return item{}, err
	}
	it := item{lo: v, hi: v, step: 1}
	switch s.peek() {
	case '-':
		return s.ranged(it)
	case '/':
		it.hi = hi
		return s.stepped(it)
	case 'L', 'l', '#':
		return s.special(it)
	}
	return it, s.done()
}

// any reads a question mark, which stands alone.
func (s *scanner) any(it item) (item, error) {
	switch {
	case !s.field.isDay():
		return item{}, s.fault("? is for day-of-month and day-of-week only", "use *")
	case s.whole != "?":
		return item{}, s.fault("? stands alone", "use * for every day")
	}
	return it, nil
}

// ranged reads the upper end of a range, and its step.
func (s *scanner) ranged(it item) (item, error) {
	s.at++
	var err error
	if it.hi, err = s.value(); err != nil {
		return item{}, err
	}
	if it.hi < it.lo {
		hint := "split it into " + s.span(it.lo, s.field.last()) + "," + s.span(s.firstValue(), it.hi)
		if s.field == fieldWeekday && it.hi == 0 {
			hint = "Sunday begins the week; write " + s.span(it.lo, s.field.last()) + ",0, or " + s.span(it.lo, 7)
		}
		s.at = 0
		return item{}, s.fault(fmt.Sprintf("range %d-%d wraps around", it.lo, it.hi), hint)
	}
	return s.stepped(it)
}

func (s *scanner) firstValue() int {
	lo, _ := s.field.limits()
	return lo
}

func (s *scanner) span(lo, hi int) string {
	if lo == hi {
		return strconv.Itoa(lo)
	}
	return fmt.Sprintf("%d-%d", lo, hi)
}

// special reads nL and n#k.
func (s *scanner) special(it item) (item, error) {
	if s.field != fieldWeekday {
		if s.peek() == '#' {
			return item{}, s.fault("# is for day-of-week only", "write 5#2 there for the second Friday")
		}
		return item{}, s.fault("L after a number is for day-of-week only", "write 5L there for the last Friday, or L alone as day-of-month")
	}
	mark := s.peek()
	s.at++
	if mark != '#' {
		it.kind = itemLast
		return it, s.done()
	}
	it.kind = itemNth
	start := s.at
	n, err := s.number()
	if err != nil {
		return item{}, err
	}
	if n < 1 || n > 5 {
		s.at = start
		return item{}, s.fault(fmt.Sprintf("a month has no weekday number %d", n), "use #1 to #5, or L for the last")
	}
	it.nth = n
	return it, s.done()
}

// stepped reads an optional step and the end of the item.
func (s *scanner) stepped(it item) (item, error) {
	if s.peek() != '/' {
		return it, s.done()
	}
	s.at++
	start := s.at
	var err error
	if it.step, err = s.number(); err != nil {
		return item{}, err
	}
	if it.step == 0 {
		s.at = start
		return item{}, s.fault("step 0", "use a step of 1 or more")
	}
	return it, s.done()
}

// value reads a number within the limits of the field, or a name.
func (s *scanner) value() (int, error) {
	if isLetter(s.peek()) {
		return s.name()
	}
	start := s.at
	v, err := s.number()
	if err != nil {
		return 0, err
	}
	if lo, hi := s.field.limits(); v < lo || v > hi {
		hint := fmt.Sprintf("use %d-%d", lo, hi)
		switch {
		case s.field == fieldHour && v == 24:
			hint = "midnight is hour 0; " + hint
		case s.field == fieldWeekday:
			hint += ", where 0 and 7 are Sunday"
		}
		digits := s.text[start:s.at]
		if len(digits) > 10 {
			digits = "the number"
		}
		s.at = start
		return 0, s.fault(digits+" is out of range", hint)
	}
	return v, nil
}

// number reads digits. A number too long to matter is read as a large one.
func (s *scanner) number() (int, error) {
	start, n := s.at, 0
	for ; isDigit(s.peek()); s.at++ {
		n = min(n*10+int(s.peek()-'0'), 1_000_000_000)
	}
	if s.at > start {
		return n, nil
	}
	switch ch := s.peek(); ch {
	case 0:
		return 0, s.fault("number missing", "write one or more digits")
	case '+', '-':
		return 0, s.fault("sign "+strconv.QuoteRune(rune(ch)), "write the number without a sign")
	default:
		return 0, s.unexpected()
	}
}

// name reads a three-letter name.
func (s *scanner) name() (int, error) {
	start := s.at
	for isLetter(s.peek()) {
		s.at++
	}
	word := s.text[start:s.at]
	if s.field == fieldWeekday && len(word) == nameLength+1 && strings.EqualFold(word[nameLength:], "L") {
		word = word[:nameLength]
		s.at--
	}
	if v, ok := s.field.named(word); ok {
		return v, nil
	}
	s.at = start
	reason := "unknown word " + quote(word)
	switch upper := strings.ToUpper(word); upper {
	case "L":
		reason = "L is not allowed here"
	case "W", "LW", "H":
		reason = upper + " is not supported"
	}
	return 0, s.fault(reason, s.wordHint(word))
}

func (s *scanner) wordHint(word string) string {
	joined, _ := s.field.names()
	_, isMonth := fieldMonth.named(word)
	_, isWeekday := fieldWeekday.named(word)
	switch {
	case strings.EqualFold(word, "L"):
		return "L stands alone as day-of-month, for the last day, or after a weekday, as in 5L for the last Friday"
	case strings.EqualFold(word, "W"), strings.EqualFold(word, "LW"):
		return "there is no nearest weekday; use 1-5 as day-of-week for working days"
	case strings.EqualFold(word, "H"):
		return "use a number, and jitter to spread runs"
	case isMonth:
		return "names of months belong into the month field"
	case isWeekday:
		return "names of weekdays belong into the day-of-week field"
	case joined == "":
		lo, hi := s.field.limits()
		return fmt.Sprintf("this field takes numbers, %d-%d", lo, hi)
	}
	if len(word) > nameLength {
		if _, ok := s.field.named(word[:nameLength]); ok {
			return "use three letters: " + strings.ToLower(word[:nameLength])
		}
	}
	return "use a name of three letters, " + joined[:nameLength] + " to " + joined[len(joined)-nameLength:]
}

// done refuses anything left over.
func (s *scanner) done() error {
	switch s.peek() {
	case 0:
		return nil
	case 'W', 'w':
		return s.fault("W is not supported", s.wordHint("W"))
	default:
		return s.unexpected()
	}
}

func (s *scanner) unexpected() error {
	return s.fault("unexpected "+strconv.QuoteRune(rune(s.peek())), "write *, a number, a range a-b or a list, with an optional /step")
}

// peek returns the next byte of the item, or 0 at its end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) fault(reason, hint string) error {
	return &ParseError{Expr: s.expr, Field: s.field.String(), Position: s.col + s.at, Reason: reason, Hint: hint}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
