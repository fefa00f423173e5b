package porttest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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
		{"a filter selects one run", runStage.selectsRuns},
		{"a filter selects what was decided about a tick", runStage.selectsTicks},
		{"a filter selects by any of its origins", runStage.selectsOrigins},
		{"a filter selects by queue, job id and job name", runStage.selectsQueueJobs},
		{"a filter selects by values of the data", runStage.selectsFields},
		{"a filter selects by replica", runStage.selectsReplicas},
		{"a filter selects by any of its events", runStage.selectsEvents},
		{"a filter selects what is under way", runStage.selectsUnderWay},
		{"what is under way follows from the latest records", runStage.knowsWhatIsUnderWay},
		{"what is under way is forgotten when it is pruned", runStage.prunesUnderWay},
		{"a filter selects from since on, before the end", runStage.selectsTimes},
		{"a limit keeps the newest and is 100 by default", runStage.limits},
		{"records are numbered as they are appended", runStage.numbers},
		{"pages go on where the one before ended", runStage.pages},
		{"a history is followed in the order of appending", runStage.follows},
		{"a filter selects as the domain says", runStage.selectsAsTheDomain},
		{"outcomes that are alike are found like others", runStage.keepsOutcomes},
		{"jobs are found by ids of any length", runStage.findsLongIDs},
		{"runs that begin and end at once are found like others", runStage.keepsShortRuns},
		{"runs that begin and end at once are not under way", runStage.endsShortRuns},
		{"runs that begin and end at once are pruned whole", runStage.prunesShortRuns},
		{"pruning removes what is older, the oldest first", runStage.prunesByAge},
		{"pruning removes the oldest beyond a number", runStage.prunesByCount},
		{"nothing is done under an ended context", runStage.endsWithContext},
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

// find answers a query.
func (s runStage) find(filter domain.RunFilter) []domain.Record {
	s.Helper()
	got, err := s.store.Query(s.Context(), filter)
	if err != nil {
		s.Fatalf("Query = %v, want no error", err)
	}
	return got
}

// want checks the answer to a query, up to the numbers of the records.
func (s runStage) want(filter domain.RunFilter, want ...domain.Record) {
	s.Helper()
	got := s.find(filter)
	if len(got) == 0 && len(want) == 0 {
		return
	}
	for i := range got {
		got[i].ID = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("Query(%+v) differs (-want +got):\n%s", filter, diff)
	}
}

func (s runStage) answersWhenEmpty() {
	s.want(domain.RunFilter{})
	if n, err := s.store.Prune(s.Context(), domain.RunRetention{Since: recordAt(9).At}, 10); n != 0 || err != nil {
		s.Errorf("Prune = %d, %v, want 0 and no error", n, err)
	}
}

