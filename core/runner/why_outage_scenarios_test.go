package runner_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// outage lets no replica live from 15 s to the given time.
func (f *fleet) outage(t *testing.T, back time.Duration, job func() runner.ScheduledJob) {
	t.Helper()
	ann := f.start(t, "ann", job())
	f.waitUntil(15300 * time.Millisecond)
	ann.stop()
	f.waitUntil(back)
	f.start(t, "bob", job())
	<-time.After(5 * time.Second)
}

func whyDownCoalesced(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 65*time.Second, func() runner.ScheduledJob { return tickJob(t, "report", 20*time.Second, takes(0)) })
	return f.asks(20*time.Second, 60*time.Second)
}

func whyDownSkipped(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 55*time.Second, func() runner.ScheduledJob {
		job := tickJob(t, "report", 20*time.Second, takes(0))
		job.Misfire.Policy = schedule.MisfireSkip
		return job
	})
	return f.asks(20 * time.Second)
}

func whyDownPastGrace(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 95*time.Second, func() runner.ScheduledJob {
		job := tickJob(t, "report", 50*time.Second, takes(0))
		job.Misfire.Grace = 20 * time.Second
		return job
	})
	return f.asks(50 * time.Second)
}

func whyDownOverCap(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 75*time.Second, func() runner.ScheduledJob {
		job := tickJob(t, "report", 20*time.Second, takes(0))
		job.Policy.Overlap = domain.OverlapAllow
		job.Misfire = schedule.Misfire{Policy: schedule.MisfireAll, Cap: 2}
		return job
	})
	return f.asks(20*time.Second, 40*time.Second)
}

func whyDownLong(t *testing.T, f *fleet) []history.Question {
	f.outage(t, time.Hour, func() runner.ScheduledJob { return tickJob(t, "report", time.Second, takes(0)) })
	return f.asks(30*time.Minute, time.Hour-10*time.Second)
}

// whyDownForgotten has a ledger that ends with its process.
func whyDownForgotten(t *testing.T, f *fleet) []history.Question {
	ann := f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(15 * time.Second)
	ann.stop()
	f.waitUntil(65 * time.Second)
	other := newFleet(t)
	bob := other.start(t, "bob", tensecondly(t, takes(0)))
	f.books = append(f.books, bob.book)
	f.waitUntil(75 * time.Second)
	return f.asks(30 * time.Second)
}

// vanish lets the replica die without a trace.
func (f *fleet) vanish(r *reachableLedger, name string) {
	r.cut()
	if f.vanished == nil {
		f.vanished = map[string]time.Time{}
	}
	f.vanished[name] = time.Now()
}

// alone starts a replica that can be cut off from the fleet's ledger.
func (f *fleet) alone(t *testing.T, name string, jobs ...runner.ScheduledJob) *reachableLedger {
	t.Helper()
	ledger := &reachableLedger{Ledger: f.ledger.Ledger}
	f.replicaOn(t, name, ledger, jobs...).mustStart(t)
	return ledger
}

func whyVanished(t *testing.T, f *fleet) []history.Question {
	ann := f.alone(t, "ann", tickJob(t, "report", 50*time.Second, takes(time.Minute)))
	f.waitUntil(70 * time.Second)
	f.vanish(ann, "ann")
	f.waitUntil(170 * time.Second)
	return f.asks(50*time.Second, 100*time.Second)
}

func whyLedgerAway(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tickJob(t, "report", 40*time.Second, takes(0)))
	f.waitUntil(15 * time.Second)
	f.ledger.cut("claim")
	f.waitUntil(60 * time.Second)
	f.ledger.heal()
	f.waitUntil(70 * time.Second)
	f.ledger.cut("claim")
	f.waitUntil(90 * time.Second)
	return f.asks(40*time.Second, 80*time.Second)
}

func whyTakenOver(t *testing.T, f *fleet) []history.Question {
	ann := f.alone(t, "ann", tickJob(t, "report", time.Minute, takes(32*time.Second)))
	f.waitUntil(66200 * time.Millisecond)
	ann.cut()
	f.start(t, "bob", tickJob(t, "report", time.Minute, takes(20*time.Second)))
	f.waitUntil(115 * time.Second)
	return f.asks(time.Minute)
}

// crashTick makes a replica named "dead" claim the tick of a minute and die
// under its handler, n times.
func (f *fleet) crashTick(t *testing.T, n int) {
	t.Helper()
	reply, err := f.ledger.Sync(t.Context(), domain.SyncRequest{Replica: "dead", Definitions: []domain.Definition{{Job: "report", Fingerprint: "v1"}}})
	if err != nil {
		t.Fatal(err)
	}
	f.waitUntil(time.Minute)
	at := f.origin.Add(time.Minute)
	verdicts, err := f.ledger.Claim(t.Context(), []domain.Intent{{
		Run: domain.TickKey("report", at), Replica: "dead", Fingerprint: "v1", Slot: domain.SlotSkip, Lease: time.Second,
		Move: &domain.CursorMove{From: reply.Jobs[0].Cursor, To: at},
	}})
	if err != nil || verdicts[0].Kind != domain.Granted {
		t.Fatalf("Claim = %+v, %v, want a grant", verdicts, err)
	}
	<-time.After(time.Second)
	f.crashAgain(t, n-1)
}

func whyLost(t *testing.T, f *fleet) []history.Question {
	f.crashTick(t, 1)
	job := tickJob(t, "report", time.Minute, takes(0))
	job.Policy.OnAbandon = domain.AbandonLost
	f.start(t, "ann", job)
	f.waitUntil(70 * time.Second)
	return f.asks(time.Minute)
}

func whyQuarantined(t *testing.T, f *fleet) []history.Question {
	f.crashTick(t, 3)
	f.start(t, "ann", tickJob(t, "report", time.Minute, takes(0)))
	f.waitUntil(70 * time.Second)
	return f.asks(time.Minute)
}

func whyReleased(t *testing.T, f *fleet) []history.Question {
	ann := f.start(t, "ann", tickJob(t, "report", time.Minute, takes(30*time.Second)))
	f.waitUntil(65 * time.Second)
	ann.stop()
	settle()
	waits := f.ask(time.Minute)
	waits.Now = time.Now()
	told := tale{records: f.chronicle(), asked: []history.Question{waits}}
	if _, codes := told.answer(t, everyRecord); codes[0] != history.CodeReleased {
		t.Errorf("before another replica has it, the run is %s, want released", codes[0])
	}
	f.start(t, "bob", tickJob(t, "report", time.Minute, takes(5*time.Second)))
	f.waitUntil(100 * time.Second)
	return f.asks(time.Minute)
}
