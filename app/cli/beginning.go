package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// window is a flag: how far to look. Whole days of it are counted by the
// calendar where that is known.
type window struct {
	duration

	days int
}

// Set reads the flag.
func (w *window) Set(text string) error {
	w.days = 0
	if err := w.duration.Set(text); err != nil {
		return err
	}
	if strings.HasSuffix(text, "d") {
		w.days = int(time.Duration(w.duration) / day)
	}
	return nil
}

// beginning is when a plan begins: after an instant, or with a day, which each
// zone begins at another instant.
type beginning struct {
	at time.Time
	// zone is that of jobs without one; at is midnight there of a day.
	zone *time.Location
	day  bool
}

var errInstant = errors.New("want RFC 3339 (2026-03-29T01:00:00Z), or a local date or time (2026-03-29, 2026-03-29T01:00)")

// beginning reads --from, now if it is empty.
func (s *session) beginning(text string, zone *time.Location) (beginning, error) {
	if text == "" {
		return beginning{at: s.now(), zone: zone}, nil
	}
	return parseBeginning("from", text, zone)
}

// parseBeginning reads a flag's time; without an offset it is local to the zone.
func parseBeginning(flag, text string, zone *time.Location) (beginning, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return beginning{at: at, zone: zone}, nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return beginning{at: at, zone: zone, day: true}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return beginning{at: at, zone: zone}, nil
		}
	}
	return beginning{}, &exitError{code: ExitBadData, err: fmt.Errorf("--%s %s: %w", flag, domain.Quote(text), errInstant)}
}

// instant returns the instant itself; a day's is its first in its zone.
func (b beginning) instant() time.Time {
	if b.day {
		return startOfDay(b.at, b.zone)
	}
	return b.at
}

// bounds returns the instant after which ticks of the zone are shown, and the
// first one at which they no longer are; zero means that there is none.
func (b beginning) bounds(zone *time.Location, w window) (after, until time.Time) {
	if zone == nil {
		zone = b.zone
	}
	span := time.Duration(w.duration)
	if !b.day {
		if span > 0 {
			until = b.at.Add(span + time.Nanosecond)
		}
		return b.at, until
	}
	begin := startOfDay(b.at, zone)
	switch {
	case w.days > 0:
		until = startOfDay(b.at.AddDate(0, 0, w.days), zone)
	case span > 0:
		until = begin.Add(span)
	}
	return begin.Add(-time.Nanosecond), until
}

// startOfDay returns the first instant of date's day in the zone. Midnight is
// skipped, or comes twice, where the clocks change at it.
func startOfDay(date time.Time, zone *time.Location) time.Time {
	year, month, dayOfMonth := date.Date()
	at := time.Date(year, month, dayOfMonth, 0, 0, 0, 0, zone)
	if at.Day() != dayOfMonth {
		_, at = at.ZoneBounds()
		return at
	}
	changed, _ := at.ZoneBounds()
	if changed.IsZero() {
		return at
	}
	_, now := at.Zone()
	_, before := changed.Add(-time.Nanosecond).Zone()
	if first := at.Add(time.Duration(now-before) * time.Second); first.Before(changed) && first.Day() == dayOfMonth {
		return first
	}
	return at
}
