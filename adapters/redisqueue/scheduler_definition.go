package redisqueue

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
	"github.com/taktwork/takt/core/domain"
)

// Scheduler is a job scheduler of BullMQ: it makes one job after the other, in
// an interval or by a pattern. The next one is made as the one before is
// taken, by whatever worker takes it, of Node or of Takt.
type Scheduler struct {
	// ID names the scheduler in its queue. Up to three colons are allowed:
	// BullMQ 5 takes ids of five parts for something older.
	ID string
	// Every is the interval in whole milliseconds. Either it or Pattern is set.
	Every time.Duration
	// Pattern is a cron expression as the package pattern reads it. What
	// BullMQ 5 and 6 read differently is refused.
	Pattern string
	// Zone is the time zone of the pattern, an IANA name or utc. Empty is the
	// zone of whatever process plans a run, and it may be another each time.
	Zone string
	// Limit ends the scheduler after so many jobs; zero means no end. Count is
	// how many of them count as made before the first one.
	Limit, Count int
	// StartDate is when it begins, EndDate when it ends. The zero time means
	// at once, and never. An interval may make one job after its end.
	StartDate, EndDate time.Time
	// Offset is where in each interval since 1970 the runs are. Zero lets the
	// first run say it, which then is due at once. BullMQ 5.70 does not know
	// offsets when it makes a scheduler; its workers obey those that are there.
	Offset time.Duration
	// Immediately makes the first run of a pattern due at once. An interval
	// without Offset and StartDate begins at once anyway.
	Immediately bool
	// Template is what the jobs are made of.
	Template Template
}

// Template is what the jobs of a scheduler are made of.
type Template struct {
	// Name is their name; empty means the id of the scheduler.
	Name string
	// Data is their payload as JSON; empty means {}.
	Data []byte
	// Options are theirs. ID, Delay and Deduplication must not be set: a
	// scheduler has ids and times of its own, and never two jobs at once.
	Options domain.JobOptions
	// Extras are options that BullMQ alone has; Timestamp must not be set.
	Extras Extras
}

// SchedulerState is a scheduler as a queue holds it.
type SchedulerState struct {
	Scheduler

	// Next is when its next job is due, or was due last if it has ended.
	Next time.Time
	// Pending is the id of that job.
	Pending domain.JobID
	// Iterations counts the jobs it has made. It is zero for a repeatable job
	// of BullMQ 5 before its first run.
	Iterations int64
}

const (
	maxSchedulerID     = 256
	maxSchedulerColons = 3
	// shortestStamp is how many digits a time in ms has at least, this century.
	shortestStamp = 12
)

// validateSchedulerID reports what is wrong with an id for a new scheduler.
func validateSchedulerID(id string) error {
	switch {
	case id == "":
		return domain.Invalidf("scheduler id is empty")
	case len(id) > maxSchedulerID:
		return domain.Invalidf("scheduler id %s: is %d bytes long, at most %d are allowed", domain.Quote(id), len(id), maxSchedulerID)
	case !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl):
		return domain.Invalidf("scheduler id %s: has characters that do not print", domain.Quote(id))
	case strings.Count(id, ":") > maxSchedulerColons:
		return domain.Invalidf("scheduler id %s: has more than %d colons; BullMQ 5 takes it for a repeatable job of old", domain.Quote(id), maxSchedulerColons)
	}
	last := id[strings.LastIndexByte(id, ':')+1:]
	if len(last) < len(id) && len(last) >= shortestStamp && strings.Trim(last, "0123456789") == "" {
		return domain.Invalidf("scheduler id %s: ends like the id of a run; leave out the number", domain.Quote(id))
	}
	return nil
}

// validate reports what is wrong with the scheduler at the time now.
func (s *Scheduler) validate(now time.Time) error {
	if err := validateSchedulerID(s.ID); err != nil {
		return err
	}
	if err := s.validateTimes(); err != nil {
		return err
	}
	switch {
	case s.Limit < 0 || s.Count < 0 || s.Count > math.MaxInt32:
		return s.refuse("limit %d, count %d: neither may be negative, nor the count over %d", s.Limit, s.Count, math.MaxInt32)
	case s.Limit > 0 && s.Count >= s.Limit:
		return s.refuse("count %d leaves nothing of the limit %d", s.Count, s.Limit)
	case !s.EndDate.IsZero() && !s.EndDate.After(now):
		return s.refuse("EndDate %s is past", s.EndDate.Format(time.RFC3339))
	case !s.EndDate.IsZero() && s.EndDate.Before(s.StartDate):
		return s.refuse("EndDate %s is before StartDate", s.EndDate.Format(time.RFC3339))
	case s.Immediately && !s.StartDate.IsZero():
		return s.refuse("Immediately and StartDate exclude each other")
	}
	o := &s.Template.Options
	if o.ID != "" || o.Delay != 0 || o.Deduplication != (domain.Deduplication{}) {
		return s.refuse("ID, Delay and Deduplication are not for the jobs of schedulers")
	}
	if !s.Template.Extras.Timestamp.IsZero() {
		return s.refuse("Timestamp is not for the jobs of schedulers")
	}
	return nil
}

