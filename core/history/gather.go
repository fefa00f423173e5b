package history

import (
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Reader reads records, as ports.RunStore does.
type Reader interface {
	Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error)
}

// Limits of what is read for one question.
const (
	mostRecords = 1000
	fewRecords  = 100
)

// Gather reads the evidence about a question. Errors are those of the store.
func Gather(ctx context.Context, store Reader, q *Question) (*Evidence, error) {
	if store == nil {
		return &Evidence{Off: true}, nil
	}
	g := &gatherer{ctx: ctx, store: store, q: q}
	e := &Evidence{}
	e.Tick = g.latest(domain.RunFilter{Job: q.Job, Tick: q.At, Limit: mostRecords})
	g.aboutRun(e)
	g.aboutJob(e)
	g.reach(e)
	return e, g.err
}

// gatherer reads records until something goes wrong.
type gatherer struct {
	ctx   context.Context //nolint:containedctx // one call of Gather
	store Reader
	q     *Question
	err   error
}

func (g *gatherer) query(filter domain.RunFilter) []domain.Record {
	if g.err != nil {
		return nil
	}
	var records []domain.Record
	records, g.err = g.store.Query(g.ctx, filter)
	return records
}

// latest returns the newest records that the filter selects, oldest first.
func (g *gatherer) latest(filter domain.RunFilter) []domain.Record {
	records := g.query(filter)
	slices.Reverse(records)
	return records
}

// just is the least step of time that stores keep.
const just = time.Microsecond

// upTo selects what was recorded up to the tick.
func (g *gatherer) upTo(limit int, events ...domain.Event) domain.RunFilter {
	return domain.RunFilter{Events: events, Before: g.q.At.Add(just), Limit: limit}
}

// firstAfter returns the first records after the tick that the filter selects,
// and maybe some that follow them. It looks at longer and longer times, for
// stores find the newest records fast.
func (g *gatherer) firstAfter(filter domain.RunFilter) []domain.Record {
	const longer = 8
	from := g.q.At.Add(just)
	span := 2 * time.Minute
	for from.Before(g.q.Now) && g.err == nil {
		filter.Since, filter.Before, filter.Limit = from, from.Add(span), mostRecords
		records := g.latest(filter)
		switch {
		case len(records) == mostRecords && span > time.Second:
			span /= 2
		case len(records) > 0:
			return records[:min(len(records), fewRecords)]
		case filter.Before.After(g.q.Now):
			return nil
		default:
			span, from = span*longer, filter.Before
		}
	}
	return nil
}

// everyID is below all numbers of records.
const everyID = -1

// aboutRun reads what belongs to the run of the tick.
func (g *gatherer) aboutRun(e *Evidence) {
	asked := map[string]bool{}
	for i := range e.Tick {
		record := &e.Tick[i]
		if record.By != "" && !asked[record.By] && len(asked) < fewRecords {
			asked[record.By] = true
			e.Blockers = append(e.Blockers, g.blocker(record)...)
		}
		if record.Event == domain.EventFired {
			e.Queue = append(e.Queue, g.queueJob(record.Queue, record.JobID)...)
		}
		if record.Event == domain.EventClaimed && record.Run.PlannedMS == g.q.At.UnixMilli() {
			e.Into = append(e.Into, g.into(record)...)
		}
	}
	if n := len(e.Tick); n > 0 {
		e.Owner = g.latest(domain.RunFilter{Replica: e.Tick[n-1].Replica, Events: signs(), Limit: 1})
	}
}

// queueJob reads what became of a job on its queue.
func (g *gatherer) queueJob(queue domain.QueueName, id domain.JobID) []domain.Record {
	records := g.latest(domain.RunFilter{Queue: queue, JobIDs: []domain.JobID{id}, Limit: fewRecords})
	return slices.DeleteFunc(records, func(r domain.Record) bool { return r.Run.Job != "" })
}

// blocker reads the records of the run or job that was in the way.
func (g *gatherer) blocker(record *domain.Record) []domain.Record {
	if record.Event != domain.EventSkipped && record.Event != domain.EventQueued {
		return nil
	}
	if run, err := domain.ParseRunKey(record.By); err == nil {
		return g.latest(domain.RunFilter{Runs: []domain.RunKey{run}, Limit: fewRecords})
	}
	if record.Queue == "" {
		return nil
	}
	return g.latest(domain.RunFilter{Queue: record.Queue, JobIDs: []domain.JobID{domain.JobID(record.By)}, Limit: fewRecords})
}

// into reads which missed ticks the claimed run stands for.
func (g *gatherer) into(claimed *domain.Record) []domain.Record {
	records := g.latest(domain.RunFilter{
		Job: g.q.Job, Events: []domain.Event{domain.EventCoalesced},
		Since: claimed.At.Add(-time.Second), Before: claimed.At.Add(just), Limit: mostRecords,
	})
	run := claimed.Run.String()
	return slices.DeleteFunc(records, func(r domain.Record) bool { return r.By != run })
}

// aboutJob reads the definitions and pauses of the job and the signs of life
// of replicas around the tick.
func (g *gatherer) aboutJob(e *Evidence) {
	definitions := g.upTo(fewRecords, domain.EventRegistered)
	definitions.Job = g.q.Job
	e.Definitions = g.latest(definitions)
	e.Later = g.firstAfter(domain.RunFilter{Job: g.q.Job, Events: []domain.Event{domain.EventRegistered}})
	pauses := g.upTo(fewRecords, domain.EventJobPaused, domain.EventJobResumed)
	pauses.Job = g.q.Job
	e.Pauses = g.latest(pauses)
	e.Presence = append(g.latest(g.upTo(fewRecords, signs()...)),
		g.firstAfter(domain.RunFilter{Events: signs()})...)
}

func signs() []domain.Event {
	return []domain.Event{domain.EventWorkerStarted, domain.EventWorkerAlive, domain.EventWorkerStopped}
}

// reach finds out whether the history goes back to the tick.
func (g *gatherer) reach(e *Evidence) {
	if e.Reaches = len(g.query(g.upTo(1))) > 0; e.Reaches {
		return
	}
	if first := g.query(domain.RunFilter{AfterID: everyID, Limit: 1}); len(first) > 0 {
		e.Begins = first[0].At
	}
}
