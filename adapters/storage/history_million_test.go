package storage_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// manyRecords is how many records the stores hold whose queries are looked at.
func manyRecords() int {
	if os.Getenv("TAKT_TORTURE") == "all" {
		return 1_000_000
	}
	return 50_000
}

// fill appends n records: those of queue jobs and of runs, all of them frequent, and
// among the oldest some of every rare kind.
func fill(tb testing.TB, store *storage.RunStore, n int) {
	tb.Helper()
	const size = 4096
	batch := make([]domain.Record, 0, size)
	for i := range n {
		batch = append(batch, pastRecord(i, n))
		if len(batch) == size || i == n-1 {
			if err := store.Append(tb.Context(), batch); err != nil {
				tb.Fatalf("Append = %v, want no error", err)
			}
			batch = batch[:0]
		}
	}
}

func pastRecord(i, n int) domain.Record {
	switch {
	case i < n/200:
		return rareRecord(i)
	case i%15 < 2 || i%15 == 5:
		return pastShortRun(i)
	case i%5 < 2:
		return pastRun(i)
	}
	r := pastJob(i)
	// Of the fields one value is frequent; it never failed.
	if i%5 == 4 {
		r.Fields = []domain.Field{{Path: "tenant", Value: fmt.Sprint("t", i%10)}, {Path: "order", Value: fmt.Sprint(i)}}
		r.JobName, r.Event = "order", domain.EventCompleted
	}
	// What failed did so on one replica.
	if r.Event == domain.EventFailed {
		r.Replica = "replica-1"
	}
	return r
}

// pastShortRun returns the next record of a run that began and ended within some of them:
// of each of three hundred jobs there is one in each second.
func pastShortRun(i int) domain.Record {
	n := i / 15
	r := domain.Record{
		At: pastTime(i), Replica: fmt.Sprint("replica-", n%3), Event: domain.EventClaimed,
		Run: domain.TickKey(fmt.Sprint("job-", n%300), pastTime(15*n).Truncate(time.Second)),
	}
	switch i % 15 {
	case 1:
		r.Event, r.Attempt = domain.EventStarted, 1
	case 5:
		r.Event, r.Attempt, r.Took = domain.EventCompleted, 1, 800*time.Microsecond
	}
	return r
}

// rareRecord returns one that few others are like.
func rareRecord(i int) domain.Record {
	r := pastRun(i)
	switch i % 10 {
	case 0:
		r.Event = domain.EventQuarantined
	case 1:
		r.Replica = "replica-gone"
	case 2:
		r.Run.Origin, r.Run.OriginID = domain.OriginBackfill, "b1"
	case 3:
		r = pastJob(i)
		r.Queue, r.JobName = "queue-rare", "name-rare"
	case 4:
		r.Run.Job, r.Event = "job-paused", domain.EventSkipped
		r.Until, r.Count = r.Run.Planned().Add(time.Second), 2
	case 5:
		r.Event = domain.EventParked
		r.Fields = []domain.Field{{Path: "tenant", Value: "rare"}}
	default:
		// Each has a kind of its own.
		r.Run.Job, r.Event = fmt.Sprint("job-once-", i), domain.EventLost
	}
	return r
}

type namedFilter struct {
	name   string
	filter domain.RunFilter
}

