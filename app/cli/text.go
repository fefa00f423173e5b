package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
)

// printable returns the text as it is if a terminal can show it, and quoted
// otherwise: names and values come from files, arguments and the wire.
func printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	return strconv.Quote(text)
}

// printableText escapes what a terminal would obey, and keeps the lines.
func printableText(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if quoted := printable(line); quoted != line {
			lines[i] = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
		}
	}
	return strings.Join(lines, "\n")
}

// complain prints an error. Reports of mistakes are printed line by line, as
// they are, and counted.
func (s *session) complain(err error) {
	if err == nil || err.Error() == "" {
		return
	}
	text := printableText(err.Error())
	if mistakes := mistakesIn(err); mistakes > 0 {
		consequence := ""
		if s.starting {
			consequence = "; nothing was started"
		}
		s.note("%s", text)
		s.say("%s%s", plural(mistakes, "mistake"), consequence)
		return
	}
	s.say("%s", text)
}

func mistakesIn(err error) int {
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		return len(invalid.Problems)
	}
	if wrong, ok := errors.AsType[*app.RegistrationError](err); ok {
		return len(wrong.Problems)
	}
	return 0
}

// note prints a line on stderr.
func (s *session) note(format string, args ...any) {
	_, _ = fmt.Fprintf(s.stderr, format+"\n", args...)
}

// say prints a line on stderr, in the name of the program.
func (s *session) say(format string, args ...any) {
	s.note("%s: %s", printable(s.name), fmt.Sprintf(format, args...))
}

func (s *session) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...)
}

// printJSON prints a value for programs.
func (s *session) printJSON(value any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printJSONLine prints a value for programs that read line by line.
func (s *session) printJSONLine(value any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// table prints rows in columns. No cell ends in blanks, the last is as long
// as it likes.
func table(to io.Writer, rows [][]string) {
	const gap = 2
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, gap, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	_ = columns.Flush()
	for line := range strings.Lines(text.String()) {
		_, _ = fmt.Fprintln(to, strings.TrimRight(line, " \n"))
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// orDash keeps the columns of a table visible.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}
