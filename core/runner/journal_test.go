package runner_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// events reads all events from the source that declares them.
func events(t *testing.T) []domain.Event {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../domain/record.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []domain.Event
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if kind, named := specType(spec, ok); named && kind == "Event" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, domain.Event(text))
		}
		return true
	})
	if len(all) < 20 || !slices.Contains(all, domain.EventCompleted) {
		t.Fatalf("events = %v, want all of package domain", all)
	}
	return all
}

func specType(spec *ast.ValueSpec, ok bool) (string, bool) {
	if !ok || spec.Type == nil {
		return "", false
	}
	name, ok := spec.Type.(*ast.Ident)
	if !ok {
		return "", false
	}
	return name.Name, true
}

func TestEveryEventHasALogLineOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]domain.Event{}
	for _, event := range events(t) {
		for _, record := range []domain.Record{{Event: event, Run: domain.RunKey{Job: "report"}}, {Event: event, JobID: "1"}} {
			_, message := runner.LineOf(&record)
			if message == string(event) || message == "" {
				t.Errorf("%s: message = %q, want words of its own", event, message)
			}
			if other, taken := seen[message]; taken && other != event {
				t.Errorf("%s and %s are both logged as %q", event, other, message)
			}
			seen[message] = event
		}
	}
}

// slowStore is a run store that can be made to fail or to wait.
type slowStore struct {
	*inmemqueue.RunStore

	mu      sync.Mutex
	down    bool
	takes   time.Duration
	batches []int
}

func (s *slowStore) Append(ctx context.Context, records []domain.Record) error {
	s.mu.Lock()
	down, takes := s.down, s.takes
	s.batches = append(s.batches, len(records))
	s.mu.Unlock()
	if takes > 0 {
		time.Sleep(takes)
	}
	if down {
		return ports.ErrUnavailable
	}
	return s.RunStore.Append(ctx, records)
}

func (s *slowStore) set(down bool, takes time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.takes = down, takes
}

func withStore(store ports.RunStore) func(*desk) {
	return func(d *desk) { d.ports.Runs, d.concurrency = store, 50 }
}

func TestJournalSurvivesAnOutageOfItsStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{RunStore: inmemqueue.NewRunStore(20_000), down: true}
		d := open(t, handlers{"send": returns(nil)}, withStore(store))
		for range 30 {
			d.put("send", 100, domain.JobOptions{KeepCompleted: domain.KeepNone()})
			pass(time.Second)
		}
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 3000})
		d.wantCalm("run records not stored")
		store.set(false, 0)
		pass(2 * time.Second)
		d.runs = store.RunStore
		if n := len(d.records()); n != 3000 {
			t.Errorf("%d records, want all 3000", n)
		}
		if most := slices.Max(store.batches); most > runner.JournalBatch {
			t.Errorf("%d records in one append, want at most %d", most, runner.JournalBatch)
		}
	})
}

// What comes while records are written gathers like any others: many small appends
// cost a database far more than few large ones.
func TestJournalGathersWhatComesWhileItWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{RunStore: inmemqueue.NewRunStore(20_000), takes: 10 * time.Millisecond}
		d := open(t, handlers{"send": returns(nil)}, withStore(store))
		for range 2000 {
			d.put("send", 10, domain.JobOptions{KeepCompleted: domain.KeepNone()})
			pass(time.Millisecond)
		}
		pass(time.Second)
		d.runs = store.RunStore
		if n := len(d.records(domain.EventCompleted)); n != 20_000 {
			t.Errorf("%d records, want all 20,000", n)
		}
		if appends := len(store.batches); appends > 15 {
			t.Errorf("records of two seconds were written in %d appends, want a few each second: %v", appends, store.batches)
		}
	})
}

func TestJournalIsBoundedAndCountsWhatItSheds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs = runner.JournalLimit + 3000
		store := &slowStore{RunStore: inmemqueue.NewRunStore(2 * runner.JournalLimit), down: true}
		d := open(t, handlers{"send": returns(nil)}, withStore(store))
		for sent := 0; sent < jobs; sent += 100 {
			d.put("send", min(100, jobs-sent), domain.JobOptions{KeepCompleted: domain.KeepNone()})
			synctest.Wait()
		}
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: jobs})
		pass(5 * time.Second)
		store.set(false, 0)
		pass(5 * time.Second)
		shed := 0
		for _, line := range d.log.with("run records not stored") {
			n, err := strconv.Atoi(line.attrs["shed"])
			if err != nil {
				t.Fatalf("line %v: %v", line, err)
			}
			shed += n
		}
		d.runs = store.RunStore
		// One is the sign of life at the start.
		if n := d.recorded(); n+shed != jobs+1 || shed < 2000 {
			t.Errorf("%d records stored, %d shed, want %d in all", n, shed, jobs+1)
		}
		d.wantCalm("run records not stored")
	})
}

