package main

import (
	"context"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

const (
	// pastJobs are the scheduled jobs of the past: three of them run each
	// second.
	pastJobs, pastRuns = 10, 3
	aliveEvery         = 30
	// rareSeconds are the first ones: what is rare happened in them alone.
	rareSeconds = 20
)

// past is what a history tells of: each second some queue jobs end, so many in a
// row of one kind.
type past struct {
	name            string
	outcomes, alike int
}

// The queues of one past have little to do, and what they did is kept record by
// record; those of the other have much to do.
//
//nolint:gochecknoglobals // constants
var (
	quietPast = past{name: "quiet", outcomes: 5, alike: 1}
	busyPast  = past{name: "busy", outcomes: 1000, alike: 100}
)

// pastBegins is the first moment of the past.
//
//nolint:gochecknoglobals // a constant
var pastBegins = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fill stores at least so many records and returns the moment after the last one.
func (p past) fill(ctx context.Context, store ports.RunStore, records int) (end time.Time, err error) {
	var batch []domain.Record
	stored, s := 0, 0
	for ; stored < records; s++ {
		batch = append(batch, p.second(s)...)
		if len(batch) >= journalBatch || stored+len(batch) >= records {
			if err := store.Append(ctx, batch); err != nil {
				return time.Time{}, err
			}
			stored, batch = stored+len(batch), batch[:0]
		}
	}
	return pastBegins.Add(time.Duration(s) * time.Second), nil
}

// second returns what is recorded in one second of the past.
func (p past) second(s int) []domain.Record {
	at := pastBegins.Add(time.Duration(s) * time.Second)
	records := signs(s, at)
	for i := range pastRuns {
		run := domain.TickKey(fmt.Sprint("job-", (s+i)%pastJobs), at)
		replica := fmt.Sprint("replica-", i)
		end := domain.EventCompleted
		if s%50 == i {
			end = domain.EventFailed
		}
		for _, event := range []domain.Event{domain.EventClaimed, domain.EventStarted, end} {
			records = append(records, domain.Record{At: at, Replica: replica, Event: event, Run: run, Attempt: 1})
		}
	}
	for i := range p.outcomes {
		n := s*p.outcomes + i
		r := outcome(n / p.alike)
		r.At, r.JobID = at.Add(time.Duration(i)*time.Second/time.Duration(p.outcomes)), domain.JobID(fmt.Sprint(n))
		if i == 0 {
			r.Fields = []domain.Field{{Path: "tenant", Value: fmt.Sprint("t", s%10)}, {Path: "order", Value: fmt.Sprint(5 * s)}}
		}
		records = append(records, r)
	}
	if s < rareSeconds {
		records = append(records, rare(s, at)...)
	}
	return records
}

// signs are those of life of the replicas, and the registrations at the beginning.
func signs(s int, at time.Time) (records []domain.Record) {
	for i := 0; i < replicas && s%aliveEvery == 0; i++ {
		replica := fmt.Sprint("replica-", i)
		records = append(records, domain.Record{At: at, Replica: replica, Event: domain.EventWorkerAlive})
		for job := 0; job < pastJobs && s == 0; job++ {
			records = append(records, domain.Record{
				At: at, Replica: replica, Event: domain.EventRegistered, Run: domain.RunKey{Job: fmt.Sprint("job-", job)}, Schedule: "every 1s",
			})
		}
	}
	return records
}

// rare are records that few others are like. The runs are still under way, so
// that a listing of those looks as far back as it may.
func rare(s int, at time.Time) []domain.Record {
	backfill := domain.TickKey("job-rare", at)
	backfill.Origin, backfill.OriginID = domain.OriginBackfill, "b1"
	return []domain.Record{
		{At: at, Replica: "replica-rare", Event: domain.EventStarted, Run: domain.TickKey("job-rare", at), Attempt: 1},
		{At: at, Replica: "replica-0", Event: domain.EventLost, Run: backfill, Attempt: 1},
		{At: at, Replica: "replica-0", Event: domain.EventSkipped, Run: domain.TickKey("job-skipped", at), By: "x"},
		{
			At: at, Replica: "replica-0", Event: domain.EventQuarantined, Queue: "queue-rare", JobName: "name-rare",
			JobID: domain.JobID(fmt.Sprint("rare-", s)), Fields: []domain.Field{{Path: "tenant", Value: "rare"}},
		},
	}
}
