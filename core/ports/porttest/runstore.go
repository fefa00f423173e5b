package porttest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// RunStore checks that the stores that open makes behave as [ports.RunStore]
// says. open returns an empty store with room for a thousand records.
func RunStore(t *testing.T, open func(*testing.T) ports.RunStore) {
	t.Helper()
	cases := []struct {
		name string
		test func(runStage)
	}{
		{"an empty store answers with nothing", runStage.answersWhenEmpty},
		{"a record comes back as it was appended", runStage.keepsEveryField},
		{"records come newest first", runStage.ordersByTime},
		{"records of one moment come last appended first", runStage.ordersOneMoment},
		{"records are the store's own", runStage.copiesRecords},
		{"a filter selects by job", runStage.selectsJobs},
		{"a filter selects by queue and job id", runStage.selectsQueueJobs},
		{"a filter selects by any of its events", runStage.selectsEvents},
		{"a filter selects from since on, before the end", runStage.selectsTimes},
		{"a limit keeps the newest and is 100 by default", runStage.limits},
		{"pruning removes what is older, the oldest first", runStage.prunes},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.test(runStage{T: t, store: open(t)}) })
	}
}

type runStage struct {
	*testing.T

	store ports.RunStore
}

// recordAt returns a record of the nth second.
func recordAt(n int) domain.Record {
	at := time.Date(2026, 1, 1, 3, 0, n, 0, time.UTC)
	return domain.Record{At: at, Replica: "ann", Event: domain.EventStarted, Run: domain.TickKey("report", at)}
}

func (s runStage) add(records ...domain.Record) {
	s.Helper()
	if err := s.store.Append(s.Context(), records); err != nil {
		s.Fatalf("Append = %v, want no error", err)
	}
}

// want checks the answer to a query, up to the location of times.
func (s runStage) want(filter domain.RunFilter, want ...domain.Record) {
	s.Helper()
	got, err := s.store.Query(s.Context(), filter)
	if err != nil {
		s.Fatalf("Query = %v, want no error", err)
	}
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("Query(%+v) differs (-want +got):\n%s", filter, diff)
	}
}

func (s runStage) answersWhenEmpty() {
	s.want(domain.RunFilter{})
	if n, err := s.store.Prune(s.Context(), recordAt(9).At, 10); n != 0 || err != nil {
		s.Errorf("Prune = %d, %v, want 0 and no error", n, err)
	}
}

func (s runStage) keepsEveryField() {
	full := recordAt(1)
	full.Queue, full.JobID, full.JobName = "mail", "tick.report.1", "send"
	full.Attempt, full.Took, full.Late, full.Wait = 2, time.Second, 3*time.Millisecond, time.Minute
	full.Reason, full.By, full.Until, full.Count = domain.ReasonOverlap, "bob", recordAt(5).At, 5
	full.Run.Origin, full.Run.OriginID = domain.OriginBackfill, "jan"
	s.add(full)
	s.want(domain.RunFilter{}, full)
}

func (s runStage) ordersByTime() {
	s.add(recordAt(1), recordAt(4))
	s.add(recordAt(2), recordAt(3))
	s.want(domain.RunFilter{}, recordAt(4), recordAt(3), recordAt(2), recordAt(1))
}

func (s runStage) ordersOneMoment() {
	first, second := recordAt(1), recordAt(1)
	first.Event, second.Event = domain.EventClaimed, domain.EventStarted
	s.add(first, second)
	s.want(domain.RunFilter{}, second, first)
}

func (s runStage) copiesRecords() {
	records := []domain.Record{recordAt(1)}
	s.add(records...)
	records[0].Reason = "changed"
	s.want(domain.RunFilter{}, recordAt(1))
}

func (s runStage) selectsJobs() {
	other := recordAt(2)
	other.Run.Job = "other"
	s.add(recordAt(1), other)
	s.want(domain.RunFilter{Job: "other"}, other)
	s.want(domain.RunFilter{Job: "nobody"})
}

func (s runStage) selectsQueueJobs() {
	first, second := recordAt(1), recordAt(2)
	first.Queue, first.JobID, second.Queue, second.JobID = "mail", "1", "mail", "2"
	s.add(first, second, recordAt(3))
	s.want(domain.RunFilter{Queue: "mail"}, second, first)
	s.want(domain.RunFilter{Queue: "mail", JobID: "1"}, first)
	s.want(domain.RunFilter{Queue: "post", JobID: "1"})
}

func (s runStage) selectsEvents() {
	skipped, failed := recordAt(2), recordAt(3)
	skipped.Event, failed.Event = domain.EventSkipped, domain.EventFailed
	s.add(recordAt(1), skipped, failed)
	s.want(domain.RunFilter{Events: []domain.Event{domain.EventFailed, domain.EventSkipped}}, failed, skipped)
}

func (s runStage) selectsTimes() {
	s.add(recordAt(1), recordAt(2), recordAt(3), recordAt(4))
	s.want(domain.RunFilter{Since: recordAt(2).At, Before: recordAt(4).At}, recordAt(3), recordAt(2))
}

func (s runStage) limits() {
	for n := range 150 {
		record := recordAt(n)
		record.Reason = fmt.Sprint(n)
		s.add(record)
	}
	got, err := s.store.Query(s.Context(), domain.RunFilter{})
	if err != nil || len(got) != 100 || got[0].Reason != "149" {
		s.Errorf("Query = %d records, %v, want the newest 100", len(got), err)
	}
	got, err = s.store.Query(s.Context(), domain.RunFilter{Limit: 120})
	if err != nil || len(got) != 120 {
		s.Errorf("Query(limit 120) = %d records, %v, want 120", len(got), err)
	}
}

func (s runStage) prunes() {
	s.add(recordAt(1), recordAt(3), recordAt(2), recordAt(4))
	for _, want := range []int{2, 1, 0} {
		if n, err := s.store.Prune(s.Context(), recordAt(4).At, 2); n != want || err != nil {
			s.Errorf("Prune = %d, %v, want %d and no error", n, err, want)
		}
	}
	s.want(domain.RunFilter{}, recordAt(4))
}
