package pattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Repeat is what the options of a job say about the job scheduler that it
// comes from. Times are milliseconds since 1970.
type Repeat struct {
	// Pattern or Every, in milliseconds, is set; not both.
	Pattern string
	Every   int64
	// TZ is the zone of the pattern.
	TZ string
	// Limited tells that no job is made beyond the one numbered Limit.
	Limited bool
	Limit   int64
	// StartDate and EndDate bound the runs of a pattern; zero means no bound.
	StartDate, EndDate int64
	// Offset is where in each interval the runs of Every lie.
	Offset int64
	// NthWeekday is which of a pattern's weekdays in the month it is, as # says
	// it in a pattern; zero means any. BullMQ 5 knows it as nthDayOfWeek.
	NthWeekday int64
	// Count is the number of the job, from one on.
	Count int64
}

// UnmarshalJSON reads the object repeat of a job's options. It takes numbers
// as text, too, and dates as numbers or in ISO 8601. What else it does not
// understand is an error, or left out where BullMQ goes on as if it were not
// there.
func (r *Repeat) UnmarshalJSON(text []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil {
		return fmt.Errorf("repeat: %w", err)
	}
	var err error
	read := Repeat{}
	texts := func(into *string, key string) {
		if raw := given[key]; len(raw) > 0 {
			err = errors.Join(err, named(key, json.Unmarshal(raw, into)))
		}
	}
	// Before BullMQ 4 a pattern was called cron.
	texts(&read.Pattern, "cron")
	texts(&read.Pattern, "pattern")
	texts(&read.TZ, "tz")
	var utc bool
	if json.Unmarshal(given["utc"], &utc) == nil && utc {
		read.TZ = "utc"
	}
	dates := func(into *int64, key string) {
		date, problem := dateOf(given[key])
		*into, err = date, errors.Join(err, named(key, problem))
	}
	dates(&read.StartDate, "startDate")
	dates(&read.EndDate, "endDate")
	read.Every, _ = numberOf(given["every"])
	read.Limit, read.Limited = numberOf(given["limit"])
	read.Offset, _ = numberOf(given["offset"])
	read.Count, _ = numberOf(given["count"])
	read.NthWeekday, _ = numberOf(given["nthDayOfWeek"])
	if err != nil {
		return err
	}
	*r = read
	return nil
}

func named(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("repeat: %s: %w", key, err)
}

// numberOf reads a number, of which it drops the fraction, within what an
// instant may be.
func numberOf(raw json.RawMessage) (n int64, ok bool) {
	f, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsNaN(f) {
		return 0, false
	}
	return int64(min(max(f, -latest), latest)), true
}

// dateOf reads a date; null, zero and nothing are none.
func dateOf(raw json.RawMessage) (int64, error) {
	var text string
	n, isNumber := numberOf(raw)
	if isNumber || len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &text) == nil && text == "" {
		return n, nil
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), nil
		}
	}
	// As in JavaScript, a time of day without offset is local.
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, errors.New("it is no date")
}

// NextRun returns for when a worker plans the next job of a scheduler when it
// fetches one at the time now that was planned for prevMillis, or zero if that
// is not known. It returns false if no job follows. Missed runs are not made
// up for. An error says that the repeat cannot be understood, so that the
// schedule would end here.
func NextRun(repeat Repeat, prevMillis, now int64) (next int64, ok bool, err error) {
	prevMillis = min(max(prevMillis, -latest), latest)
	switch {
	case repeat.Pattern == "" && repeat.Every <= 0:
		return 0, false, errors.New("repeat: there is neither a pattern nor a positive interval")
	case repeat.Pattern != "" && repeat.Every > 0:
		return 0, false, errors.New("repeat: there are a pattern and an interval")
	case repeat.Limited && max(repeat.Count, 0)+1 > repeat.Limit:
		return 0, false, nil
	case repeat.EndDate != 0 && now > repeat.EndDate:
		return 0, false, nil
	case repeat.Every > 0:
		return nextEvery(&repeat, prevMillis, now), true, nil
	}
	p, err := Parse(repeat.Pattern, repeat.TZ)
	if err != nil {
		return 0, false, err
	}
	if p.days.nth == 0 && repeat.NthWeekday >= 1 && repeat.NthWeekday <= 5 {
		p.days.nth = int(repeat.NthWeekday)
	}
	match, found := p.Next(time.UnixMilli(max(prevMillis, now, repeat.StartDate)))
	if !found || repeat.EndDate != 0 && match.UnixMilli() > repeat.EndDate {
		return 0, false, nil
	}
	return match.UnixMilli(), true, nil
}

// nextEvery keeps to the grid of the interval: when runs were missed, the next
// is the first one on it that lies ahead. EndDate does not count here.
func nextEvery(r *Repeat, prevMillis, now int64) int64 {
	slot := floor(now, r.Every) + r.Offset
	if slot <= now {
		slot += r.Every
	}
	switch {
	case prevMillis != 0 && prevMillis+r.Every >= now:
		return prevMillis + r.Every
	case prevMillis != 0 || r.Offset > 0 && r.StartDate == 0:
		return slot
	}
	return max(now, r.StartDate)
}