// validateTimes checks what says when the runs are.
func (s *Scheduler) validateTimes() error {
	switch {
	case s.Every == 0 && s.Pattern == "":
		return s.refuse("neither Every nor Pattern is set")
	case s.Every != 0 && s.Pattern != "":
		return s.refuse("Every and Pattern exclude each other")
	case s.Pattern != "" && s.Offset != 0:
		return s.refuse("Offset is for intervals; a pattern says itself when")
	case s.Pattern != "":
		if err := pattern.Check(s.Pattern, s.Zone); err != nil {
			return s.refuse("%v", err)
		}
	case s.Every < time.Millisecond || s.Every > maxJobDelay || s.Every%time.Millisecond != 0:
		return s.refuse("interval %s: whole milliseconds from 1ms to a hundred years are possible", s.Every)
	case s.Zone != "":
		return s.refuse("Zone is for patterns")
	case s.Immediately:
		return s.refuse("Immediately is for patterns; an interval without Offset and StartDate begins at once")
	case s.Offset < 0 || s.Offset >= s.Every || s.Offset%time.Millisecond != 0:
		return s.refuse("offset %s: whole milliseconds from 0 to less than the interval are possible", s.Offset)
	}
	return nil
}

func (s *Scheduler) refuse(format string, args ...any) error {
	return domain.Invalidf("scheduler "+domain.Quote(s.ID)+": "+format, args...)
}

// repeat returns what the options of its first job say about the scheduler.
func (s *Scheduler) repeat() pattern.Repeat {
	return pattern.Repeat{
		Pattern: s.Pattern, Every: s.Every.Milliseconds(), TZ: s.Zone, Limited: s.Limit > 0, Limit: int64(s.Limit),
		StartDate: millisOf(s.StartDate), EndDate: millisOf(s.EndDate), Offset: s.Offset.Milliseconds(),
	}
}

// millisOf returns the time in ms, zero for none.
func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fields returns the hash of the scheduler, without what the script adds. The
// name of its jobs comes first.
func (s *Scheduler) fields(options string) []string {
	fields := []string{"name", s.Template.Name}
	add := func(name, value string) {
		if value != "" && value != "0" {
			fields = append(fields, name, value)
		}
	}
	add("pattern", s.Pattern)
	add("every", strconv.FormatInt(s.Every.Milliseconds(), 10))
	add("tz", s.Zone)
	add("limit", strconv.Itoa(s.Limit))
	add("startDate", strconv.FormatInt(millisOf(s.StartDate), 10))
	add("endDate", strconv.FormatInt(millisOf(s.EndDate), 10))
	if data := dataText(s.Template.Data); data != "{}" {
		fields = append(fields, "data", data)
	}
	if options != "{}" {
		fields = append(fields, "opts", options)
	}
	return fields
}

// repeatJSON writes the object repeat of the first job's options.
func (s *Scheduler) repeatJSON() string {
	repeat := map[string]any{"count": s.Count + 1}
	add := func(name string, value any, some bool) {
		if some {
			repeat[name] = value
		}
	}
	add("pattern", s.Pattern, s.Pattern != "")
	add("every", s.Every.Milliseconds(), s.Every != 0)
	add("tz", s.Zone, s.Zone != "")
	add("limit", s.Limit, s.Limit != 0)
	add("offset", s.Offset.Milliseconds(), s.Offset != 0)
	add("startDate", millisOf(s.StartDate), !s.StartDate.IsZero())
	add("endDate", millisOf(s.EndDate), !s.EndDate.IsZero())
	text, err := json.Marshal(repeat)
	if err != nil {
		// Texts and numbers always are JSON.
		panic(err)
	}
	return string(text)
}
