package pattern

import (
	"fmt"
	"strings"
)

// Check reports why a pattern is not for new schedulers, or nil: because Parse
// refuses it, or because the versions 4.9 and 5.10 of cron-parser, those of
// BullMQ 5 and 6, do not read the text alike, so that its runs would depend on
// who plans them. The error names the field and says what both read alike.
// What is left are changes of the clock (package documentation).
func Check(expression, zone string) error {
	p, err := Parse(expression, zone)
	if err != nil {
		return err
	}
	if strings.HasPrefix(expression, "@") && !isOldNickname(expression) {
		return fmt.Errorf("pattern: %s is known to BullMQ 6 alone; write %s", expression, nickname(expression))
	}
	texts, err := split(expression)
	if err != nil {
		return err
	}
	fields := [6]*field{&p.second, &p.minute, &p.hour, &p.days.ofMonth, &p.days.month, &p.days.ofWeek}
	for i, k := range kinds() {
		if problem := k.disputed(fields[i], texts[i]); problem != "" {
			return k.refuse(texts[i], problem)
		}
	}
	return p.days.disputed(&texts)
}

func isOldNickname(expression string) bool {
	switch expression {
	case "@yearly", "@monthly", "@weekly", "@daily", "@hourly":
		return true
	}
	return false
}

// disputed returns what the versions do not read alike in a field by itself.
func (k *kind) disputed(f *field, text string) (problem string) {
	switch {
	case strings.Contains(text, "?") && !strings.HasPrefix(k.name, "day"):
		return "BullMQ 5 takes ? for days alone; write *"
	case f.twice > 0:
		return fmt.Sprintf("it lists %d twice, which BullMQ 6 refuses; list it once", f.twice-1)
	case f.overshot:
		return "its step passes over the Sunday at its end, which BullMQ 5 takes in and BullMQ 6 does not; list the days"
	}
	return ""
}

// disputed reports what the versions do not read alike in the two day fields
// together.
func (d *days) disputed(texts *[6]string) error {
	all := kinds()
	ofMonth, ofWeek := all[3], all[5]
	anyOfMonth, anyOfWeek := isAny(texts[3]), isAny(texts[5])
	switch {
	case anyOfMonth && anyOfWeek:
		return nil
	case d.nth > 0 && !anyOfMonth:
		return ofWeek.refuse(texts[5], "beside a day of month BullMQ 5 takes # for a week that both must lie in; write two patterns")
	case !anyOfMonth && d.listsAllDays() && !anyOfWeek:
		return ofMonth.refuse(texts[3], "it lists all days, which BullMQ 6 takes for a restriction beside the day of week; write *")
	case !anyOfWeek && d.anyWeekday() && !anyOfMonth:
		return ofWeek.refuse(texts[5], "it lists all days, which BullMQ 6 takes for a restriction beside the day of month; write *")
	case d.dropped && !anyOfWeek:
		return ofMonth.refuse(texts[3], "the month has no such day, which BullMQ 5 refuses beside a day of week; leave it out")
	}
	return nil
}

// isAny tells whether a day field is written as one that restricts nothing.
func isAny(text string) bool { return text == "*" || text == "?" }

// listsAllDays tells whether the days of month are all that some month has
// that the pattern selects.
func (d *days) listsAllDays() bool {
	for month := 1; month <= 12; month++ {
		if d.month.has(month) && d.anyDay(month) {
			return true
		}
	}
	return false
}
