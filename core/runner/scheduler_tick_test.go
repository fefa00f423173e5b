package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

func TestScheduler_runsEachTickAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(time.Second)))
		f.waitUntil(11500 * time.Millisecond)
		wantStory(t, r, "report",
			"5s +5s claimed", "5s +5s started #1", "6s +5s completed #1",
			"10s +10s claimed", "10s +10s started #1", "11s +10s completed #1")
		status := r.Jobs()["report"]
		if want := f.origin.Add(15 * time.Second); !status.Next.Equal(want) {
			t.Errorf("Next = %s, want %s", status.Next, want)
		}
		if status.Running != 0 || status.Last.Event != domain.EventCompleted {
			t.Errorf("Jobs = %+v, want none running, the last completed", status)
		}
	})
}

func TestScheduler_runsSubSecondTicksOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "fast", 250*time.Millisecond, takes(0)), tickJob(t, "odd", 330*time.Millisecond, takes(0)))
		f.waitUntil(10100 * time.Millisecond)
		for name, want := range map[string]int{"fast": 40, "odd": 30} {
			if started := r.told(name, "started"); len(started) < want {
				t.Errorf("%s has run %d times, want %d", name, len(started), want)
			}
			for _, line := range r.told(name, "late") {
				t.Errorf("a tick is late: %s", line)
			}
		}
	})
}

func TestScheduler_sharesAWakeBetweenTicksThatLieCloseTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var jobs []runner.ScheduledJob
		for i := range 1000 {
			s := schedule.Every{Interval: 10 * time.Second, Phase: time.Duration(i) * time.Millisecond}
			jobs = append(jobs, runner.ScheduledJob{Name: fmt.Sprint("job-", i), Schedule: s, Handler: takes(0)})
		}
		r := f.start(t, "ann", jobs...)
		f.waitUntil(12 * time.Second)
		// The phases lie in the first second and in the eleventh.
		if n := r.waker.count(); n > 1040 {
			t.Errorf("there were %d wakes for 1999 ticks a millisecond apart, want one every 2 ms", n)
		}
		if got := r.Counts()[domain.EventCompleted]; got != 1999 {
			t.Errorf("%d runs completed, want 1999", got)
		}
	})
}

func TestScheduler_leavesOutDisabledAndManualJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		off := tickJob(t, "off", time.Second, takes(0))
		off.Disabled = true
		off.Policy.OnStart = domain.StartEachReplica
		r := f.start(t, "ann", off, manualJob("hand", takes(0)))
		f.waitUntil(5 * time.Second)
		wantStory(t, r, "off")
		wantStory(t, r, "hand")
	})
}

func TestScheduler_keepsADefinitionThatIsDisabledHereToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ann := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(0)))
		off := tickJob(t, "report", time.Second, takes(0))
		off.Disabled, off.Fingerprint = true, "v2"
		f.start(t, "bob", off)
		f.waitUntil(6 * time.Second)
		wantStory(t, ann, "report", "5s +5s claimed", "5s +5s started #1", "5s +5s completed #1")
	})
}

func TestScheduler_takesTheMisfireBorderFromItsTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.timing.MisfireAfter = 2 * time.Second
		job := tickJob(t, "report", 10*time.Second, takes(0))
		job.Misfire.Policy = schedule.MisfireSkip
		r := f.start(t, "ann", job)
		f.waitUntil(9 * time.Second)
		f.ledger.cut("claim")
		f.waitUntil(14 * time.Second)
		f.ledger.heal()
		f.waitUntil(18 * time.Second)
		if got := r.told("report", "skipped"); len(got) != 1 {
			t.Errorf("skipped = %q, want the tick that was 4 s late", got)
		}
	})
}

// outage runs a job every ten seconds through a minute without claims.
func outage(t *testing.T, misfire schedule.Misfire) []string {
	t.Helper()
	f := newFleet(t)
	job := tickJob(t, "report", 10*time.Second, takes(0))
	job.Misfire, job.Policy.Overlap = misfire, domain.OverlapAllow
	r := f.start(t, "ann", job)
	f.waitUntil(15 * time.Second)
	f.ledger.cut()
	f.waitUntil(65 * time.Second)
	f.ledger.heal()
	f.waitUntil(75 * time.Second)
	var lines []string
	for _, record := range r.book.all() {
		if record.Event != domain.EventStarted && record.Event != domain.EventCompleted {
			lines = append(lines, fmt.Sprint(f.run(record.Run), " ", record.Event))
		}
	}
	if n := f.log.count("ticks not claimed"); n < 1 || n > 50 {
		t.Errorf("the outage was logged %d times, want about once a second at most", n)
	}
	return lines
}

func TestScheduler_coalescesTheTicksOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wantLines(t, "decisions", outage(t, schedule.Misfire{}), "+10s claimed",
			"+20s coalesced", "+30s coalesced", "+40s coalesced", "+50s coalesced", "+1m0s claimed", "+1m10s claimed")
	})
}

func TestScheduler_skipsTheTicksOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wantLines(t, "decisions", outage(t, schedule.Misfire{Policy: schedule.MisfireSkip}), "+10s claimed",
			"+20s skipped", "+30s skipped", "+40s skipped", "+50s skipped", "+1m0s claimed", "+1m10s claimed")
	})
}

