package cli

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taktwork/takt/app"
)

// printCalendar prints the plan as RFC 5545 has it: an event of no length for
// each tick. A calendar without an event is not valid, so none is printed.
func (s *session) printCalendar(v *view) {
	if len(v.ticks) == 0 {
		return
	}
	c := calendar{stamp: s.now(), title: v.title}
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//Takt//worker plan//EN")
	c.line("CALSCALE", "GREGORIAN")
	for _, tick := range v.ticks {
		c.event(tick)
	}
	c.line("END", "VCALENDAR")
	s.printf("%s", c.text.String())
}

type calendar struct {
	text  strings.Builder
	stamp time.Time
	title string
}

func (c *calendar) event(tick app.PlannedTick) {
	name := tick.Job
	if c.title != "" {
		name = c.title
	}
	description := tick.At.Format(localLayout(tick.At)+" -07:00 ") + tick.At.Location().String()
	if tick.Note != "" {
		description += "\n" + tick.Note
	}
	c.line("BEGIN", "VEVENT")
	c.line("UID", escapeText(strings.Join(strings.Fields(name), "_")+"@"+strconv.FormatInt(tick.At.UnixMilli(), 10)+".takt"))
	c.line("DTSTAMP", icalTime(c.stamp))
	c.line("DTSTART", icalTime(tick.At))
	c.line("SUMMARY", escapeText(name))
	c.line("DESCRIPTION", escapeText(description))
	c.line("TRANSP", "TRANSPARENT")
	c.line("END", "VEVENT")
}

func icalTime(at time.Time) string { return at.UTC().Format("20060102T150405Z") }

// escapeText escapes a value of the type TEXT.
func escapeText(text string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(printableText(text))
}

// line writes a content line, folded so that no line has more than 75 octets
// and no character is broken.
func (c *calendar) line(name, value string) {
	const most = 75
	room := most
	for rest := name + ":" + value; ; {
		cut := len(rest)
		if cut > room {
			cut = room
			for !utf8.RuneStart(rest[cut]) {
				cut--
			}
		}
		c.text.WriteString(rest[:cut] + "\r\n")
		if rest = rest[cut:]; rest == "" {
			return
		}
		c.text.WriteByte(' ')
		room = most - 1
	}
}
