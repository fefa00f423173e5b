package history_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
)

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// kept returns a history of the events of runs and queue jobs, a second apart.
func kept(t *testing.T, records ...domain.Record) *inmemqueue.RunStore {
	t.Helper()
	store := inmemqueue.NewRunStore(100_000)
	keepIn(t, store, records)
	return store
}

func keepIn(t *testing.T, store ports.RunStore, records []domain.Record) {
	t.Helper()
	for i := range records {
		records[i].At = dawn.Add(time.Duration(i) * time.Second)
	}
	if err := store.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// tick is a record about the nth tick of a job.
func tick(job string, n int, event domain.Event) domain.Record {
	return domain.Record{Event: event, Run: domain.TickKey(job, dawn.Add(time.Duration(n)*time.Minute))}
}

func mail(id domain.JobID, event domain.Event) domain.Record {
	return domain.Record{Event: event, Queue: "mail", JobID: id, JobName: "send"}
}

// told are the records in short: what they are about and the event.
func told(records []domain.Record) []string {
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = string(r.JobID)
		if r.Run.Origin != "" {
			lines[i] = fmt.Sprintf("%s#%d", r.Run.Job, int(r.Run.Planned().Sub(dawn).Minutes()))
		}
		lines[i] += " " + string(r.Event)
	}
	return lines
}

// A day holds runs that ended, one that was tried twice, one that runs, one that
// waits, and jobs of a queue.
func aDay(t *testing.T) *inmemqueue.RunStore {
	t.Helper()
	return kept(t,
		tick("report", 1, domain.EventClaimed), tick("report", 1, domain.EventStarted), tick("report", 1, domain.EventCompleted),
		tick("report", 2, domain.EventStarted), tick("report", 2, domain.EventFailed),
		tick("report", 2, domain.EventStarted), tick("report", 2, domain.EventCompleted),
		tick("sync", 3, domain.EventSkipped),
		mail("a", domain.EventRetrying), mail("b", domain.EventCompleted), mail("a", domain.EventFailed), mail("c", domain.EventRetrying),
		tick("report", 4, domain.EventStarted), tick("sync", 5, domain.EventClaimed),
		domain.Record{Event: domain.EventWorkerAlive, Replica: "ann"},
	)
}

