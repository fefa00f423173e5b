package runner_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// countingLedger counts what it is asked for. Claims take a while.
type countingLedger struct {
	ports.Ledger

	takes time.Duration

	mu      sync.Mutex
	intents int
	// claims are the calls, claimsAtEnd those before the first end of a run was
	// written.
	claims, claimsAtEnd int
	// firstEnd is when that was.
	firstEnd time.Time
}

func (l *countingLedger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	time.Sleep(l.takes)
	l.mu.Lock()
	l.intents += len(intents)
	l.claims++
	l.mu.Unlock()
	return l.Ledger.Claim(ctx, intents)
}

func (l *countingLedger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	l.mu.Lock()
	if l.claimsAtEnd == 0 {
		l.claimsAtEnd, l.firstEnd = l.claims, time.Now()
	}
	l.mu.Unlock()
	return l.Ledger.Finish(ctx, results)
}

// asked returns what it was asked for.
func (l *countingLedger) asked() (intents, claims, claimsAtEnd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.intents, l.claims, l.claimsAtEnd
}

// manyJobs returns jobs that are due at one instant, ten seconds apart.
func manyJobs(t *testing.T, n int) []runner.ScheduledJob {
	t.Helper()
	return jobsEvery(t, 10*time.Second, n)
}

func jobsEvery(t *testing.T, every time.Duration, n int) []runner.ScheduledJob {
	t.Helper()
	jobs := make([]runner.ScheduledJob, n)
	for i := range jobs {
		jobs[i] = tickJob(t, fmt.Sprint("job-", i), every, takes(0))
	}
	return jobs
}

// What one replica has claimed the others do not ask for, though they do not
// know of it before they look.
func TestManyTicks_areAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs, ticks = 200, 6
		f := newFleet(t)
		ledger := &countingLedger{Ledger: f.ledger}
		for _, name := range []string{"ann", "bob", "cid"} {
			r := f.replicaOn(t, name, ledger, manyJobs(t, jobs)...)
			r.mustStart(t)
		}
		f.waitUntil((10*ticks + 5) * time.Second)
		// At first they do not all know one another.
		if intents, _, _ := ledger.asked(); intents < jobs*ticks || intents > jobs*(ticks+1) {
			t.Errorf("%d ticks were asked for, want each of the %d once", intents, jobs*ticks)
		}
	})
}

// Where claims take long, each replica is late with its own ticks, and so it takes
// it that the others are.
func TestManyTicks_areLeftToReplicasThatAreAsLate(t *testing.T) {
	for _, c := range []struct{ every, takes time.Duration }{
		{every: time.Second, takes: 300 * time.Millisecond}, {every: 5 * time.Second, takes: 1500 * time.Millisecond},
	} {
		t.Run(c.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const jobs, ticks = 12, 10
				f := newFleet(t)
				ledger := &countingLedger{Ledger: f.ledger, takes: c.takes}
				for _, name := range []string{"ann", "bob", "cid"} {
					f.replicaOn(t, name, ledger, jobsEvery(t, c.every, jobs)...).mustStart(t)
				}
				f.waitUntil(c.every*ticks + c.every*9/10)
				// The first tick tells how long claims take.
				if intents, _, _ := ledger.asked(); intents < jobs*ticks || intents > jobs*(ticks+2) {
					t.Errorf("%d ticks were asked for, want each of the %d once", intents, jobs*ticks)
				}
			})
		})
	}
}

// What a late replica leaves to others that are gone it still claims in time.
func TestManyTicks_ofAReplicaThatIsGoneAreNotMissed(t *testing.T) {
	for name, c := range map[string]struct{ takes, after time.Duration }{
		"as ever": {takes: 2 * time.Second}, "of strict jobs": {takes: 1200 * time.Millisecond, after: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const jobs = 12
				skipping := func() []runner.ScheduledJob {
					all := jobsEvery(t, 5*time.Second, jobs)
					for i := range all {
						all[i].Misfire = schedule.Misfire{Policy: schedule.MisfireSkip, After: c.after}
					}
					return all
				}
				f := newFleet(t)
				ledger := &countingLedger{Ledger: f.ledger, takes: c.takes}
				ann, bob := f.replicaOn(t, "ann", ledger, skipping()...), f.replicaOn(t, "bob", ledger, skipping()...)
				ann.mustStart(t)
				bob.mustStart(t)
				f.waitUntil(19 * time.Second)
				bob.stop()
				f.waitUntil(39 * time.Second)
				for i := range jobs {
					name := fmt.Sprint("job-", i)
					claimed, missed := ann.written(name, "claimed"), ann.written(name, "misfire")
					if len(claimed) < 3 || len(missed) > 0 {
						t.Errorf("%s: claimed %q, missed %q, want no tick missed", name, claimed, missed)
					}
				}
			})
		})
	}
}