// recorded returns how many records the store has, of whatever.
func (d *desk) recorded() int {
	d.t.Helper()
	records, err := d.runs.Query(context.Background(), domain.RunFilter{Limit: 2 * runner.JournalLimit})
	if err != nil {
		d.t.Fatalf("Query() = %v, want none", err)
	}
	return len(records)
}

func TestJournalBoundsWhatItsRecordsTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs = 4000
		store := &slowStore{RunStore: inmemqueue.NewRunStore(20_000), down: true}
		large := domain.Permanent(errors.New(strings.Repeat("x", 4000)))
		d := open(t, handlers{"send": returns(large)}, withStore(store))
		for range jobs / 100 {
			d.put("send", 100, domain.JobOptions{KeepFailed: domain.KeepNone()})
			synctest.Wait()
		}
		d.wantCounts(map[domain.Event]int{domain.EventFailed: jobs})
		store.set(false, 0)
		pass(5 * time.Second)
		d.runs = store.RunStore
		if n := len(d.records()); n > (8<<20)/4000 || n < (8<<20)/4096-50 {
			t.Errorf("%d records stored, want what 8 MiB of reasons are of", n)
		}
		d.wantCalm("run records not stored")
		// What was stored makes room.
		d.put("send", 100, domain.JobOptions{KeepFailed: domain.KeepNone()})
		pass(5 * time.Second)
		if n := len(d.records()); n < (8<<20)/4096+50 {
			t.Errorf("%d records stored, want the last hundred too", n)
		}
	})
}

func TestJournalTellsOfAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{RunStore: inmemqueue.NewRunStore(1000), takes: time.Minute}
		d := open(t, handlers{"send": returns(nil)}, withStore(store))
		d.put("send", 20, domain.JobOptions{})
		pass(30 * time.Second)
		if lines := d.log.with("run records wait"); len(lines) != 1 || lines[0].attrs["waiting"] != "21" {
			t.Errorf("log = %v, want one line about 21 records: the start and 20 jobs", d.log)
		}
		d.wantCalm("run records wait")
		pass(time.Minute)
		d.runs = store.RunStore
		if n := len(d.records()); n != 20 {
			t.Errorf("%d records stored, want 20", n)
		}
	})
}

func TestJournalWritesItsLastRecordsAtTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{RunStore: inmemqueue.NewRunStore(1000), takes: 500 * time.Millisecond}
		d := open(t, handlers{"send": lasting(time.Hour)}, withStore(store))
		d.put("send", 20, domain.JobOptions{})
		synctest.Wait()
		d.stop(runner.StopBudget{Drain: time.Millisecond, Release: time.Second})
		d.runs = store.RunStore
		if n := len(d.records(domain.EventReturned)); n != 20 {
			t.Errorf("%d records, want the 20 that were given back at the end", n)
		}
		time.Sleep(time.Hour)
	})
}

func TestJournalSaysWhatItLostAtTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{RunStore: inmemqueue.NewRunStore(1000), down: true}
		d := open(t, handlers{"send": returns(nil)}, withStore(store))
		d.put("send", 20, domain.JobOptions{})
		pass(time.Second)
		began := time.Now()
		d.stop(runner.StopBudget{Release: 2 * time.Second})
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Stop() took %s, want at most the 2s for releases", took)
		}
		if lines := d.log.with("run records lost"); len(lines) != 1 || lines[0].attrs["count"] != "22" {
			t.Errorf("log = %v, want 22 lost records: 20 jobs, the start and the stop", d.log)
		}
	})
}

func TestRunnerWithoutHistoryCountsAndLogs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil)}, func(d *desk) { d.ports.Runs = nil })
		d.put("send", 3, domain.JobOptions{})
		pass(time.Second)
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 3})
		if n := len(d.log.with("job completed")); n != 3 {
			t.Errorf("%d log lines, want 3", n)
		}
	})
}

// choosyStore takes no batch that holds a record with the reason "bad".
type choosyStore struct{ *inmemqueue.RunStore }

func (s choosyStore) Append(ctx context.Context, records []domain.Record) error {
	if slices.ContainsFunc(records, func(r domain.Record) bool { return r.Reason == "bad" }) {
		return domain.Invalidf("value out of range")
	}
	return s.RunStore.Append(ctx, records)
}

func TestJournal_isNotHeldUpByARecordThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := choosyStore{inmemqueue.NewRunStore(1000)}
		log := &tickLog{}
		j := runner.NewJournal("ann", store, slog.New(log))
		go j.Run()
		for n := range 100 {
			record := domain.Record{Event: domain.EventFailed, JobName: strconv.Itoa(n)}
			if n == 37 {
				record.Reason = "bad"
			}
			j.Record(record)
		}
		j.Stop(time.Minute)
		found, err := store.Query(t.Context(), domain.RunFilter{Limit: 1000})
		if err != nil || len(found) != 99 {
			t.Errorf("%d records are stored, %v, want all but the one", len(found), err)
		}
	})
}
