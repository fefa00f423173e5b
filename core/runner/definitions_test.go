package runner_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// newSharedFleet returns a fleet whose replicas write one history.
func newSharedFleet(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t)
	f.shared = inmemqueue.NewRunStore(100_000)
	return f
}

// registered returns which replica recorded which definition of the job, the
// newest first.
func (f *fleet) registered(t *testing.T, job string) (all []string) {
	t.Helper()
	settle()
	records, err := f.shared.Query(t.Context(), domain.RunFilter{Job: job, Events: []domain.Event{domain.EventRegistered}, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		all = append(all, strings.TrimSpace(r.Replica+" "+r.Schedule+" "+r.Reason))
	}
	return all
}

// why answers a question by the history that the fleet shares.
func (f *fleet) why(t *testing.T, q history.Question) history.Answer {
	t.Helper()
	settle()
	q.Now = time.Now()
	evidence, err := history.Gather(t.Context(), f.shared, &q)
	if err != nil {
		t.Fatal(err)
	}
	return history.Explain(q, evidence)
}

func TestDefinitions_areRecordedOncePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSharedFleet(t)
		every := func(d time.Duration) {
			for _, name := range []string{"ann", "bob", "cid"} {
				r := f.start(t, name, tickJob(t, "report", d, takes(0)))
				defer r.stop()
			}
			time.Sleep(time.Minute)
		}
		want := func(when string, count int) {
			t.Helper()
			kept := f.registered(t, "report")
			plain := 0
			for _, line := range kept {
				if !strings.HasSuffix(line, domain.ReasonSuperseded) {
					plain++
				}
			}
			if plain != count {
				t.Errorf("%s: recorded %q, want %d definitions", when, kept, count)
			}
		}
		every(10 * time.Second)
		want("three replicas", 1)
		every(10 * time.Second)
		every(10 * time.Second)
		want("started again", 1)
		every(12 * time.Second)
		want("deployed", 2)
		every(10 * time.Second)
		want("rolled back", 2)
	})
}

// Whoever has the same definitions as the one that recorded them has them, too, and
// nobody else.
func TestDefinitions_areThoseOfAllThatHaveTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSharedFleet(t)
		ann := f.start(t, "ann", tensecondly(t, takes(0)))
		f.waitUntil(15 * time.Second)
		other := f.start(t, "eve", tickJob(t, "other", 10*time.Second, takes(0)))
		bob := f.start(t, "bob", tensecondly(t, takes(0)))
		ann.stop()
		f.waitUntil(45 * time.Second)
		if got := f.registered(t, "report"); len(got) != 1 || got[0] != "ann every 10s" {
			t.Errorf("recorded %q, want what ann recorded alone", got)
		}
		q := f.ask(40 * time.Second)
		q.Replica = "eve"
		if answer := f.why(t, q); !strings.Contains(answer.Text(), "eve is not known to have the job") {
			t.Errorf("eve: %s", answer.Text())
		}
		q = f.ask(12 * time.Second)
		if answer := f.why(t, q); answer.Code != history.CodeNotPlanned {
			t.Errorf("at 12 s: %s", answer.Text())
		}
		bob.stop()
		f.waitUntil(3 * time.Minute)
		if answer := f.why(t, f.ask(100*time.Second)); !strings.Contains(answer.Text(), "no worker that has the job lived since") {
			t.Errorf("after bob: %s", answer.Text())
		}
		other.stop()
	})
}

// A replica that was rolled back has the definition that it once recorded.
func TestDefinitions_areKnownAfterARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSharedFleet(t)
		old := f.start(t, "ann", tensecondly(t, takes(0)))
		f.waitUntil(15 * time.Second)
		job := tickJob(t, "report", 12*time.Second, takes(0))
		job.Fingerprint = "v2"
		deployed := f.start(t, "bob", job)
		f.waitUntil(30 * time.Second)
		old.stop()
		f.waitUntil(60 * time.Second)
		deployed.stop()
		f.waitUntil(2 * time.Minute)
		f.start(t, "ann", tensecondly(t, takes(0)))
		f.waitUntil(3 * time.Minute)
		for at, want := range map[time.Duration]history.Code{
			10 * time.Second: history.CodeRan, 48 * time.Second: history.CodeRan, 50 * time.Second: history.CodeSuperseded,
			170 * time.Second: history.CodeRan, 168 * time.Second: history.CodeSuperseded,
		} {
			if answer := f.why(t, f.ask(at)); answer.Code != want {
				t.Errorf("at %s: %s, want %s:\n%s", at, answer.Code, want, answer.Text())
			}
		}
	})
}

