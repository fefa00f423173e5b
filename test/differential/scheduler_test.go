package differential_test

import (
	"context"
	"errors"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// schedulerTwins are for job schedulers.
func schedulerTwins() map[string]twin {
	return map[string]twin{
		"queue upsertJobScheduler": {call: (*call).schedule, alike: (*world).schedulesAlike},
		"queue removeJobScheduler": {call: func(c *call, ctx context.Context) (any, error) {
			return c.queue.RemoveScheduler(ctx, argument[string](c.step, 0))
		}},
	}
}

// schedule makes or changes a scheduler and answers the id of the next run.
func (c *call) schedule(ctx context.Context) (any, error) {
	scheduler, err := readScheduler(c.step)
	if err != nil {
		return nil, err
	}
	state, err := c.queue.UpsertScheduler(ctx, scheduler)
	if errors.Is(err, domain.ErrInvalid) {
		// Node answers nothing to a pattern that does not match before its end.
		return nil, nil
	}
	return state.Pending, err
}

// nodeRepeat is what says when the runs of a scheduler are.
type nodeRepeat struct {
	Every       int64   `json:"every"`
	Offset      int64   `json:"offset"`
	Pattern     string  `json:"pattern"`
	Zone        string  `json:"tz"`
	Immediately bool    `json:"immediately"`
	Limit       int     `json:"limit"`
	StartDate   *moment `json:"startDate"`
	EndDate     *moment `json:"endDate"`
}

// readScheduler reads the arguments of upsertJobScheduler.
func readScheduler(s *step) (redisqueue.Scheduler, error) {
	repeat := argument[nodeRepeat](s, 1)
	template := argument[newJob](s, 2)
	job, err := template.ours()
	return redisqueue.Scheduler{
		ID: argument[string](s, 0), Every: millis(repeat.Every), Pattern: repeat.Pattern, Zone: repeat.Zone, Limit: repeat.Limit,
		Offset: millis(repeat.Offset), StartDate: repeat.StartDate.time(), EndDate: repeat.EndDate.time(), Immediately: repeat.Immediately,
		Template: redisqueue.Template{Name: job.Name, Data: job.Data, Options: job.Options, Extras: job.Extras},
	}, err
}

// scheduler makes, changes or removes a job scheduler that both sides can make.
func (g *generator) scheduler() (step, bool) {
	s := step{Do: "queue", Queue: g.queue(), Method: "upsertJobScheduler", Ours: true}
	id := pick(g, "daily", "hourly", "weekly")
	if g.chance(15) {
		s.Method, s.Args = "removeJobScheduler", []any{id}
		return s, true
	}
	job := g.spec()
	job.ID, job.Delay, job.Dedup, job.DedupTTL, job.DedupMode = "", 0, "", 0, ""
	template := map[string]any{"name": job.Name, "opts": job.node()}
	if g.chance(60) {
		template["data"] = job.Data
	}
	s.Args = []any{id, g.sharedRepeat(), template}
	return s, true
}

func (g *generator) sharedRepeat() map[string]any {
	repeat := map[string]any{}
	maybe := func(percent int, name string, value any) {
		if g.chance(percent) {
			repeat[name] = value
		}
	}
	if g.chance(60) {
		repeat["every"] = pick(g, hour, 2*hour, 24*hour)
		if g.w.version != node.V5First {
			maybe(25, "offset", 900_000)
		}
	} else {
		repeat["pattern"] = pick(g, "0 0 3 * * *", "30 4 1 * *", "0 12 * * 1-5", "0 */6 * * *", "0 0 29 2 *")
		maybe(40, "tz", pick(g, "Europe/Berlin", "America/New_York"))
		maybe(30, "immediately", true)
	}
	maybe(20, "limit", 1+g.IntN(3))
	maybe(20, "endDate", now(hour*(4+g.Int64N(50))))
	if repeat["immediately"] == nil {
		if begin := hour * (g.Int64N(6) - 2); begin != 0 {
			maybe(20, "startDate", now(begin))
		}
	}
	return repeat
}
