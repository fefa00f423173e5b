package differential_test

import (
	"context"
	"errors"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// schedulerSpec is a job scheduler that both sides can make. Begin and End are
// distances from the moment of the step, zero for none.
type schedulerSpec struct {
	ID          string  `json:"id"`
	Every       int64   `json:"every,omitempty"`
	Pattern     string  `json:"pattern,omitempty"`
	Zone        string  `json:"zone,omitempty"`
	Limit       int     `json:"limit,omitempty"`
	Begin       int64   `json:"begin,omitempty"`
	End         int64   `json:"end,omitempty"`
	Offset      int64   `json:"offset,omitempty"`
	Immediately bool    `json:"immediately,omitempty"`
	Job         jobSpec `json:"job"`
}

// node returns the arguments of upsertJobScheduler.
func (s *schedulerSpec) node() []any {
	repeat := map[string]any{}
	set := func(name string, value any, given bool) {
		if given {
			repeat[name] = value
		}
	}
	set("every", s.Every, s.Every > 0)
	set("pattern", s.Pattern, s.Pattern != "")
	set("tz", s.Zone, s.Zone != "")
	set("limit", s.Limit, s.Limit > 0)
	set("startDate", now(s.Begin), s.Begin != 0)
	set("endDate", now(s.End), s.End != 0)
	set("offset", s.Offset, s.Offset > 0)
	set("immediately", true, s.Immediately)
	template := map[string]any{"name": s.Job.Name, "opts": s.Job.node()}
	if s.Job.Data != nil {
		template["data"] = s.Job.Data
	}
	return []any{s.ID, repeat, template}
}

func (s *schedulerSpec) ours(queue string) redisqueue.Scheduler {
	job := s.Job.ours(queue)
	return redisqueue.Scheduler{
		ID: s.ID, Every: millis(s.Every), Pattern: s.Pattern, Zone: s.Zone, Limit: s.Limit, Offset: millis(s.Offset),
		StartDate: fromNow(s.Begin), EndDate: fromNow(s.End), Immediately: s.Immediately,
		Template: redisqueue.Template{Name: job.Name, Data: job.Data, Options: job.Options},
	}
}

func fromNow(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.Now().Add(millis(ms))
}

// What Node says to what ours has errors for.
var (
	errRunExists = errors.New("Cannot create job scheduler iteration - job ID already exists. addJobScheduler")                         //nolint:staticcheck // Node's words
	errSlotsBusy = errors.New("Cannot create job scheduler iteration - current and next time slots already have jobs. addJobScheduler") //nolint:staticcheck // Node's words
)

// schedule makes or changes a scheduler and answers the id of the next run.
func (o *ourSide) schedule(ctx context.Context, s *step) (any, error) {
	queue, err := o.backend.Queue(domain.QueueName(s.Queue))
	if err != nil {
		return nil, err
	}
	state, err := queue.UpsertScheduler(ctx, s.Scheduler.ours(s.Queue))
	switch {
	case errors.Is(err, redisqueue.ErrRunExists):
		return nil, errRunExists
	case errors.Is(err, redisqueue.ErrSlotsBusy):
		return nil, errSlotsBusy
	case errors.Is(err, domain.ErrInvalid):
		// Node answers nothing to a pattern that does not match before its end.
		return nil, nil
	}
	return state.Pending, err
}

func (o *ourSide) unschedule(ctx context.Context, s *step) (any, error) {
	queue, err := o.backend.Queue(domain.QueueName(s.Queue))
	if err != nil {
		return nil, err
	}
	return queue.RemoveScheduler(ctx, s.ID)
}

// scheduler makes, changes or removes a job scheduler, each side by itself.
func (g *generator) scheduler() (step, bool) {
	s := step{Do: "schedule", Queue: g.queue()}
	id := pick(g, "daily", "hourly", "weekly")
	if g.chance(15) {
		s.Do, s.ID = "unschedule", id
		return s, true
	}
	spec := &schedulerSpec{ID: id, Job: g.spec()}
	spec.Job.ID, spec.Job.Delay, spec.Job.Dedup, spec.Job.DedupTTL, spec.Job.DedupMode = "", 0, "", 0, ""
	if g.chance(40) {
		spec.Job.Data = nil
	}
	if g.chance(60) {
		spec.Every = pick(g, hour, 2*hour, 24*hour)
		if g.chance(25) && g.w.version != node.V5First {
			spec.Offset = 900_000
		}
	} else {
		spec.Pattern = pick(g, "0 0 3 * * *", "30 4 1 * *", "0 12 * * 1-5", "0 */6 * * *", "0 0 29 2 *")
		if g.chance(40) {
			spec.Zone = pick(g, "Europe/Berlin", "America/New_York")
		}
		spec.Immediately = g.chance(30)
	}
	if g.chance(20) {
		spec.Limit = 1 + g.IntN(3)
	}
	if g.chance(20) {
		spec.End = hour * (4 + g.Int64N(50))
	}
	if !spec.Immediately && g.chance(20) {
		spec.Begin = hour * (g.Int64N(6) - 2)
	}
	s.Scheduler = spec
	return s, true
}

// schedulerRequest returns the step as the Node driver takes it.
func (s step) schedulerRequest() step {
	if s.Do == "unschedule" {
		return step{Do: "queue", Queue: s.Queue, Method: "removeJobScheduler", Args: []any{s.ID}}
	}
	return step{Do: "queue", Queue: s.Queue, Method: "upsertJobScheduler", Args: s.Scheduler.node()}
}
