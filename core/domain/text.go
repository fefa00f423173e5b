package domain

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of the texts that a failure leaves behind, in bytes.
const (
	MaxReason = 4 << 10
	MaxStack  = 16 << 10
)

const maxQuoted = 64

// Quote returns s as a Go string literal of at most 64 characters of s, fit
// for logs and messages: control characters and terminal escapes are escaped.
func Quote(s string) string {
	if utf8.RuneCountInString(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	return strconv.Quote(string([]rune(s)[:maxQuoted])) + "…"
}

// CleanText returns s as valid UTF-8 without NUL, cut to limit bytes at a
// character boundary. Stores refuse anything else, and the write of a failure
// must never fail because of what the failure says.
func CleanText(s string, limit int) string {
	if len(s) > limit {
		// A copy, so that the rest of a long text is not kept alive with it.
		// What is cut of a character goes with what is not UTF-8.
		s = strings.Clone(s[:max(limit, 0)])
	}
	s = strings.ToValidUTF8(s, "")
	return strings.ReplaceAll(s, "\x00", "")
}
