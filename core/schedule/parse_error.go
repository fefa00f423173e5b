package schedule

import (
	"strconv"
	"strings"
)

// ParseError says what is wrong with a cron expression or its zone, and where.
type ParseError struct {
	// Expr is the expression, as given.
	Expr string
	// Field is "second", "minute", "hour", "day-of-month", "month",
	// "day-of-week", "zone", or "expression" for the expression as a whole.
	Field string
	// Position is the column of the fault in Expr, counted in characters from
	// 1. It is zero when the fault has no place in the expression.
	Position int
	// Reason says what is wrong, Hint what would be right.
	Reason, Hint string
}

// Error returns one line that names the expression, the field, the column, what
// is wrong and what would be right.
func (e *ParseError) Error() string {
	var b strings.Builder
	b.WriteString("cron " + quote(e.Expr) + ": " + e.Field)
	if e.Position > 0 {
		b.WriteString(" at column " + strconv.Itoa(e.Position))
	}
	b.WriteString(": " + e.Reason)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// quote quotes input for a message, with a bound on its length.
func quote(s string) string {
	const most = 64
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
}