func TestScheduler_runsAllTicksOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wantLines(t, "decisions", outage(t, schedule.Misfire{Policy: schedule.MisfireAll, Cap: 2}), "+10s claimed",
			"+20s skipped", "+30s skipped", "+40s claimed", "+50s claimed", "+1m0s claimed", "+1m10s claimed")
	})
}

func TestScheduler_catchesUpWhenItStarts(t *testing.T) {
	for name, c := range map[string]struct {
		misfire schedule.Misfire
		want    []string
	}{
		"once":       {schedule.Misfire{}, []string{"+20s coalesced", "+30s coalesced", "+40s claimed"}},
		"skip":       {schedule.Misfire{Policy: schedule.MisfireSkip}, []string{"+20s skipped", "+30s skipped", "+40s skipped"}},
		"all":        {schedule.Misfire{Policy: schedule.MisfireAll}, []string{"+20s claimed", "+30s claimed", "+40s claimed"}},
		"all capped": {schedule.Misfire{Policy: schedule.MisfireAll, Cap: 1}, []string{"+20s skipped", "+30s skipped", "+40s claimed"}},
		"past grace": {schedule.Misfire{Grace: 9 * time.Second}, []string{"+20s skipped", "+30s skipped", "+40s skipped"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.timing.MisfireAfter = 5 * time.Second
				job := tickJob(t, "report", 10*time.Second, takes(0))
				job.Misfire, job.Policy.Overlap = c.misfire, domain.OverlapAllow
				ann := f.start(t, "ann", job)
				f.waitUntil(15 * time.Second)
				ann.stop()
				f.waitUntil(49500 * time.Millisecond)
				bob := f.start(t, "bob", job)
				settle()
				var got []string
				for _, record := range bob.book.all() {
					if record.Event != domain.EventStarted && record.Event != domain.EventCompleted {
						got = append(got, fmt.Sprint(f.run(record.Run), " ", record.Event))
					}
				}
				wantLines(t, "decisions", got, c.want...)
			})
		})
	}
}

func TestScheduler_recordsPausedTicksAsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(0)))
		if err := f.ledger.PauseJob(t.Context(), "report"); err != nil {
			t.Fatal(err)
		}
		f.waitUntil(12 * time.Second)
		if !r.Jobs()["report"].Paused {
			t.Error("Jobs says that the job is not paused")
		}
		if err := f.ledger.ResumeJob(t.Context(), "report"); err != nil {
			t.Fatal(err)
		}
		f.waitUntil(16 * time.Second)
		wantStory(t, r, "report", "5s +5s skipped (paused)", "10s +10s skipped (paused)",
			"15s +15s claimed", "15s +15s started #1", "15s +15s completed #1")
	})
}

func TestScheduler_pausesAndResumesOnAllReplicasWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 250 * time.Millisecond
		f := newFleet(t)
		fleet := make(map[string]*replica)
		for _, name := range []string{"ann", "bob", "cyd"} {
			fleet[name] = f.start(t, name, tickJob(t, "report", every, takes(0)))
		}
		wantPaused := func(want bool) {
			t.Helper()
			for name, r := range fleet {
				if got := r.Jobs()["report"].Paused; got != want {
					t.Errorf("%s says paused = %t a second after the change, want %t", name, got, want)
				}
			}
		}
		f.waitUntil(10*time.Second + every/2)
		if err := f.ledger.PauseJob(t.Context(), "report"); err != nil {
			t.Fatal(err)
		}
		f.waitUntil(11*time.Second + every/2)
		wantPaused(true)
		f.waitUntil(20*time.Second + every/2)
		if err := f.ledger.ResumeJob(t.Context(), "report"); err != nil {
			t.Fatal(err)
		}
		f.waitUntil(21*time.Second + every/2)
		wantPaused(false)
		f.waitUntil(30*time.Second + every/2)
		ticks := make(map[string]bool)
		for _, r := range fleet {
			for _, line := range r.told("report", "started") {
				ticks[strings.Fields(line)[1]] = true
			}
		}
		for at := every; at <= 30*time.Second; at += every {
			isPaused := at > 10*time.Second && at <= 20*time.Second
			if ran := ticks["+"+at.String()]; ran == isPaused {
				t.Errorf("the tick at %s ran = %t, want %t", at, ran, !isPaused)
			}
		}
	})
}

