package porttest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
)

// step returns what the nth second brought about a run of a job.
func step(n int, job string, event domain.Event) domain.Record {
	r := recordAt(n)
	r.Run, r.Event = domain.TickKey(job, recordAt(0).At), event
	return r
}

// jobStep returns what the nth second brought about a queue job.
func jobStep(n int, id domain.JobID, event domain.Event) domain.Record {
	r := recordAt(n)
	r.Run, r.Queue, r.JobID, r.JobName, r.Event = domain.RunKey{}, "mail", id, "send", event
	return r
}

func (s runStage) selectsUnderWay() {
	underWay := domain.RunFilter{UnderWay: true}
	s.add(step(1, "a", domain.EventClaimed), step(2, "a", domain.EventStarted), step(3, "b", domain.EventClaimed))
	s.want(underWay, step(3, "b", domain.EventClaimed), step(2, "a", domain.EventStarted))
	s.add(step(4, "b", domain.EventStarted), step(5, "a", domain.EventCompleted), step(6, "c", domain.EventStarted), step(7, "c", domain.EventFailed))
	s.want(underWay, step(4, "b", domain.EventStarted))
	retrying := jobStep(8, "1", domain.EventRetrying)
	retrying.Fields = []domain.Field{{Path: "a", Value: "1"}, {Path: "b", Value: "2"}}
	s.add(retrying, jobStep(9, "2", domain.EventCompleted), step(10, "b", domain.EventLate))
	s.want(underWay, retrying, step(4, "b", domain.EventStarted))
	s.selectsAmongUnderWay(retrying)
	s.add(jobStep(11, "1", domain.EventCompleted), step(12, "b", domain.EventReleased))
	s.want(underWay, step(12, "b", domain.EventReleased))
	// Another replica's records may come late.
	s.add(step(11, "b", domain.EventCompleted))
	s.want(underWay, step(12, "b", domain.EventReleased))
	s.add(step(13, "b", domain.EventSkipped))
	s.want(underWay)
}

// selectsAmongUnderWay joins the condition with each of the others.
func (s runStage) selectsAmongUnderWay(retrying domain.Record) {
	s.Helper()
	ended := s.find(domain.RunFilter{Job: "c", Events: []domain.Event{domain.EventFailed}})
	if len(ended) != 1 {
		s.Fatalf("Query = %d records, want the one that came before those of the queue", len(ended))
	}
	for _, filter := range []domain.RunFilter{
		{Queue: "mail"},
		{JobIDs: []domain.JobID{"1"}},
		{JobName: "send"},
		{Fields: retrying.Fields},
		{Events: []domain.Event{domain.EventRetrying}},
		{Since: recordAt(5).At},
		{AfterID: ended[0].ID},
		{Limit: 1},
	} {
		filter.UnderWay = true
		s.want(filter, retrying)
	}
	running := step(4, "b", domain.EventStarted)
	for _, filter := range []domain.RunFilter{
		{Job: "b"},
		{Runs: []domain.RunKey{running.Run}},
		{Tick: recordAt(0).At},
		{Origins: domain.Origins()},
		{Before: recordAt(8).At},
		{Before: recordAt(8).At, Replica: "ann"},
	} {
		filter.UnderWay = true
		s.want(filter, running)
	}
	for _, filter := range []domain.RunFilter{{Job: "a"}, {Queue: "post"}, {JobIDs: []domain.JobID{"2"}}, {Runs: []domain.RunKey{step(1, "a", "").Run}}, {Replica: "bob"}} {
		filter.UnderWay = true
		s.want(filter)
	}
}

func (s runStage) prunesUnderWay() {
	s.add(step(1, "a", domain.EventStarted), step(2, "b", domain.EventStarted), step(3, "c", domain.EventCompleted))
	s.prune(domain.RunRetention{Since: recordAt(2).At}, 9, 1)
	s.want(domain.RunFilter{UnderWay: true}, step(2, "b", domain.EventStarted))
	s.want(domain.RunFilter{UnderWay: true, Limit: 1}, step(2, "b", domain.EventStarted))
	s.add(step(4, "a", domain.EventStarted))
	s.want(domain.RunFilter{UnderWay: true}, step(4, "a", domain.EventStarted), step(2, "b", domain.EventStarted))
}

// Whatever comes in whatever batches, what is under way is what the latest records
// say.
func (s runStage) knowsWhatIsUnderWay() {
	dice := rand.New(rand.NewPCG(3, 4))
	events := domain.DecisionEvents()
	latest := map[domain.Subject]domain.Record{}
	second := 0
	for range 40 {
		batch := make([]domain.Record, 1+dice.IntN(20))
		for i := range batch {
			event := events[dice.IntN(len(events))]
			if second++; dice.IntN(2) == 0 {
				batch[i] = step(second, fmt.Sprint("job-", dice.IntN(30)), event)
			} else {
				batch[i] = jobStep(second, domain.JobID(fmt.Sprint(dice.IntN(30))), event)
			}
			if _, tells := event.UnderWay(); tells {
				latest[batch[i].Subject()] = batch[i]
			}
		}
		s.add(batch...)
		var want []domain.Record
		for _, r := range latest {
			if underWay, _ := r.Event.UnderWay(); underWay {
				want = append(want, r)
			}
		}
		slices.SortFunc(want, func(a, b domain.Record) int { return b.At.Compare(a.At) })
		got := s.find(domain.RunFilter{UnderWay: true})
		for i := range got {
			got[i].ID = 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.Fatalf("what is under way differs (-want +got):\n%s", diff)
		}
	}
}