func TestDefinitions_outlastPruning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSharedFleet(t)
		f.keeps = 1000
		f.start(t, "ann", tensecondly(t, takes(0)), tickJob(t, "often", time.Second, takes(0)))
		f.start(t, "bob", tensecondly(t, takes(0)), tickJob(t, "often", time.Second, takes(0)))
		missing, recorded, latest := 0, 0, int64(0)
		for range 120 {
			time.Sleep(time.Minute)
			settle()
			if _, err := f.shared.Prune(t.Context(), domain.RunRetention{Count: 1000}, 100_000); err != nil {
				t.Fatal(err)
			}
			kept, err := f.shared.Query(t.Context(), domain.RunFilter{Job: "report", Events: []domain.Event{domain.EventRegistered}})
			if err != nil {
				t.Fatal(err)
			}
			if len(kept) == 0 {
				missing++
			} else if kept[0].ID != latest {
				recorded++
				latest = kept[0].ID
			}
		}
		// In two hours some 25,000 records were made: each definition may be one
		// of five hundred.
		if missing > 0 || recorded > 60 {
			t.Errorf("missing %d times of 120, recorded %d times", missing, recorded)
		}
	})
}

// unreadable is a history that takes in records and answers no question.
type unreadable struct{ ports.RunStore }

func (unreadable) Query(context.Context, domain.RunFilter) ([]domain.Record, error) {
	return nil, ports.ErrUnavailable
}

func TestSignsOfLife_areGivenToAHistoryThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		store := inmemqueue.NewRunStore(1000)
		f.shared = unreadable{store}
		r := f.start(t, "ann", tickJob(t, "report", time.Hour, takes(0)))
		defer r.stop()
		time.Sleep(5*time.Minute + time.Second)
		settle()
		alive, err := store.Query(t.Context(), domain.RunFilter{Events: []domain.Event{domain.EventWorkerAlive}})
		if err != nil || len(alive) != 10 {
			t.Errorf("%d signs of life in 5 minutes, %v, want 10", len(alive), err)
		}
	})
}

// hourlyJobs are very many jobs that are not due for now.
func hourlyJobs(t *testing.T, n int) []runner.ScheduledJob {
	t.Helper()
	jobs := make([]runner.ScheduledJob, n)
	for i := range jobs {
		jobs[i] = tickJob(t, fmt.Sprint("job-", i), time.Hour, takes(0))
	}
	return jobs
}

// definitions are the records of definitions in the order in which they were
// appended, those that say that all are recorded apart.
func (f *fleet) definitions(t *testing.T) (definitions, catalogs []domain.Record) {
	t.Helper()
	records, err := f.shared.Query(t.Context(), domain.RunFilter{
		Events: []domain.Event{domain.EventRegistered}, AfterID: -1, Limit: 1_000_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Run.Job == "" {
			catalogs = append(catalogs, r)
		} else {
			definitions = append(definitions, r)
		}
	}
	return definitions, catalogs
}

// pacedStore takes its time for each record.
type pacedStore struct {
	*inmemqueue.RunStore

	each time.Duration
}

// Append implements [ports.RunStore].
func (s pacedStore) Append(ctx context.Context, records []domain.Record) error {
	time.Sleep(time.Duration(len(records)) * s.each)
	return s.RunStore.Append(ctx, records)
}

// Replicas of very many jobs leave it to one of them to record the definitions,
// however long that takes. Meanwhile they give signs of life.
func TestDefinitions_ofVeryManyJobsAreRecordedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 10_000
		f := newFleet(t)
		f.shared = pacedStore{RunStore: inmemqueue.NewRunStore(200_000), each: 500 * time.Microsecond}
		for _, name := range []string{"ann", "bob", "cid", "dan"} {
			f.start(t, name, hourlyJobs(t, many)...)
		}
		time.Sleep(5 * time.Minute)
		definitions, catalogs := f.definitions(t)
		if len(definitions) != many || len(catalogs) != 1 {
			t.Errorf("%d definitions of %d jobs are recorded, and %d times that all are, want each once", len(definitions), many, len(catalogs))
		}
		alive, err := f.shared.Query(t.Context(), domain.RunFilter{Events: []domain.Event{domain.EventWorkerAlive}, Limit: 1000})
		if err != nil || len(alive) < 4*9 {
			t.Errorf("%d signs of life of 4 replicas in 5 minutes, %v, want 9 or 10 each", len(alive), err)
		}
	})
}

// A history that falls behind, or is away, gets all definitions all the same, and
// only then the record which says so.
func TestDefinitions_waitForRoomInTheHistory(t *testing.T) {
	for name, hold := range map[string]func(store *slowStore){
		"slow": func(store *slowStore) { store.set(false, 3*time.Second) },
		"away": func(store *slowStore) { store.set(true, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const many = 20_000
				f := newFleet(t)
				store := &slowStore{RunStore: inmemqueue.NewRunStore(100_000)}
				f.shared = store
				hold(store)
				f.start(t, "ann", hourlyJobs(t, many)...)
				time.Sleep(20 * time.Second)
				store.set(false, 100*time.Millisecond)
				time.Sleep(time.Minute)
				definitions, catalogs := f.definitions(t)
				if len(definitions) != many || len(catalogs) != 1 {
					t.Fatalf("%d definitions of %d jobs are recorded, and %d times that all are, want each once", len(definitions), many, len(catalogs))
				}
				if last := definitions[many-1]; last.ID > catalogs[0].ID {
					t.Errorf("the last definition is record %d, but that all are recorded is %d", last.ID, catalogs[0].ID)
				}
				if n := f.log.count("run records not stored"); name == "slow" && n > 0 {
					t.Errorf("%d times records were shed, want none: decisions need the room", n)
				}
			})
		})
	}
}
