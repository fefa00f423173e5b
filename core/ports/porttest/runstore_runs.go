package porttest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
)

// shortRun returns what there is of a run that began and ended soon after its instant.
func shortRun(job string, planned time.Time, took time.Duration) []domain.Record {
	run := domain.TickKey(job, planned)
	at := planned.Add(2 * time.Millisecond)
	return []domain.Record{
		{At: at, Replica: "ann", Event: domain.EventClaimed, Run: run, Late: 2 * time.Millisecond},
		{At: at.Add(took / 2), Replica: "ann", Event: domain.EventStarted, Run: run, Attempt: 1, Late: 2 * time.Millisecond},
		{At: at.Add(took), Replica: "ann", Event: domain.EventCompleted, Run: run, Attempt: 1, Took: took / 2},
	}
}

// anyShortRun returns mostly one that has nothing to explain, and now and then one that
// differs from all others somewhere.
func anyShortRun(dice *rand.Rand, job string, planned time.Time) []domain.Record {
	records := shortRun(job, planned, time.Duration(dice.IntN(450_000))*2*time.Microsecond)
	odd := &records[dice.IntN(len(records))]
	switch dice.IntN(24) {
	case 0:
		odd.Reason = "why"
	case 1:
		odd.By = "bob"
	case 2:
		odd.Replica = "bob"
	case 3:
		odd.Fields = []domain.Field{{Path: "a", Value: fmt.Sprint(dice.IntN(3))}}
	case 4:
		odd.Queue, odd.JobID, odd.JobName = "mail", domain.JobID(fmt.Sprint(dice.IntN(20))), "send"
	case 5:
		odd.At = odd.At.Add(time.Duration(dice.IntN(24)-12) * time.Second)
	case 6:
		odd.Event = domain.EventFailed
	case 7:
		odd.Until = planned.Add(time.Second)
	case 8:
		odd.Count, odd.Wait = 3, time.Hour
	case 9:
		records = records[:1+dice.IntN(2)]
	case 10:
		records = append(records, *odd)
	case 11:
		records[0], records[1] = records[1], records[0]
	case 12:
		for i := range records {
			records[i].Run.Origin, records[i].Run.OriginID = domain.OriginBackfill, "x"
		}
	case 13:
		for i := range records {
			records[i].At = records[i].At.Add(time.Duration(i) * 600 * time.Millisecond)
		}
	case 14:
		for i := range records {
			records[i].Replica = "bob"
		}
	}
	return records
}

// shortRuns returns batches of runs, some under way at a time, with other records between
// theirs. Of some runs a batch has all, of others two batches have a part.
func shortRuns(dice *rand.Rand) (batches [][]domain.Record) {
	var stories [][]domain.Record
	for n := range 80 {
		stories = append(stories, anyShortRun(dice, oneOf(dice, "report", "sweep", "nightly"), recordAt(n/4).At))
	}
	var batch []domain.Record
	for len(stories) > 0 {
		next := dice.IntN(min(4, len(stories)))
		batch = append(batch, stories[next][0])
		if stories[next] = stories[next][1:]; len(stories[next]) == 0 {
			stories = slices.Delete(stories, next, next+1)
		}
		if dice.IntN(6) == 0 {
			batch = append(batch, anyRecord(dice))
		}
		if dice.IntN(25) == 0 || len(stories) == 0 {
			batches, batch = append(batches, batch), nil
		}
	}
	return batches
}

