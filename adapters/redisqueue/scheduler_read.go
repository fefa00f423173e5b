package redisqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// SchedulerRange says which schedulers are listed: by their next runs, the
// latest first as BullMQ does, or the earliest first if Ascending is set.
// Offset of them are passed over, and at most Limit are returned; zero means
// all.
type SchedulerRange struct {
	Offset, Limit int
	Ascending     bool
}

// schedulerPage is how many schedulers one call reads.
const schedulerPage = 50

// schedulerFields is how many fields a call returns of each.
const schedulerFields = 11

// Scheduler returns the scheduler of that id. The error is
// [ports.ErrNotFound] if there is none.
func (q *Queue) Scheduler(ctx context.Context, id string) (SchedulerState, error) {
	states, _, err := q.readSchedulers(ctx, "one", id, 1)
	if err == nil && len(states) == 0 {
		err = fmt.Errorf("%s: %w", domain.Quote(id), ports.ErrNotFound)
	}
	if err != nil {
		return SchedulerState{}, fmt.Errorf("scheduler: %w", err)
	}
	return states[0], nil
}

// Schedulers lists schedulers, and the repeatable jobs of BullMQ 5, which
// work like them. Those whose definition is gone are left out, although they
// count. Many are read in several steps, between which they may change places.
func (q *Queue) Schedulers(ctx context.Context, r SchedulerRange) ([]SchedulerState, error) {
	if r.Offset < 0 || r.Limit < 0 {
		return nil, domain.Invalidf("schedulers: offset %d, limit %d: neither may be negative", r.Offset, r.Limit)
	}
	order, end := "descending", maxOffset
	if r.Ascending {
		order = "ascending"
	}
	if r.Limit > 0 {
		end = min(r.Offset, maxOffset) + min(r.Limit, maxOffset)
	}
	var states []SchedulerState
	for at := r.Offset; at < end; {
		page, looked, err := q.readSchedulers(ctx, order, strconv.Itoa(at), min(end-at, schedulerPage))
		if err != nil {
			return nil, fmt.Errorf("schedulers: %w", err)
		}
		if looked == 0 {
			break
		}
		states = append(states, page...)
		at += looked
	}
	return states, nil
}

// CountSchedulers returns how many schedulers the queue has.
func (q *Queue) CountSchedulers(ctx context.Context) (int, error) {
	var count int64
	err := q.backend.repeat(ctx, "count schedulers", func() (err error) {
		count, err = q.backend.client.ZCard(ctx, q.base+"repeat").Result()
		return err
	})
	return int(count), ended(ctx, err)
}

// readSchedulers reads one page. It also returns how many places of the order
// it has gone through.
func (q *Queue) readSchedulers(ctx context.Context, order, from string, most int) ([]SchedulerState, int, error) {
	args := []any{q.base, order, from, strconv.Itoa(most)}
	reply, err := q.backend.call(ctx, scriptNamed("scheduler_read"), []string{q.base + "meta", q.base + "repeat"}, args)
	if err != nil {
		return nil, 0, ended(ctx, err)
	}
	list, _ := reply.([]any)
	if len(list) == 0 {
		return nil, 0, errReply
	}
	looked, _ := list[0].(int64)
	states := make([]SchedulerState, 0, len(list)-1)
	for _, packed := range list[1:] {
		u := unpackerOf(packed)
		state := readScheduler(&u)
		if u.err != nil {
			return nil, 0, errReply
		}
		states = append(states, state)
	}
	return states, int(looked), nil
}

// readScheduler reads what scheduler_read.lua says of one. What others wrote
// and makes no sense is left out.
func readScheduler(u *unpacker) SchedulerState {
	id, _ := u.text()
	planned, _ := u.text()
	var f [schedulerFields]string
	for i := range f {
		f[i], _ = u.text()
	}
	name, every, zone, limit, data, options := f[0], f[1], f[3], f[4], f[8], f[9]
	state := SchedulerState{
		Scheduler: Scheduler{
			ID: id, Every: durationOf(every), Pattern: f[2], Zone: zone, Limit: int(min(wholeText(limit), math.MaxInt32)),
			StartDate: timeOf(f[5]), EndDate: timeOf(f[6]), Offset: durationOf(f[7]),
			Template: Template{Name: name},
		},
		Next: timeOf(planned), Pending: domain.JobID("repeat:" + id + ":" + planned), Iterations: wholeText(f[10]),
	}
	if data != "" {
		state.Template.Data = []byte(data)
	}
	if options != "" {
		state.Template.Options, state.Template.Extras = decodeTemplate(options)
	}
	return state
}

// wholeText reads a number that others have written, zero if it is none.
func wholeText(text string) int64 {
	n, _ := number(json.RawMessage(text))
	return int64(math.Min(math.Max(n, -1<<53), 1<<53))
}

// durationOf reads ms.
func durationOf(text string) time.Duration {
	return time.Duration(min(max(wholeText(text), 0), int64(maxJobDelay/time.Millisecond))) * time.Millisecond
}

// timeOf reads a time in ms, none if there is none.
func timeOf(text string) time.Time {
	ms := wholeText(text)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// decodeTemplate reads the options of a template as leniently as those of
// jobs are read.
func decodeTemplate(text string) (domain.JobOptions, Extras) {
	read := decodeOptions(text)
	extras := Extras{KeepLogs: read.keepLogs}
	switch {
	case read.stackLimit > 0:
		extras.StackTraceLimit = read.stackLimit
	case read.stackLimit == 0:
		extras.StackTraceLimit = -1
	}
	var raw struct {
		Priority, SizeLimit    json.RawMessage
		Tm                     json.RawMessage
		Omc                    json.RawMessage
		Fpof, Cpof, Idof, Rdof json.RawMessage
	}
	if json.Unmarshal([]byte(text), &raw) != nil {
		return read.JobOptions, extras
	}
	read.Priority = int(wholeNumber(raw.Priority, domain.MaxPriority))
	extras.SizeLimit = int(wholeNumber(raw.SizeLimit, math.MaxInt32))
	_ = json.Unmarshal(raw.Tm, &extras.Telemetry.Metadata)
	extras.Telemetry.OmitContext = isTrue(raw.Omc)
	switch {
	case isTrue(raw.Fpof):
		extras.OnFailure = FailParent
	case isTrue(raw.Cpof):
		extras.OnFailure = ContinueParent
	case isTrue(raw.Idof):
		extras.OnFailure = IgnoreFailure
	case isTrue(raw.Rdof):
		extras.OnFailure = ForgetChild
	}
	return read.JobOptions, extras
}

func isTrue(raw json.RawMessage) bool { return string(raw) == "true" }