// What was missed while no replica lived tells nothing about how busy they are.
func TestManyTicks_thatWereMissedMakeNobodyLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		jobs := func() []runner.ScheduledJob { return jobsEvery(t, 20*time.Second, 12) }
		f.start(t, "cid", jobs()...).stop()
		f.waitUntil(55 * time.Second)
		ann, bob := f.start(t, "ann", jobs()...), f.start(t, "bob", jobs()...)
		f.waitUntil(58 * time.Second)
		bob.stop()
		f.waitUntil(70 * time.Second)
		claimed, left := 0, 0
		for i := range 12 {
			name := fmt.Sprint("job-", i)
			for _, line := range ann.written(name, "claimed") {
				switch {
				case line == "1m0s +1m0s claimed":
					claimed++
				case line == "1m0.05s +1m0s claimed late 50ms":
					left++
				case strings.Contains(line, " +1m0s "):
					t.Errorf("%s: %s, want it claimed at once, or 50 ms later if it is bob's", name, line)
				}
			}
		}
		if claimed+left != 12 || left == 0 {
			t.Errorf("%d ticks were claimed at once and %d after bob, want 12 in all, some of them bob's", claimed, left)
		}
	})
}

func TestManyTicks_areClaimedBeforeTheEndsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 1800
		f := newFleet(t)
		ledger := &countingLedger{Ledger: f.ledger, takes: 10 * time.Millisecond}
		r := f.replicaOn(t, "ann", ledger, manyJobs(t, jobs)...)
		r.mustStart(t)
		f.waitUntil(15 * time.Second)
		if intents, claims, atEnd := ledger.asked(); intents != jobs || atEnd != claims {
			t.Errorf("%d ticks were claimed with %d calls, the first end was written after %d", intents, claims, atEnd)
		}
	})
}

// Another replica may not have claimed all its ticks when this one has.
func TestManyTicks_areClaimedByAllBeforeTheEndsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 4000
		f := newFleet(t)
		began := time.Now()
		ledgers := map[string]*countingLedger{"ann": {Ledger: f.ledger}, "bob": {Ledger: f.ledger, takes: 40 * time.Millisecond}}
		for name, ledger := range ledgers {
			f.replicaOn(t, name, ledger, manyJobs(t, jobs)...).mustStart(t)
		}
		f.waitUntil(15 * time.Second)
		for name, ledger := range ledgers {
			own, _, _ := ledger.asked()
			want := 50*time.Millisecond + time.Duration(own-1000)*100*time.Microsecond
			if got := ledger.firstEnd.Sub(began) - 10*time.Second; got != want {
				t.Errorf("%s wrote the first end of %d runs after %s, want %s", name, own, got, want)
			}
		}
	})
}

// Ends are not put off for long.
func TestManyTicks_endWhileClaimsTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ledger := &countingLedger{Ledger: f.ledger, takes: 400 * time.Millisecond}
		r := f.replicaOn(t, "ann", ledger, manyJobs(t, 1800)...)
		r.mustStart(t)
		f.waitUntil(15 * time.Second)
		if _, claims, atEnd := ledger.asked(); atEnd == 0 || atEnd == claims {
			t.Errorf("the first end was written after %d of %d calls, want it before the last", atEnd, claims)
		}
	})
}

// watchfulStore notes how many calls had claimed ticks when the first of these
// claims was written into the history.
type watchfulStore struct {
	ports.RunStore

	ledger *countingLedger

	mu    sync.Mutex
	first int
}