// However a store keeps runs, each of their records is found as if it stood alone.
func (s runStage) keepsShortRuns() {
	dice := rand.New(rand.NewPCG(7, 8))
	var all []domain.Record
	for _, batch := range shortRuns(dice) {
		s.add(batch...)
		all = append(all, batch...)
	}
	s.want(domain.RunFilter{AfterID: -1, Limit: 1000}, all...)
	known := s.find(domain.RunFilter{AfterID: -1, Limit: 1000})
	found := 0
	for range 250 {
		found += s.wantSelected(anyFilter(dice, known), known)
	}
	for range 50 {
		r := oneOf(dice, known...)
		tick := domain.RunFilter{Job: r.Run.Job, Tick: r.Run.Planned(), Limit: 1000}
		for _, filter := range []domain.RunFilter{{Runs: []domain.RunKey{r.Run, oneOf(dice, known...).Run}, Limit: 5}, tick, {Job: r.Run.Job, Events: []domain.Event{r.Event}, AfterID: r.ID, Limit: 2}} {
			found += s.wantSelected(filter, known)
		}
	}
	if found < 1000 {
		s.Errorf("the filters selected %d records, want enough to tell", found)
	}
	s.pagesOf(known)
}

// pagesOf checks that pages, in both directions, are together the whole.
func (s runStage) pagesOf(known []domain.Record) {
	s.Helper()
	newest := slices.Clone(known)
	slices.SortFunc(newest, func(a, b domain.Record) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
	for _, filter := range []domain.RunFilter{
		{},
		{Job: "report"},
		{Events: []domain.Event{domain.EventStarted}},
		{Job: "sweep", Events: []domain.Event{domain.EventCompleted}},
		{Replica: "ann", Origins: []domain.Origin{domain.OriginSchedule}},
	} {
		filter.Limit = 5
		selects := func(records []domain.Record) []domain.Record {
			return slices.DeleteFunc(slices.Clone(records), func(r domain.Record) bool { return !filter.Selects(&r) })
		}
		var pages []domain.Record
		for page := s.find(filter); len(page) > 0; {
			pages = append(pages, page...)
			older := filter.Older(&page[len(page)-1])
			page = s.find(older)
		}
		if diff := gocmp.Diff(selects(newest), pages); diff != "" {
			s.Errorf("pages of %+v differ from the whole (-want +got):\n%s", filter, diff)
		}
		var news []domain.Record
		filter.AfterID = -1
		for page := s.find(filter); len(page) > 0; page = s.find(filter) {
			news = append(news, page...)
			filter.AfterID = page[len(page)-1].ID
		}
		filter.AfterID = -1
		if diff := gocmp.Diff(selects(known), news); diff != "" {
			s.Errorf("what follows of %+v differs from the whole (-want +got):\n%s", filter, diff)
		}
	}
}

// A run that was under way is so no more when all of it comes again.
func (s runStage) endsShortRuns() {
	run := func(n int) []domain.Record { return shortRun(fmt.Sprint("job-", n), recordAt(n).At, time.Millisecond) }
	underWay := domain.RunFilter{UnderWay: true}
	s.add(run(1)[0], run(2)[0], run(3)[0])
	s.add(run(1)[1])
	s.add(slices.Concat(run(4), run(1), run(2))...)
	s.want(underWay, run(3)[0])
	s.want(domain.RunFilter{UnderWay: true, Job: "job-1"})
	s.add(slices.Concat(run(5), run(3)[1:2])...)
	s.want(underWay, run(3)[1])
	s.add(run(3)[2])
	s.want(underWay)
}

// The oldest go first, three at once where they are kept together, until all are gone.
func (s runStage) prunesShortRuns() {
	var all []domain.Record
	for n := range 20 {
		run := shortRun("report", recordAt(2*n).At, time.Millisecond)
		all = append(all, run...)
		s.add(run...)
	}
	s.prune(domain.RunRetention{Since: recordAt(10).At}, 100, 15)
	s.prune(domain.RunRetention{Count: 30}, 6, 6)
	s.prune(domain.RunRetention{Count: 30}, 100, 9)
	s.prune(domain.RunRetention{Count: 30}, 100, 0)
	s.want(domain.RunFilter{AfterID: -1}, all[30:]...)
	s.prune(domain.RunRetention{Since: recordAt(99).At}, 100, 30)
	s.want(domain.RunFilter{})
	s.want(domain.RunFilter{Job: "report", Tick: recordAt(38).At})
}