func TestScheduler_yieldsToANewerDefinitionAndTakesOverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		older, other := "ann", "bob"
		if domain.Hash("report", older) > domain.Hash("report", other) {
			older, other = other, older
		}
		ann := f.start(t, older, tickJob(t, "report", 5*time.Second, takes(0)))
		newer := tickJob(t, "report", 6*time.Second, takes(0))
		newer.Fingerprint = "v2"
		f.waitUntil(6 * time.Second)
		bob := f.start(t, other, newer)
		f.waitUntil(22 * time.Second)
		if !ann.Jobs()["report"].Superseded {
			t.Error("Jobs says that the old definition is still planned")
		}
		bob.stop()
		f.waitUntil(60 * time.Second)
		wantLines(t, "runs of the newer", bob.told("report", "started"), "12s +12s started #1", "18s +18s started #1")
		started := ann.told("report", "started")
		if len(started) < 4 || started[0] != "5s +5s started #1" || slices.Contains(started, "10s +10s started #1") || slices.Contains(started, "20s +20s started #1") {
			t.Errorf("runs of the older = %q, want them before and after the newer's life", started)
		}
		if n := f.log.count("a newer definition"); n != 1 {
			t.Errorf("the change was logged %d times, want once", n)
		}
		if n := f.log.count("valid again"); n != 1 {
			t.Errorf("the rollback was logged %d times, want once", n)
		}
	})
}

func TestScheduler_learnsOfANewerDefinitionFromAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.timing.Sync = 9 * time.Second
		ann := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(0)))
		newer := manualJob("report", takes(0))
		newer.Fingerprint = "v2"
		f.waitUntil(6 * time.Second)
		f.start(t, "bob", newer)
		f.waitUntil(8 * time.Second)
		f.ledger.cut("sync")
		f.waitUntil(12 * time.Second)
		if !ann.Jobs()["report"].Superseded {
			t.Error("Jobs says that the job is still planned")
		}
		if report := ann.handTo(t, "old"); report.Reason != domain.ReasonSuperseded {
			t.Errorf("Trigger = %+v, want it refused as superseded", report)
		}
		f.ledger.heal()
		f.waitUntil(30 * time.Second)
		wantLines(t, "runs", ann.told("report", "started"), "5s +5s started #1")
		if n := f.log.count("a newer definition"); n != 1 {
			t.Errorf("the change was logged %d times, want once", n)
		}
	})
}

// rewindingLedger is a ledger that lost its latest writes.
type rewindingLedger struct {
	*reachableLedger

	lost atomic.Pointer[time.Time]
}

// Claim answers the first claim after the loss as a ledger does whose cursor
// went back.
func (l *rewindingLedger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	if cursor := l.lost.Swap(nil); cursor != nil {
		return []domain.Verdict{{Kind: domain.Taken, Cursor: *cursor}}, nil
	}
	return l.reachableLedger.Claim(ctx, intents)
}

func TestScheduler_followsACursorThatWentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ledger := &rewindingLedger{reachableLedger: f.ledger}
		r := f.replicaOn(t, "ann", ledger, tickJob(t, "report", 5*time.Second, takes(0)))
		r.mustStart(t)
		f.waitUntil(12 * time.Second)
		back := f.origin.Add(5 * time.Second)
		ledger.lost.Store(&back)
		f.waitUntil(22 * time.Second)
		wantLines(t, "runs", r.told("report", "started"), "5s +5s started #1", "10s +10s started #1", "15.002s +15s started #1 late 2ms", "20s +20s started #1")
		if n := f.log.count("cursor went back"); n != 1 {
			t.Errorf("the loss was logged %d times, want once", n)
		}
	})
}

func TestScheduler_waitsForTheLedgerWhenItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.ledger.cut()
		r := f.replica(t, "ann", tickJob(t, "report", 5*time.Second, takes(0)))
		time.AfterFunc(7*time.Second, f.ledger.heal)
		r.mustStart(t)
		if took := time.Since(f.origin); took < 7*time.Second || took > 10*time.Second {
			t.Errorf("Start took %s, want it to end soon after the ledger is back", took)
		}
		f.waitUntil(15500 * time.Millisecond)
		wantLines(t, "runs", r.told("report", "started"), "10s +10s started #1", "15s +15s started #1")
	})
}

func TestScheduler_givesUpItsStartWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.ledger.cut()
		r := f.replica(t, "ann", tickJob(t, "report", 5*time.Second, takes(0)))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := r.Start(ctx); !errors.Is(err, ports.ErrUnavailable) {
			t.Errorf("Start = %v, want ErrUnavailable", err)
		}
		if took := time.Since(f.origin); took != 5*time.Second {
			t.Errorf("Start took %s, want 5s", took)
		}
		if state := r.Health().State; state != runner.StateStopped {
			t.Errorf("State = %s, want stopped", state)
		}
	})
}

func TestScheduler_reportsALedgerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		r := f.start(t, "ann", tickJob(t, "report", 5*time.Second, takes(time.Second)))
		f.waitUntil(5500 * time.Millisecond)
		health := r.Health()
		if len(health.Problems) != 0 || health.Runs != 1 || health.Jobs != 1 || health.Scope != domain.ScopeHost {
			t.Errorf("Health = %+v, want one run and no problem", health)
		}
		f.ledger.cut()
		f.waitUntil(60 * time.Second)
		if health := r.Health(); len(health.Problems) == 0 || health.SyncedAgo < 50*time.Second {
			t.Errorf("Health = %+v, want it to tell of the ledger", health)
		}
		f.ledger.heal()
		f.waitUntil(70 * time.Second)
		if health := r.Health(); len(health.Problems) != 0 {
			t.Errorf("Problems = %q, want none after the ledger is back", health.Problems)
		}
	})
}