func TestListTellsTheLatestOfEach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		listing history.Listing
		want    []string
	}{
		"all": {history.Listing{Limit: 10}, []string{
			"sync#5 claimed", "report#4 started", "c retrying", "a failed", "b completed", "sync#3 skipped", "report#2 completed", "report#1 completed",
		}},
		"the newest":  {history.Listing{Limit: 2}, []string{"sync#5 claimed", "report#4 started"}},
		"running":     {history.Listing{Limit: 10, States: []history.State{history.StateRunning}}, []string{"report#4 started", "c retrying"}},
		"waiting":     {history.Listing{Limit: 10, States: []history.State{history.StateWaiting}}, []string{"sync#5 claimed"}},
		"failed":      {history.Listing{Limit: 10, States: []history.State{"failed"}}, []string{"a failed"}},
		"completed":   {history.Listing{Limit: 10, States: []history.State{"completed"}}, []string{"b completed", "report#2 completed", "report#1 completed"}},
		"of a job":    {history.Listing{Limit: 10, Filter: domain.RunFilter{Job: "sync"}}, []string{"sync#5 claimed", "sync#3 skipped"}},
		"of a queue":  {history.Listing{Limit: 10, Filter: domain.RunFilter{Queue: "mail"}, States: []history.State{"failed", "completed"}}, []string{"a failed", "b completed"}},
		"of none":     {history.Listing{Limit: 10, Filter: domain.RunFilter{Job: "nope"}}, []string{}},
		"either kind": {history.Listing{Limit: 10, States: []history.State{history.StateRunning, "skipped"}}, []string{"report#4 started", "c retrying", "sync#3 skipped"}},
	} {
		found, err := history.List(t.Context(), aDay(t), c.listing)
		if diff := cmp.Diff(c.want, told(found.Records)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestListLooksAsFarBackAsNeeded(t *testing.T) {
	t.Parallel()
	records := []domain.Record{tick("old", 0, domain.EventStarted), tick("older", 0, domain.EventClaimed)}
	for n := range 5000 {
		records = append(records, tick("report", n, domain.EventStarted), tick("report", n, domain.EventCompleted))
	}
	store := kept(t, records...)
	states := []history.State{history.StateRunning}
	found, err := history.List(t.Context(), store, history.Listing{Limit: 10, States: states})
	if diff := cmp.Diff([]string{"old#0 started"}, told(found.Records)); err != nil || diff != "" {
		t.Errorf("List: %v, want what has run all the time (-want +got):\n%s", err, diff)
	}
	found, err = history.List(t.Context(), store, history.Listing{Limit: 5000})
	if err != nil || len(found.Records) != 5000 {
		t.Errorf("List = %d, %v, want 5,000 over many pages", len(found.Records), err)
	}
}

// What says nothing about the course of a run does not hide that it runs.
func TestListOfWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	store := kept(t,
		tick("again", 1, domain.EventCompleted), tick("again", 2, domain.EventStarted), tick("again", 2, domain.EventLate),
		mail("lost", domain.EventStuck), mail("lost", domain.EventLost), mail("lost", domain.EventLate), mail("hung", domain.EventStuck),
		tick("moved", 3, domain.EventReleased), tick("moved", 3, domain.EventAbandoned), tick("moved", 4, domain.EventReleased))
	for state, want := range map[history.State][]string{
		history.StateRunning: {"moved#3 abandoned", "hung stuck", "again#2 started"},
		history.StateWaiting: {"moved#4 released"},
	} {
		found, err := history.List(t.Context(), store, history.Listing{Limit: 10, States: []history.State{state}})
		if diff := cmp.Diff(want, told(found.Records)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", state, err, diff)
		}
	}
}

// A result that comes too late does not make what has ended run again.
func TestListPassesOverWhatTellsNothing(t *testing.T) {
	t.Parallel()
	store := kept(t, tick("report", 1, domain.EventStarted), tick("report", 1, domain.EventFailed), tick("report", 1, domain.EventLate))
	found, err := history.List(t.Context(), store, history.Listing{Limit: 10})
	if diff := cmp.Diff([]string{"report#1 failed"}, told(found.Records)); err != nil || diff != "" {
		t.Errorf("List: %v (-want +got):\n%s", err, diff)
	}
}

// Jobs that were snoozed and are done by now are looked at, but not without end, and
// not one by one.
func TestListEndsAfterVeryManyRecords(t *testing.T) {
	t.Parallel()
	const many = 5600
	records := []domain.Record{mail("oldest", domain.EventSnoozed)}
	for n := range many {
		id := domain.JobID(fmt.Sprint("n", n))
		records = append(records, mail(id, domain.EventSnoozed), mail(id, domain.EventCompleted))
	}
	records = append(records, mail("newest", domain.EventSnoozed))
	store := &countingReader{Reader: kept(t, records...)}
	listing := history.Listing{Limit: 10, States: []history.State{"snoozed"}}
	var all []string
	for range 3 {
		found, err := history.List(t.Context(), store, listing)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, told(found.Records)...)
		if found.Reached.IsZero() {
			break
		}
		listing.Filter.Before = found.Reached.Add(time.Microsecond)
	}
	if diff := cmp.Diff([]string{"newest snoozed", "oldest snoozed"}, all); diff != "" || listing.Filter.Before.IsZero() {
		t.Errorf("the listings, the second before %s, found (-want +got):\n%s", listing.Filter.Before, diff)
	}
	if most := many / 50; store.asked > most {
		t.Errorf("the history was asked %d times about %d jobs, want %d at most", store.asked, many, most)
	}
}

// countingReader counts what is asked of a history, and answers as a worker does: no more
// than a thousand records at once.
type countingReader struct {
	history.Reader

	asked int
}

func (r *countingReader) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	if r.asked++; filter.Limit > 1000 {
		return nil, errBroken
	}
	return r.Reader.Query(ctx, filter)
}