// pastFilters returns each filter alone, with frequent, rare and absent
// values, and those pairs that leave nothing of what is frequent. The store
// holds n records.
func pastFilters(tb testing.TB, store *storage.RunStore, n int) []namedFilter {
	tb.Helper()
	events := func(e ...domain.Event) []domain.Event { return e }
	ids := func(numbers ...int) (ids []domain.JobID) {
		for _, number := range numbers {
			ids = append(ids, domain.JobID(fmt.Sprint(number)))
		}
		return ids
	}
	tick := pastTime(n / 2).Truncate(time.Second)
	field := func(path, value string) []domain.Field { return []domain.Field{{Path: path, Value: value}} }
	var runs []domain.RunKey
	for second := range 50 {
		for job := range 3 {
			runs = append(runs, domain.TickKey(fmt.Sprint("job-", 7+job), tick.Add(time.Duration(second)*time.Second)))
		}
	}
	page := domain.RunFilter{Queue: "queue-1"}
	page = page.Older(newestOf(tb, store, domain.RunFilter{Queue: "queue-1", Before: pastTime(n / 3)}, 1))
	return []namedFilter{
		{"none", domain.RunFilter{}},
		{"job", domain.RunFilter{Job: "job-7"}},
		{"job absent", domain.RunFilter{Job: "job-none"}},
		{"job and state", domain.RunFilter{Job: "job-7", Events: events(domain.EventCompleted)}},
		{"job and state absent", domain.RunFilter{Job: "job-7", Events: events(domain.EventFailed)}},
		{"queue", domain.RunFilter{Queue: "queue-1"}},
		{"queue rare", domain.RunFilter{Queue: "queue-rare"}},
		{"queue absent", domain.RunFilter{Queue: "queue-none"}},
		{"queue and name", domain.RunFilter{Queue: "queue-1", JobName: "name-1"}},
		{"queue, name and state", domain.RunFilter{Queue: "queue-4", JobName: "name-19", Events: events(domain.EventFailed)}},
		{"name", domain.RunFilter{JobName: "name-1"}},
		{"name rare", domain.RunFilter{JobName: "name-rare"}},
		{"state", domain.RunFilter{Events: events(domain.EventCompleted)}},
		{"state less frequent", domain.RunFilter{Events: events(domain.EventFailed)}},
		{"state rare", domain.RunFilter{Events: events(domain.EventQuarantined)}},
		{"state of many kinds", domain.RunFilter{Events: events(domain.EventLost)}},
		{"state of runs", domain.RunFilter{Events: events(domain.EventStarted)}},
		{"job and state of runs", domain.RunFilter{Job: "job-7", Events: events(domain.EventStarted), Before: pastTime(n / 3)}},
		{"state absent", domain.RunFilter{Events: events(domain.EventStuck)}},
		{"states", domain.RunFilter{Events: events(domain.EventFailed, domain.EventQuarantined, domain.EventStuck)}},
		{"replica", domain.RunFilter{Replica: "replica-1"}},
		{"replica rare", domain.RunFilter{Replica: "replica-gone"}},
		{"replica absent", domain.RunFilter{Replica: "replica-none"}},
		{"replica and state absent", domain.RunFilter{Replica: "replica-0", Events: events(domain.EventFailed)}},
		{"origin", domain.RunFilter{Origins: []domain.Origin{domain.OriginSchedule}}},
		{"origin rare", domain.RunFilter{Origins: []domain.Origin{domain.OriginBackfill}}},
		{"origin absent", domain.RunFilter{Origins: []domain.Origin{domain.OriginStart}}},
		{"job id", domain.RunFilter{JobIDs: ids(n/200 + 3 + 5*(n/20))}},
		{"job id absent", domain.RunFilter{Queue: "queue-1", JobIDs: []domain.JobID{"none"}}},
		{"job id absent everywhere", domain.RunFilter{JobIDs: []domain.JobID{"none"}}},
		{"job id, before", domain.RunFilter{JobIDs: ids(n/200 + 3 + 5*(n/20)), Before: pastTime(n / 3)}},
		{"job ids, old", domain.RunFilter{JobIDs: ids(n/200+3, n/200+8, n/200+13, n/200+18, -1, -2), Since: pastTime(n / 200)}},
		{"run", domain.RunFilter{Runs: []domain.RunKey{domain.TickKey("job-7", tick)}}},
		{"runs", domain.RunFilter{Runs: runs, Limit: 1000}},
		{"runs, followed", domain.RunFilter{Runs: runs, AfterID: -1}},
		{"run absent", domain.RunFilter{Runs: []domain.RunKey{domain.TickKey("job-7", tick.Add(time.Millisecond))}}},
		{"tick", domain.RunFilter{Job: "job-7", Tick: tick}},
		{"tick in a range", domain.RunFilter{Job: "job-paused", Tick: pastTime(n / 400).Truncate(time.Second)}},
		{"tick absent", domain.RunFilter{Job: "job-7", Tick: tick.Add(time.Millisecond)}},
		{"field", domain.RunFilter{Fields: field("tenant", "t4")}},
		{"field of one record", domain.RunFilter{Fields: field("order", fmt.Sprint(n-1))}},
		{"field rare", domain.RunFilter{Fields: field("tenant", "rare")}},
		{"field absent", domain.RunFilter{Fields: field("tenant", "none")}},
		{"field and state absent", domain.RunFilter{Fields: field("tenant", "t4"), Events: events(domain.EventFailed)}},
		{"fields", domain.RunFilter{Fields: append(field("tenant", "t4"), field("order", "4")...)}},
		{"since", domain.RunFilter{Since: pastTime(n - 50)}},
		{"before", domain.RunFilter{Before: pastTime(n / 3)}},
		{"before all", domain.RunFilter{Before: pastTime(-1)}},
		{"page", page},
		{"state, since and before", domain.RunFilter{Events: events(domain.EventFailed), Since: pastTime(n / 3), Before: pastTime(n / 2)}},
		{"a thousand", domain.RunFilter{Events: events(domain.EventCompleted), Limit: 1000}},
		{"under way", domain.RunFilter{UnderWay: true}},
		{"under way, of runs", domain.RunFilter{UnderWay: true, Origins: domain.Origins()}},
		{"under way, of a job", domain.RunFilter{UnderWay: true, Job: "job-7"}},
		{"under way, of a queue", domain.RunFilter{UnderWay: true, Queue: "queue-1"}},
		{"under way, a run", domain.RunFilter{UnderWay: true, Runs: []domain.RunKey{domain.TickKey("job-7", tick)}}},
		{"under way, a job id", domain.RunFilter{UnderWay: true, JobIDs: []domain.JobID{"1"}}},
		{"follow the first", domain.RunFilter{AfterID: -1}},
		{"follow amid", domain.RunFilter{AfterID: newestOf(tb, store, domain.RunFilter{Before: pastTime(n / 2)}, 1).ID}},
		{"follow", domain.RunFilter{AfterID: newestOf(tb, store, domain.RunFilter{}, 100).ID, Job: "job-7"}},
	}
}

// newestOf returns the nth of the records that the filter selects, counted from
// the newest.
func newestOf(tb testing.TB, store *storage.RunStore, filter domain.RunFilter, nth int) *domain.Record {
	tb.Helper()
	filter.Limit = nth
	records, err := store.Query(tb.Context(), filter)
	if err != nil || len(records) < nth {
		tb.Fatalf("Query(%+v) = %d records, %v, want %d", filter, len(records), err, nth)
	}
	return &records[nth-1]
}

func BenchmarkRunStoreQuery_onSQLite(b *testing.B) { benchQuery(b, openSQLite(b)) }

func BenchmarkRunStoreQuery_onPostgres(b *testing.B) { benchQuery(b, openPostgres(b)) }

func benchQuery(b *testing.B, db *storage.DB) {
	b.Helper()
	store, n := db.RunStore("bench").WithBlocks(2, 8), manyRecords()
	fill(b, store, n)
	for _, f := range pastFilters(b, store, n) {
		b.Run(f.name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				records, err := store.Query(b.Context(), f.filter)
				if err != nil {
					b.Fatalf("Query = %v, want no error", err)
				}
				found = len(records)
			}
			b.ReportMetric(float64(found), "found")
		})
	}
}