func (s *watchfulStore) Append(ctx context.Context, records []domain.Record) error {
	s.mu.Lock()
	if s.first == 0 && slices.ContainsFunc(records, func(r domain.Record) bool { return r.Event == domain.EventClaimed }) {
		_, s.first, _ = s.ledger.asked()
	}
	s.mu.Unlock()
	return s.RunStore.Append(ctx, records)
}

func (s *watchfulStore) claimsBefore() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

func TestManyTicks_areClaimedBeforeTheHistoryIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ledger := &countingLedger{Ledger: f.ledger, takes: 60 * time.Millisecond}
		store := &watchfulStore{RunStore: inmemqueue.NewRunStore(50_000), ledger: ledger}
		f.shared = store
		r := f.replicaOn(t, "ann", ledger, manyJobs(t, 1800)...)
		r.mustStart(t)
		f.waitUntil(15 * time.Second)
		if _, claims, _ := ledger.asked(); store.claimsBefore() != claims {
			t.Errorf("the history was written after %d of %d calls, want it after all", store.claimsBefore(), claims)
		}
	})
}

// A replica that is preferred for very many ticks is given longer.
func TestManyTicks_areLeftToThePreferredReplicaForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 3000
		f := newFleet(t)
		ann, bob := f.start(t, "ann", manyJobs(t, jobs)...), f.start(t, "bob", manyJobs(t, jobs)...)
		f.waitUntil(15 * time.Second)
		bob.stop()
		f.waitUntil(25 * time.Second)
		var others []string
		for i := range jobs {
			if name := fmt.Sprint("job-", i); domain.Hash(name, "bob") > domain.Hash(name, "ann") {
				others = append(others, name)
			}
		}
		own := jobs - len(others)
		wait := 50*time.Millisecond + time.Duration(own-1000)*100*time.Microsecond
		want := fmt.Sprintf("%s +20s claimed late %s", 20*time.Second+wait, wait)
		claimed := map[string][]string{}
		for _, record := range ann.book.all() {
			if record.Event == domain.EventClaimed {
				claimed[record.Run.Job] = append(claimed[record.Run.Job], f.line(&record))
			}
		}
		for _, name := range others {
			if got := claimed[name]; len(got) != 1 || got[0] != want {
				t.Fatalf("ann claimed %q of %s, want %q", got, name, want)
			}
		}
	})
}

// Very many ticks say nothing about later ones.
func TestManyTicks_delayNoneThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var later []string
		for i := 0; len(later) < 3; i++ {
			if name := fmt.Sprint("later-", i); domain.Hash(name, "bob") > domain.Hash(name, "ann") {
				later = append(later, name)
			}
		}
		jobs := func() []runner.ScheduledJob {
			jobs := manyJobs(t, 3000)
			for _, name := range later {
				jobs = append(jobs, tickJob(t, name, 15*time.Second, takes(0)))
			}
			return jobs
		}
		ann, bob := f.start(t, "ann", jobs()...), f.start(t, "bob", jobs()...)
		f.waitUntil(12 * time.Second)
		bob.stop()
		f.waitUntil(16 * time.Second)
		for _, name := range later {
			if got := ann.written(name, "claimed"); !slices.Equal(got, []string{"15.05s +15s claimed late 50ms"}) {
				t.Errorf("ann claimed %q of %s, want its tick after 50 ms", got, name)
			}
		}
	})
}

// The history goes on while claims are made, if it would lose records otherwise.
func TestManyTicks_shedNoRecordsWhileTheyAreClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 15_000
		f := newFleet(t)
		store := inmemqueue.NewRunStore(100_000)
		f.shared = store
		r := f.replicaOn(t, "ann", &countingLedger{Ledger: f.ledger, takes: 30 * time.Millisecond}, manyJobs(t, jobs)...)
		r.mustStart(t)
		f.waitUntil(18 * time.Second)
		for _, event := range []domain.Event{domain.EventClaimed, domain.EventStarted, domain.EventCompleted} {
			records, err := store.Query(t.Context(), domain.RunFilter{Events: []domain.Event{event}, Limit: 100_000})
			if err != nil || len(records) != jobs {
				t.Errorf("%d records %s are kept (%v), want %d", len(records), event, err, jobs)
			}
		}
	})
}