// What ended before it was said to be stuck does not run.
func TestListOfJobsThatWereStuckAfterTheyEnded(t *testing.T) {
	t.Parallel()
	store := kept(t,
		mail("older", domain.EventRetrying), mail("gone", domain.EventRetrying), mail("gone", domain.EventLost), mail("gone", domain.EventStuck),
		mail("hung", domain.EventRetrying), mail("hung", domain.EventStuck), mail("done", domain.EventCompleted), mail("done", domain.EventStuck))
	for limit, want := range map[int][]string{1: {"hung stuck"}, 2: {"hung stuck", "older retrying"}, 10: {"hung stuck", "older retrying"}} {
		for _, filter := range []domain.RunFilter{{}, {Queue: "mail"}, {Since: dawn.Add(3 * time.Second), Queue: "mail"}} {
			if !filter.Since.IsZero() {
				want = want[:1]
			}
			listing := history.Listing{Limit: limit, States: []history.State{history.StateRunning}, Filter: filter}
			found, err := history.List(t.Context(), store, listing)
			if diff := cmp.Diff(want, told(found.Records)); err != nil || diff != "" {
				t.Errorf("limit %d, %+v: %v (-want +got):\n%s", limit, filter, err, diff)
			}
		}
	}
}

// Jobs of many queues often have the same ids.
func TestListDoesNotAskForWhatItKnows(t *testing.T) {
	t.Parallel()
	other := mail("1", domain.EventCompleted)
	other.Queue = "other"
	ofOne := []domain.Record{mail("quiet", domain.EventSnoozed), mail("poll", domain.EventSnoozed)}
	ofOther := []domain.Record{mail("1", domain.EventSnoozed)}
	for range 5000 {
		ofOne, ofOther = append(ofOne, mail("poll", domain.EventCompleted)), append(ofOther, other)
	}
	for want, records := range map[string][]domain.Record{"quiet snoozed": ofOne, "1 snoozed": ofOther} {
		store := &countingReader{Reader: kept(t, records...)}
		found, err := history.List(t.Context(), store, history.Listing{Limit: 10, States: []history.State{"snoozed"}})
		if diff := cmp.Diff([]string{want}, told(found.Records)); err != nil || diff != "" || store.asked > 4 {
			t.Errorf("%s: %v, asked %d times, want 4 at most (-want +got):\n%s", want, err, store.asked, diff)
		}
	}
}

func TestListAsksForManyRunsAtOnce(t *testing.T) {
	t.Parallel()
	var records []domain.Record
	var want []string
	for n := range 1000 {
		records = append(records, tick("report", n, domain.EventStarted), tick("report", n, domain.EventFailed))
		if n%2 == 0 {
			records = append(records, tick("report", n, domain.EventCompleted))
		} else {
			want = append(want, fmt.Sprintf("report#%d failed", n))
		}
	}
	slices.Reverse(want)
	// A page, of each the first that are wanted, and then a hundred at once.
	for limit, most := range map[int]int{40: 1 + 1 + 2, 400: 2 + 5 + 6} {
		store := &countingReader{Reader: kept(t, records...)}
		found, err := history.List(t.Context(), store, history.Listing{Limit: limit, States: []history.State{"failed"}})
		if diff := cmp.Diff(want[:limit], told(found.Records)); err != nil || diff != "" || store.asked > most {
			t.Errorf("List of %d: %v, asked %d times, want %d at most (-want +got):\n%s", limit, err, store.asked, most, diff)
		}
	}
}

// A run of which there is very much to tell hides no other.
func TestListLooksThroughAllOfARun(t *testing.T) {
	t.Parallel()
	records := []domain.Record{
		tick("quick", 1, domain.EventStarted), tick("quick", 1, domain.EventFailed), tick("quick", 1, domain.EventCompleted),
		tick("slow", 2, domain.EventStarted), tick("slow", 2, domain.EventFailed),
	}
	for range 1000 {
		records = append(records, tick("slow", 2, domain.EventLate))
	}
	found, err := history.List(t.Context(), kept(t, records...), history.Listing{Limit: 10, States: []history.State{"failed"}})
	if diff := cmp.Diff([]string{"slow#2 failed"}, told(found.Records)); err != nil || diff != "" {
		t.Errorf("List: %v (-want +got):\n%s", err, diff)
	}
}

