package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// console is a slog.Handler for people: time, level, message, key=value, one
// record a line.
type console struct {
	level  slog.Leveler
	colour bool
	// prefix are the groups, each with a dot; attrs what With added.
	prefix string
	attrs  string

	mu *sync.Mutex
	to io.Writer
}

func newConsole(to io.Writer, level slog.Leveler) *console {
	return &console{level: level, mu: &sync.Mutex{}, to: to}
}

// withColour returns a console that colours levels and dims keys.
func (c *console) withColour() *console {
	coloured := *c
	coloured.colour = true
	return &coloured
}

// Enabled tells whether records of the level are written.
func (c *console) Enabled(_ context.Context, level slog.Level) bool { return level >= c.level.Level() }

// Handle writes the record. An error of the write ends no worker.
func (c *console) Handle(_ context.Context, record slog.Record) error {
	var line strings.Builder
	if !record.Time.IsZero() {
		line.WriteString(c.paint(dim, record.Time.Format("15:04:05.000")) + " ")
	}
	line.WriteString(c.paint(colourOf(record.Level), fmt.Sprintf("%-5s", record.Level)) + " ")
	line.WriteString(printable(record.Message) + c.attrs)
	record.Attrs(func(attr slog.Attr) bool {
		c.append(&line, c.prefix, attr)
		return true
	})
	line.WriteByte('\n')
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c.to, line.String())
	return err
}

// WithAttrs returns a console that adds the attributes to each record.
func (c *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *c
	var text strings.Builder
	for _, attr := range attrs {
		c.append(&text, c.prefix, attr)
	}
	with.attrs += text.String()
	return &with
}

// WithGroup returns a console that puts the name before later keys.
func (c *console) WithGroup(name string) slog.Handler {
	if name == "" {
		return c
	}
	with := *c
	with.prefix += name + "."
	return &with
}

func (c *console) append(line *strings.Builder, prefix string, attr slog.Attr) {
	value := attr.Value.Resolve()
	if attr.Key == "" && value.Kind() != slog.KindGroup || attr.Equal(slog.Attr{}) {
		return
	}
	if value.Kind() != slog.KindGroup {
		line.WriteString(" " + c.paint(dim, bare(prefix+attr.Key)+"=") + text(value))
		return
	}
	if attr.Key != "" {
		prefix += attr.Key + "."
	}
	for _, member := range value.Group() {
		c.append(line, prefix, member)
	}
}

func text(value slog.Value) string {
	if value.Kind() == slog.KindTime {
		return value.Time().Format("2006-01-02T15:04:05.999Z07:00")
	}
	return bare(value.String())
}

// bare quotes what would not be read as one word.
func bare(word string) string {
	if word == "" || strings.ContainsAny(word, " =\"") || printable(word) != word {
		return strconv.Quote(word)
	}
	return word
}

// The escapes of a terminal.
const (
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

func (c *console) paint(escape, word string) string {
	if !c.colour || escape == "" {
		return word
	}
	return escape + word + plain
}

func colourOf(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return red
	case level >= slog.LevelWarn:
		return yellow
	case level >= slog.LevelInfo:
		return green
	}
	return dim
}

// The forms of the log.
const (
	logAuto = "auto"
	logText = "text"
	logJSON = "json"
)

// logForm is the flag that chooses the form.
type logForm string

// String is the flag's text.
func (f *logForm) String() string { return string(*f) }

// Type is what help calls the value.
func (f *logForm) Type() string { return "form" }

// Set reads the flag.
func (f *logForm) Set(form string) error {
	if !slices.Contains([]string{logAuto, logText, logJSON}, form) {
		return fmt.Errorf("want %s, %s or %s", logAuto, logText, logJSON)
	}
	*f = logForm(form)
	return nil
}

// human tells whether people read the log.
func (s *session) human(form logForm) bool {
	return form == logText || form == logAuto && s.terminal
}

func (s *session) logger(form logForm, level slog.Level) *slog.Logger {
	if !s.human(form) {
		return slog.New(slog.NewJSONHandler(s.stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: utcTime}))
	}
	handler := newConsole(s.stderr, level)
	if s.colour() {
		handler = handler.withColour()
	}
	return slog.New(handler)
}

// utcTime has replicas in different zones log comparable times.
func utcTime(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey && attr.Value.Kind() == slog.KindTime {
		attr.Value = slog.TimeValue(attr.Value.Time().UTC().Truncate(time.Microsecond))
	}
	return attr
}