func (s runStage) keepsEveryField() {
	full := recordAt(1)
	full.Queue, full.JobID, full.JobName = "mail", "tick.report.1", "send"
	full.Attempt, full.Took, full.Late, full.Wait = 2, time.Second, 3*time.Millisecond, time.Minute
	full.Reason, full.By, full.Until, full.Count = domain.ReasonOverlap, "bob", recordAt(5).At, 5
	full.Run.Origin, full.Run.OriginID = domain.OriginBackfill, "jan"
	full.At = full.At.Add(123456 * time.Microsecond)
	full.Run.PlannedMS, full.Until = full.Run.PlannedMS+7, full.Until.Add(8*time.Millisecond)
	full.Stack, full.Schedule = "goroutine 1 [running]:\n\tmain.go:7", "*/5 * * * * in Europe/Vienna"
	full.Fields = []domain.Field{{Path: "customer.id", Value: "a\"b\\ü\t"}, {Path: "n", Value: "1.50"}}
	bare := domain.Record{At: recordAt(0).At, Replica: "ann", Event: domain.EventWorkerAlive}
	odd := domain.Record{At: recordAt(2).At, Replica: "ann", Event: domain.EventFailed, Queue: "mail", JobID: "nul\x00, \xff", JobName: "\x00", Reason: "\xf0\x9f\x00"}
	s.add(bare, full, odd)
	s.want(domain.RunFilter{Since: full.At.Add(-time.Microsecond), Before: odd.At}, full)
	s.want(domain.RunFilter{Before: full.At}, bare)
	if got := s.find(domain.RunFilter{Since: odd.At}); len(got) != 1 || got[0].Event != odd.Event {
		s.Errorf("Query = %v, want the record with text that is no text", got)
	}
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

func (s runStage) selectsRuns() {
	manual, backfill := recordAt(2), recordAt(3)
	manual.Run.Origin, manual.Run.OriginID = domain.OriginManual, "7f3a"
	backfill.Run.Origin, backfill.Run.OriginID, backfill.Run.PlannedMS = domain.OriginBackfill, "jan", recordAt(1).Run.PlannedMS
	sign := recordAt(4)
	sign.Run = domain.RunKey{Job: "report"}
	s.add(recordAt(1), manual, backfill, sign)
	tick, feb, noon := recordAt(1).Run, backfill.Run, manual.Run
	feb.OriginID, noon.PlannedMS = "feb", tick.PlannedMS
	runs := func(keys ...domain.RunKey) domain.RunFilter { return domain.RunFilter{Runs: keys} }
	s.want(runs(tick), recordAt(1))
	s.want(runs(manual.Run), manual)
	s.want(runs(backfill.Run), backfill)
	s.want(runs(feb, noon))
	s.want(runs(domain.RunKey{}))
	s.want(runs(sign.Run))
	s.want(runs(tick, sign.Run, tick), recordAt(1))
	s.want(runs(feb, backfill.Run, manual.Run, tick), backfill, manual, recordAt(1))
	two := runs(backfill.Run, manual.Run, tick)
	two.Limit = 2
	s.want(two, backfill, manual)
	// In planned instants far from all others there is nothing to be miscalculated.
	far := func(ms int64) domain.RunKey {
		return domain.RunKey{Job: "report", Origin: domain.OriginSchedule, PlannedMS: ms}
	}
	s.want(runs(far(math.MaxInt64), tick, far(math.MinInt64)), recordAt(1))
}

func (s runStage) selectsTicks() {
	tick := recordAt(5)
	missed, backfill, manual, start, other := recordAt(11), recordAt(12), recordAt(13), recordAt(14), recordAt(15)
	missed.Event, missed.Run, missed.Until, missed.Count = domain.EventCoalesced, recordAt(3).Run, recordAt(8).At, 6
	backfill.Run.Origin, backfill.Run.OriginID, backfill.Run.PlannedMS = domain.OriginBackfill, "jan", tick.Run.PlannedMS
	manual.Run.Origin, manual.Run.OriginID, manual.Run.PlannedMS = domain.OriginManual, "1", tick.Run.PlannedMS
	start.Run.Origin, start.Run.OriginID, start.Run.PlannedMS = domain.OriginStart, "d1", tick.Run.PlannedMS
	other.Run.Job, other.Run.PlannedMS = "other", tick.Run.PlannedMS
	s.add(recordAt(4), tick, recordAt(6), missed, backfill, manual, start, other)
	s.want(domain.RunFilter{Job: "report", Tick: tick.At}, backfill, missed, tick)
	s.want(domain.RunFilter{Job: "report", Tick: tick.At, Origins: []domain.Origin{domain.OriginSchedule}}, missed, tick)
	s.want(domain.RunFilter{Job: "report", Tick: recordAt(3).At}, missed)
	s.want(domain.RunFilter{Job: "report", Tick: recordAt(8).At, Events: []domain.Event{domain.EventCoalesced}}, missed)
	s.want(domain.RunFilter{Job: "report", Tick: recordAt(9).At})
	s.want(domain.RunFilter{Job: "nobody", Tick: tick.At})
}

func (s runStage) selectsOrigins() {
	manual, start := recordAt(2), recordAt(3)
	manual.Run.Origin, start.Run.Origin = domain.OriginManual, domain.OriginStart
	s.add(recordAt(1), manual, start)
	s.want(domain.RunFilter{Origins: []domain.Origin{domain.OriginStart, domain.OriginManual}}, start, manual)
	s.want(domain.RunFilter{Origins: []domain.Origin{domain.OriginBackfill}})
}

func (s runStage) selectsFields() {
	first, second, third := recordAt(1), recordAt(2), recordAt(3)
	first.Fields = []domain.Field{{Path: "tenant", Value: "acme"}, {Path: "no", Value: "1"}}
	second.Fields = []domain.Field{{Path: "tenant", Value: "acme"}, {Path: "no", Value: "2"}}
	third.Fields = []domain.Field{{Path: "no", Value: "acme"}}
	second.Event = domain.EventFailed
	s.add(first, second, third)
	acme := domain.Field{Path: "tenant", Value: "acme"}
	s.want(domain.RunFilter{Fields: []domain.Field{acme}}, second, first)
	s.want(domain.RunFilter{Fields: []domain.Field{acme, {Path: "no", Value: "1"}}}, first)
	s.want(domain.RunFilter{Fields: []domain.Field{{Path: "no", Value: "2"}, acme}}, second)
	s.want(domain.RunFilter{Fields: []domain.Field{acme, {Path: "no", Value: "acme"}}})
	s.want(domain.RunFilter{Fields: []domain.Field{acme}, Events: []domain.Event{domain.EventFailed}}, second)
	s.want(domain.RunFilter{Fields: []domain.Field{{Path: "tenant", Value: "none"}}})
}

func (s runStage) selectsReplicas() {
	other := recordAt(2)
	other.Replica = "bob"
	s.add(recordAt(1), other)
	s.want(domain.RunFilter{Replica: "bob"}, other)
	s.want(domain.RunFilter{Replica: "eve"})
}

func (s runStage) selectsQueueJobs() {
	first, second := recordAt(1), recordAt(2)
	first.Queue, first.JobID, second.Queue, second.JobID = "mail", "1", "mail", "2"
	s.add(first, second, recordAt(3))
	s.want(domain.RunFilter{Queue: "mail"}, second, first)
	s.want(domain.RunFilter{Queue: "mail", JobIDs: []domain.JobID{"1"}}, first)
	s.want(domain.RunFilter{Queue: "post", JobIDs: []domain.JobID{"1"}})
	s.want(domain.RunFilter{JobIDs: []domain.JobID{"2"}}, second)
	named := recordAt(4)
	named.Queue, named.JobID, named.JobName = "mail", "3", "send"
	s.add(named)
	s.want(domain.RunFilter{JobName: "send"}, named)
	s.want(domain.RunFilter{Queue: "post", JobName: "send"})
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

func (s runStage) numbers() {
	s.add(recordAt(3), recordAt(1))
	s.add(recordAt(2))
	got := s.find(domain.RunFilter{})
	if len(got) != 3 || got[2].ID <= got[0].ID || got[1].ID <= got[2].ID || got[0].ID <= 0 {
		s.Errorf("Query = %v, want ids that grow as the records were appended", got)
	}
}

// Of each moment there are several records, and pages end among them.
func (s runStage) pages() {
	for n := range 40 {
		record := recordAt(n % 9)
		record.Count = n
		if n%2 == 0 {
			record.Event = domain.EventFailed
		}
		s.add(record)
	}
	for _, filter := range []domain.RunFilter{{}, {Job: "report"}, {Events: []domain.Event{domain.EventFailed}}, {Since: recordAt(4).At}} {
		filter.Limit = 1000
		all := s.find(filter)
		filter.Limit = 7
		var paged []domain.Record
		for page := s.find(filter); len(page) > 0; page = s.find(filter) {
			paged = append(paged, page...)
			filter = filter.Older(&page[len(page)-1])
		}
		if diff := cmp.Diff(all, paged); diff != "" {
			s.Errorf("pages of %+v differ from the whole (-want +got):\n%s", filter, diff)
		}
	}
}

func (s runStage) follows() {
	s.add(recordAt(5), recordAt(6))
	latest := s.find(domain.RunFilter{Limit: 1})[0]
	s.want(domain.RunFilter{AfterID: latest.ID})
	other := recordAt(1)
	other.Run.Job = "other"
	s.add(recordAt(7), other, recordAt(3))
	s.want(domain.RunFilter{AfterID: latest.ID}, recordAt(7), other, recordAt(3))
	s.want(domain.RunFilter{AfterID: latest.ID, Limit: 2}, recordAt(7), other)
	s.want(domain.RunFilter{AfterID: latest.ID, Job: "report"}, recordAt(7), recordAt(3))
	s.want(domain.RunFilter{AfterID: latest.ID, Since: recordAt(2).At, Before: recordAt(7).At}, recordAt(3))
}

// Whatever is appended and asked for, the answer is what
// [domain.RunFilter.Selects] says.
func (s runStage) selectsAsTheDomain() {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		batch := make([]domain.Record, 1+dice.IntN(30))
		for i := range batch {
			batch[i] = anyRecord(dice)
		}
		s.add(batch...)
	}
	all := s.find(domain.RunFilter{Limit: 1000})
	found := 0
	for range 250 {
		found += s.wantSelected(anyFilter(dice, all), all)
	}
	if found < 500 {
		s.Errorf("the filters selected %d records, want enough to tell", found)
	}
}

func oneOf[T any](dice *rand.Rand, values ...T) T { return values[dice.IntN(len(values))] }

// anyRecord returns one of a queue job, a run or a replica.
func anyRecord(dice *rand.Rand) domain.Record {
	r := domain.Record{At: recordAt(dice.IntN(20)).At, Replica: oneOf(dice, "ann", "bob")}
	switch kind := dice.IntN(10); {
	case kind == 0:
		r.Event = oneOf(dice, domain.EventWorkerStarted, domain.EventWorkerAlive)
		return r
	case kind < 6:
		r.Run = anyRun(dice)
		r.Event = oneOf(dice, domain.EventClaimed, domain.EventFired, domain.EventFailed, domain.EventSkipped)
		if r.Run.Origin == domain.OriginSchedule && r.Event == domain.EventSkipped {
			r.Until, r.Count = r.Run.Planned().Add(time.Duration(dice.IntN(4))*time.Second), 3
		}
		if r.Event != domain.EventFired {
			return r
		}
	default:
		r.Event = oneOf(dice, domain.EventCompleted, domain.EventFailed)
	}
	r.Queue, r.JobName = oneOf[domain.QueueName](dice, "mail", "post"), oneOf(dice, "send", "sort")
	r.JobID = domain.JobID(fmt.Sprint(dice.IntN(20)))
	for _, path := range []string{"a", "b"} {
		if dice.IntN(2) == 0 {
			r.Fields = append(r.Fields, domain.Field{Path: path, Value: fmt.Sprint(dice.IntN(3))})
		}
	}
	return r
}

func anyRun(dice *rand.Rand) domain.RunKey {
	key := domain.TickKey(oneOf(dice, "report", "sweep"), recordAt(dice.IntN(20)).At)
	key.Origin = oneOf(dice, domain.OriginSchedule, domain.OriginSchedule, domain.OriginBackfill, domain.OriginManual, domain.OriginStart)
	switch key.Origin {
	case domain.OriginStart:
		key.PlannedMS = 0
		fallthrough
	case domain.OriginManual, domain.OriginBackfill:
		key.OriginID = oneOf(dice, "x", "y")
	case domain.OriginSchedule:
	}
	return key
}

// anyFilter returns one with up to three conditions.
func anyFilter(dice *rand.Rand, all []domain.Record) domain.RunFilter {
	filter := domain.RunFilter{Limit: oneOf(dice, 1, 5, 1000)}
	some := &all[dice.IntN(len(all))]
	conditions := []func(){
		func() { filter.Job = oneOf(dice, "report", "sweep", "nobody") },
		func() {
			for range 1 + dice.IntN(3) {
				filter.Runs = append(filter.Runs, all[dice.IntN(len(all))].Run)
			}
		},
		func() { filter.Tick = recordAt(dice.IntN(20)).At },
		func() {
			filter.Origins = []domain.Origin{domain.OriginStart, oneOf(dice, domain.OriginSchedule, domain.OriginManual)}
		},
		func() { filter.Queue = oneOf[domain.QueueName](dice, "mail", "post", "none") },
		func() {
			for range 1 + dice.IntN(3) {
				filter.JobIDs = append(filter.JobIDs, domain.JobID(fmt.Sprint(dice.IntN(21))))
			}
		},
		func() { filter.JobName = oneOf(dice, "send", "sort") },
		func() { filter.Fields = some.Fields },
		func() { filter.Fields = []domain.Field{{Path: "a", Value: fmt.Sprint(dice.IntN(4))}} },
		func() {
			filter.Events = []domain.Event{some.Event, oneOf(dice, domain.EventParked, domain.EventFailed)}
		},
		func() { filter.Replica = oneOf(dice, "ann", "bob", "eve") },
		func() { filter.Since = recordAt(dice.IntN(20)).At },
		func() { filter.Before = recordAt(dice.IntN(20)).At },
		func() { filter = filter.Older(some) },
		func() { filter.AfterID = some.ID },
	}
	for range dice.IntN(4) {
		oneOf(dice, conditions...)()
	}
	return filter
}

func (s runStage) prune(keep domain.RunRetention, limit, want int) {
	s.Helper()
	if n, err := s.store.Prune(s.Context(), keep, limit); n != want || err != nil {
		s.Errorf("Prune(%+v, %d) = %d, %v, want %d and no error", keep, limit, n, err, want)
	}
}

func (s runStage) prunesByAge() {
	first := recordAt(1)
	first.Fields = []domain.Field{{Path: "a", Value: "b"}}
	s.add(first, recordAt(3), recordAt(2), recordAt(4))
	keep := domain.RunRetention{Since: recordAt(4).At}
	s.prune(keep, 2, 2)
	s.want(domain.RunFilter{}, recordAt(4), recordAt(3))
	s.prune(keep, 2, 1)
	s.prune(keep, 2, 0)
	s.want(domain.RunFilter{}, recordAt(4))
	s.want(domain.RunFilter{Fields: first.Fields})
	s.add(first)
	s.want(domain.RunFilter{Fields: first.Fields}, first)
}

func (s runStage) prunesByCount() {
	for n := range 9 {
		s.add(recordAt(n))
	}
	s.prune(domain.RunRetention{Count: 9}, 10, 0)
	s.prune(domain.RunRetention{Count: 4}, 3, 3)
	s.prune(domain.RunRetention{Count: 4}, 3, 2)
	s.prune(domain.RunRetention{Count: 4}, 3, 0)
	s.prune(domain.RunRetention{}, 3, 0)
	s.prune(domain.RunRetention{Count: 3, Since: recordAt(5).At}, 9, 1)
	s.prune(domain.RunRetention{Count: 3, Since: recordAt(7).At}, 9, 1)
	s.add(recordAt(9))
	s.prune(domain.RunRetention{Count: 3}, 9, 0)
	s.want(domain.RunFilter{}, recordAt(9), recordAt(8), recordAt(7))
}

func (s runStage) endsWithContext() {
	s.add(recordAt(1))
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, queried := s.store.Query(ctx, domain.RunFilter{})
	_, pruned := s.store.Prune(ctx, domain.RunRetention{Count: 1, Since: recordAt(9).At}, 9)
	for call, err := range map[string]error{
		"Append": s.store.Append(ctx, []domain.Record{recordAt(2)}), "Query": queried, "Prune": pruned,
	} {
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s = %v, want the end of the context", call, err)
		}
	}
	s.want(domain.RunFilter{}, recordAt(1))
}