// A job of which there is very much to tell hides no other.
func TestListLooksThroughAllOfAJob(t *testing.T) {
	t.Parallel()
	records := []domain.Record{mail("busy", domain.EventSnoozed), mail("quiet", domain.EventSnoozed), mail("done", domain.EventSnoozed), mail("done", domain.EventCompleted)}
	for range 1000 {
		records = append(records, mail("busy", domain.EventStuck), mail("busy", domain.EventRetrying))
	}
	found, err := history.List(t.Context(), kept(t, records...), history.Listing{Limit: 10, States: []history.State{"snoozed"}})
	if diff := cmp.Diff([]string{"quiet snoozed"}, told(found.Records)); err != nil || diff != "" {
		t.Errorf("List: %v (-want +got):\n%s", err, diff)
	}
}

func TestEveryDecisionIsOfAState(t *testing.T) {
	t.Parallel()
	states := history.States()
	for _, event := range domain.DecisionEvents() {
		state := history.StateOf(event)
		if !slices.Contains(states, state) || !slices.Contains(history.EventsOf([]history.State{state}), event) {
			t.Errorf("%s is of state %s, which does not tell it", event, state)
		}
		underWay, tells := event.UnderWay()
		if goesOn := state == history.StateRunning || state == history.StateWaiting; tells && underWay != goesOn {
			t.Errorf("%s is of state %s, but under way: %t", event, state, underWay)
		}
	}
}

func TestLastIsTheLatestEndOfEachJob(t *testing.T) {
	t.Parallel()
	last, err := history.Last(t.Context(), aDay(t), []string{"report", "sync", "never"})
	if err != nil || len(last) != 2 || last["report"].Event != domain.EventCompleted || last["sync"].Event != domain.EventSkipped {
		t.Errorf("Last = %v, %v, want report completed and sync skipped", last, err)
	}
	records := []domain.Record{tick("rare", 0, domain.EventFailed)}
	for n := range 3000 {
		records = append(records, tick("often", n, domain.EventCompleted))
	}
	last, err = history.Last(t.Context(), kept(t, records...), []string{"often", "rare", "never"})
	if err != nil || len(last) != 2 || last["rare"].Event != domain.EventFailed {
		t.Errorf("Last = %v, %v, want the rare job, too", last, err)
	}
}

func TestPausedIsWhatWasSaidLast(t *testing.T) {
	t.Parallel()
	said := func(job string, event domain.Event) domain.Record {
		return domain.Record{Event: event, Run: domain.RunKey{Job: job}}
	}
	paused, err := history.Paused(t.Context(), kept(t,
		said("a", domain.EventJobPaused), said("b", domain.EventJobPaused), said("b", domain.EventJobResumed)))
	if diff := cmp.Diff(map[string]bool{"a": true, "b": false}, paused); err != nil || diff != "" {
		t.Errorf("Paused: %v (-want +got):\n%s", err, diff)
	}
}

// broken is a history that cannot be read.
type broken struct{}

var errBroken = errors.New("broken")

func (broken) Query(context.Context, domain.RunFilter) ([]domain.Record, error) {
	return nil, errBroken
}

func TestErrorsOfTheHistoryAreReturned(t *testing.T) {
	t.Parallel()
	_, list := history.List(t.Context(), broken{}, history.Listing{Limit: 1})
	_, last := history.Last(t.Context(), broken{}, []string{"a"})
	_, paused := history.Paused(t.Context(), broken{})
	_, gather := history.Gather(t.Context(), broken{}, &history.Question{Job: "a", At: dawn, Now: dawn})
	for name, err := range map[string]error{"List": list, "Last": last, "Paused": paused, "Gather": gather} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s = %v, want %v", name, err, errBroken)
		}
	}
}
