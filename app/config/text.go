package config

import (
	"errors"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// directory accepts absolute paths.
func directory() rule {
	return rule{
		expected: "an absolute path",
		canonical: func(value string) (string, error) {
			switch {
			case !printable(value):
				return "", errors.New("control characters or invalid UTF-8 in a path")
			case !filepath.IsAbs(value):
				return "", errors.New("not an absolute path")
			}
			return filepath.Clean(value), nil
		},
	}
}

// cronExpression checks the outer shape; the caller's parser, if it gave one,
// judges the fields.
func cronExpression() rule {
	return rule{
		expected: "a cron expression of 5 or 6 fields",
		canonical: func(value string) (string, error) {
			if !printable(value) {
				return "", errors.New("control characters or invalid UTF-8 in a cron expression")
			}
			if fields := len(strings.Fields(value)); fields != 5 && fields != 6 {
				return "", errors.New("not 5 or 6 fields")
			}
			return strings.TrimSpace(value), nil
		},
	}
}

func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
