package schedule

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxExprLength is the length in bytes of the longest expression accepted.
const MaxExprLength = 256

// ParseCron reads a cron expression of five fields, or six with leading
// seconds, and the name of the time zone it is meant in; no zone is UTC. Fields
// are separated by blanks or tabs. The error is a *ParseError. An expression
// that can never fire is an error as well.
//
// To read many expressions, a Parser saves reading the same zone twice.
func ParseCron(expr, zone string) (*Cron, error) {
	var p Parser
	return p.Cron(expr, zone)
}

// Parser parses cron expressions and remembers what it has parsed, so that jobs
// with the same schedule share one value. It is meant for start-up, when the
// jobs are registered: it grows with the number of distinct schedules. The zero
// value is ready. A Parser is not safe for concurrent use.
type Parser struct {
	zones map[string]zoneResult
	crons map[[2]string]*Cron
}

// Cron is ParseCron with a memory.
func (p *Parser) Cron(expr, zone string) (*Cron, error) {
	key := [2]string{expr, zone}
	if c, ok := p.crons[key]; ok {
		return c, nil
	}
	c := &Cron{expr: expr}
	if err := c.parse(); err != nil {
		return nil, err
	}
	if err := p.locate(c, zone); err != nil {
		return nil, err
	}
	if p.crons == nil {
		p.crons = make(map[[2]string]*Cron)
	}
	p.crons[key] = c
	return c, nil
}

// token is a field as written, with its column.
type token struct {
	text string
	col  int
}

func (c *Cron) parse() error {
	body, err := c.expand()
	if err != nil {
		return err
	}
	tokens, n := split(body)
	if n != 5 && n != 6 {
		return c.wrongCount(n, tokens)
	}
	fields := [fieldCount]token{{text: "0"}}
	copy(fields[int(fieldCount)-n:], tokens[:n])
	for f, t := range fields {
		if err := c.parseField(field(f), t); err != nil {
			return err
		}
	}
	c.calendar.seal()
	if !c.calendar.fires() {
		return &ParseError{
			Expr: c.expr, Field: fieldDay.String(), Position: fields[fieldDay].col,
			Reason: "never fires: no month of the list has such a day",
			Hint:   "check day-of-month against month, or use L for the last day",
		}
	}
	return nil
}

// expand checks the expression as a whole and resolves a preset.
func (c *Cron) expand() (string, error) {
	if len(c.expr) > MaxExprLength {
		return "", c.fault(0, fmt.Sprintf("longer than %d bytes", MaxExprLength), "split it into several jobs")
	}
	col := 0
	for i, r := range c.expr {
		col++
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(c.expr[i:]); size == 1 {
				return "", c.fault(col, "not valid UTF-8", "use ASCII characters only")
			}
		}
		if r > '~' || r < ' ' && r != '\t' {
			return "", c.fault(col, fmt.Sprintf("character %q (%U) is not allowed", r, r),
				"use ASCII digits, letters and * , - / ? # only, separated by blanks or tabs")
		}
	}
	body := strings.Trim(c.expr, " \t")
	at := strings.Index(c.expr, body) + 1
	lower := strings.ToLower(body)
	switch {
	case body == "":
		return "", c.fault(0, "empty", "write five or six fields, or leave the schedule out for a manual job")
	case strings.HasPrefix(lower, "tz="), strings.HasPrefix(lower, "cron_tz="):
		return "", c.fault(at, "a zone prefix is not part of the expression", "set the zone of the job instead")
	case lower[0] == '@':
		return c.preset(lower, at)
	}
	return c.expr, nil
}

// preset returns the fields a preset stands for.
func (c *Cron) preset(name string, at int) (string, error) {
	switch name {
	case "@yearly", "@annually":
		return "0 0 1 1 *", nil
	case "@monthly":
		return "0 0 1 * *", nil
	case "@weekly":
		return "0 0 * * 0", nil
	case "@daily":
		return "0 0 * * *", nil
	case "@hourly":
		return "0 * * * *", nil
	case "@minutely":
		return "* * * * *", nil
	case "@secondly":
		return "* * * * * *", nil
	case "@weekdays":
		return "0 0 * * 1-5", nil
	case "@weekends":
		return "0 0 * * 0,6", nil
	}
	hint := "use @yearly, @annually, @monthly, @weekly, @daily, @hourly, @minutely, @secondly, @weekdays or @weekends"
	switch {
	case strings.HasPrefix(name, "@every"):
		hint = "give the job an interval instead"
	case name == "@reboot":
		hint = "set the job to run on start instead"
	case name == "@midnight":
		hint = "use @daily"
	}
	return "", c.fault(at, "unknown preset "+quote(name), hint)
}

// split cuts at blanks and tabs. It counts every field but keeps at most seven.
func split(s string) (tokens [fieldCount + 1]token, n int) {
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		end := i + strings.IndexAny(s[i:]+" ", " \t")
		if n < len(tokens) {
			tokens[n] = token{text: s[i:end], col: i + 1}
		}
		n++
		i = end
	}
	return tokens, n
}

func (c *Cron) wrongCount(n int, tokens [fieldCount + 1]token) error {
	hint := "write minute hour day-of-month month day-of-week, with the second in front if needed"
	switch {
	case n > int(fieldCount):
		return c.fault(tokens[fieldCount].col, fmt.Sprintf("%d fields", n), hint+"; there is no field for the year")
	case n == 1:
		return c.fault(tokens[0].col, "1 field", hint)
	default:
		return c.fault(tokens[0].col, fmt.Sprintf("%d fields", n), hint)
	}
}

// fault is an error about the expression as a whole.
func (c *Cron) fault(col int, reason, hint string) error {
	return &ParseError{Expr: c.expr, Field: nameExpression, Position: col, Reason: reason, Hint: hint}
}

// parseField adds the values of a field, a list of items, to the calendar.
func (c *Cron) parseField(f field, t token) error {
	s := scanner{expr: c.expr, field: f, col: t.col, whole: t.text}
	for rest, more := t.text, true; more; {
		s.text, rest, more = strings.Cut(rest, ",")
		s.at = 0
		it, err := s.item()
		if err != nil {
			return err
		}
		if it.step > it.hi-it.lo && it.step > 1 && it.hi > it.lo {
			c.warnings = append(c.warnings, fmt.Sprintf("%s at column %d: step %d is wider than the range: only %d is used",
				f, s.col, it.step, it.lo))
		}
		c.calendar.add(f, it)
		s.col += len(s.text) + 1
	}
	return nil
}

// add puts the values of an item into the set of its field.
func (c *calendar) add(f field, it item) {
	if f == fieldWeekday {
		c.addWeekday(it)
		return
	}
	if it.kind == itemLast {
		c.lastDay = true
		return
	}
	set := [...]*uint64{&c.seconds, &c.minutes, &c.hours, &c.days, &c.months}[f]
	for v := it.lo; v <= it.hi; v += it.step {
		*set |= 1 << v
	}
}

func (c *calendar) addWeekday(it item) {
	switch it.kind {
	case itemLast:
		c.lastWeekdays |= 1 << (it.lo % 7)
	case itemNth:
		c.nth[it.nth-1] |= 1 << (it.lo % 7)
	case itemRange:
		for v := it.lo; v <= it.hi; v += it.step {
			c.weekdays |= 1 << (v % 7)
		}
	}
}
