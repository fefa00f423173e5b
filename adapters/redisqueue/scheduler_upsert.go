package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
	"github.com/taktwork/takt/core/domain"
)

var (
	// ErrRunExists says that a scheduler's run of that very millisecond is
	// there already, finished or being worked: BullMQ's code -10.
	ErrRunExists = errors.New("the run is there already")
	// ErrSlotsBusy says that the next slots of an interval have runs already:
	// BullMQ's code -11.
	ErrSlotsBusy = errors.New("the next slots have runs already")
)

// UpsertScheduler makes the scheduler, or changes the one of that id, and
// plans its next run, all in one step. It returns what the queue then holds.
//
// A run that waits for its time, or for a worker, is replaced, and keeps its
// time if the interval stays the same; a run that is being worked goes on
// beside the new one. The count of iterations goes on. Nothing is changed by
// a call that fails, with [domain.ErrInvalid] for what cannot be scheduled, a
// pattern without a match until EndDate for instance, with
// [domain.ErrTooLarge], [ErrRunExists] or [ErrSlotsBusy].
func (q *Queue) UpsertScheduler(ctx context.Context, s Scheduler) (SchedulerState, error) {
	state, err := q.upsertScheduler(ctx, s)
	if err != nil {
		return SchedulerState{}, fmt.Errorf("upsert scheduler: %w", err)
	}
	return state, nil
}

func (q *Queue) upsertScheduler(ctx context.Context, s Scheduler) (SchedulerState, error) {
	now := q.backend.config.Now()
	if err := s.validate(now); err != nil {
		return SchedulerState{}, err
	}
	if s.Template.Name == "" {
		s.Template.Name = s.ID
	}
	if string(s.Template.Data) == "null" {
		// As Node does.
		s.Template.Data = nil
	}
	job := domain.NewJob{Queue: q.name, Name: s.Template.Name, Data: s.Template.Data, Options: s.Template.Options}
	if err := q.backend.checkExtra(&job, &s.Template.Extras); err != nil {
		return SchedulerState{}, fmt.Errorf("scheduler %s: %w", domain.Quote(s.ID), err)
	}
	moment, err := s.firstMatch(now)
	if err != nil {
		return SchedulerState{}, err
	}
	args := q.upsertArgs(&s, moment)
	reply, err := q.backend.numbered(ctx, scriptNamed("scheduler_upsert"), []string{"", q.base + "meta", q.base + "repeat"}, args)
	if err != nil {
		return SchedulerState{}, ended(ctx, err)
	}
	return s.readUpserted(reply)
}

// firstMatch returns when the pattern matches first, as text; empty for at
// once, and for intervals, whose moments the script knows.
func (s *Scheduler) firstMatch(now time.Time) (string, error) {
	if s.Pattern == "" || s.Immediately {
		return "", nil
	}
	next, more, err := pattern.NextRun(s.repeat(), 0, now.UnixMilli())
	switch {
	case err != nil:
		return "", s.refuse("%v", err)
	case !more && !s.EndDate.IsZero():
		return "", s.refuse("pattern %s does not match until %s", domain.Quote(s.Pattern), s.EndDate.Format(time.RFC3339))
	case !more:
		return "", s.refuse("pattern %s never matches", domain.Quote(s.Pattern))
	}
	return strconv.FormatInt(next, 10), nil
}

// upsertArgs returns the arguments of scheduler_upsert.lua.
func (q *Queue) upsertArgs(s *Scheduler, moment string) []any {
	options := templateOptions(&s.Template)
	head := strings.TrimSuffix(options, "}")
	if options != "{}" {
		head += ","
	}
	head += `"repeatJobKey":` + string(quoteJSON(s.ID)) + `,"repeat":` + s.repeatJSON() + ","
	priority, lifo := strconv.Itoa(s.Template.Options.Priority), ""
	if s.Template.Options.LIFO {
		lifo = "1"
	}
	args := []any{
		"", q.base, string(q.backend.config.Profile), s.ID, optionalNumber(s.Every.Milliseconds()), moment,
		optionalNumber(s.Offset.Milliseconds()), optionalNumber(millisOf(s.StartDate)), dataText(s.Template.Data), head, priority, lifo,
	}
	for _, field := range s.fields(options) {
		args = append(args, field)
	}
	return args
}

// optionalNumber writes a number, none if it is zero.
func optionalNumber(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// templateOptions writes the options as a scheduler holds them: those alone
// that are set.
func templateOptions(t *Template) string {
	text := encodeWith(&t.Options, &t.Extras, nil)
	if t.Options.Attempts == 0 {
		text = strings.Replace(strings.Replace(text, `{"attempts":0,`, `{`, 1), `{"attempts":0}`, `{}`, 1)
	}
	return text
}

// readUpserted reads the reply of scheduler_upsert.lua.
func (s *Scheduler) readUpserted(reply any) (SchedulerState, error) {
	u := unpackerOf(reply)
	status := u.number()
	run, _ := u.text()
	moment, _ := u.text()
	iterations, _ := u.text()
	offset, _ := u.text()
	switch {
	case u.err != nil:
		return SchedulerState{}, errReply
	case status == 10:
		return SchedulerState{}, fmt.Errorf("scheduler %s: %w", domain.Quote(s.ID), ErrRunExists)
	case status == 11:
		return SchedulerState{}, fmt.Errorf("scheduler %s: %w", domain.Quote(s.ID), ErrSlotsBusy)
	}
	state := SchedulerState{Scheduler: *s, Pending: domain.JobID(run), Next: timeOf(moment), Iterations: wholeText(iterations)}
	state.Offset = time.Duration(wholeText(offset)) * time.Millisecond
	state.Immediately = false
	return state, nil
}
