package torture_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

// beatJobs are how many jobs tick at once.
const beatJobs = 10

// sqlFleet is a fleet whose ledger is in Postgres, and whose queue is in Redis.
type sqlFleet struct {
	desk

	t        *testing.T
	server   *redistest.Server
	postgres string
	started  int
}

func newSQLFleet(t *testing.T) *sqlFleet {
	t.Helper()
	f := &sqlFleet{desk: newDesk(t), t: t, server: redistest.Start(t, "--appendonly", "yes")}
	f.watchServer(t, f.server)
	f.postgres = pgtest.Migrate(t, pgtest.Start(t).URI).Reveal()
	return f
}

// replica starts another replica. Of three in turn one's clock is right, one's
// ahead and one's behind.
func (f *sqlFleet) replica(change func(*part)) *process {
	f.t.Helper()
	offset := []time.Duration{0, 400 * time.Millisecond, -400 * time.Millisecond}[f.started%3]
	f.started++
	p := part{
		Role: worker, Name: fmt.Sprint("r", f.started), Addr: f.server.Addr, Postgres: f.postgres, File: f.effects(), Concurrency: 20,
		Jobs: beatJobs, Tick: time.Second, Dispatcher: inSteps, Offset: offset,
	}
	if change != nil {
		change(&p)
	}
	return f.launch(f.t, p)
}

func (f *sqlFleet) replicas(change func(*part)) []*process {
	return []*process{f.replica(change), f.replica(change), f.replica(change)}
}

// end lets all that is under way end, under a worker that does not tick.
func (f *sqlFleet) end(fleet []*process) {
	f.t.Helper()
	rest(leaseTime + 2*stalledTime + time.Second)
	last := f.replica(func(p *part) { p.Jobs = 0 })
	for _, r := range fleet {
		r.stop()
	}
	awaitEnd(f.t, f.server)
	last.stop()
}

func (f *sqlFleet) judge() tally {
	f.t.Helper()
	return judgedTicks(f.t, f.desk, f.server, rules{concurrency: 20, workers: f.started, crashes: 2, interval: time.Second})
}

// freeze stops the replica for as long, in the background, and returns what
// waits for it to go on.
func (f *sqlFleet) freeze(p *process, lasts time.Duration) (wait func()) {
	f.t.Helper()
	b := blow{Kind: pausedWorker, PID: p.pid(), From: instant()}
	p.signal(syscall.SIGSTOP)
	thawed := make(chan struct{})
	go func() {
		defer close(thawed)
		rest(lasts)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	}()
	return func() {
		<-thawed
		b.Until = instant()
		f.note(f.t, b)
	}
}

// Ten jobs tick each second on three replicas with wrong clocks, of which one
// is killed every five seconds, and one frozen every twenty. Two live at any
// time, one of them awake: each tick comes once, and none is missing.
func TestEachTickComesOnceWhileReplicasDieOnPostgres(t *testing.T) {
	t.Parallel()
	lasts := sized(20*time.Second, 1000*time.Second)
	f := newSQLFleet(t)
	fleet := f.replicas(nil)
	thaw, frozen := func() {}, -1
	pace := time.NewTicker(5 * time.Second)
	defer pace.Stop()
	round := 0
	for began := time.Now(); time.Since(began) < lasts; <-pace.C {
		// Somewhere in the second, not always at the same place.
		rest(rand.N(time.Second))
		i := rand.IntN(len(fleet))
		if round%4 == 1 {
			thaw()
			frozen = (i + 1) % len(fleet)
			thaw = f.freeze(fleet[frozen], time.Second+rand.N(9*time.Second))
		}
		if i == frozen && round%4 != 0 {
			i = (i + 1) % len(fleet) // a frozen replica is to go on
		}
		f.strike(t, killedWorker, fleet[i])
		fleet[i] = f.replica(nil)
		if round++; round%4 == 0 {
			thaw()
			thaw, frozen = func() {}, -1
		}
	}
	thaw()
	f.end(fleet)
	sum := f.judge()
	if least := beatJobs * int((lasts-5*time.Second)/time.Second); sum.accepted < least {
		t.Errorf("%d ticks in %s, want at least %d", sum.accepted, lasts, least)
	}
}

// Three replicas are restarted one after another: each tick comes once, and
// nothing is done twice.
func TestARollingRestartLosesNoTickOnPostgres(t *testing.T) {
	t.Parallel()
	f := newSQLFleet(t)
	fleet := f.replicas(nil)
	f.awaitTicks(1)
	for range 10 {
		for i := range fleet {
			old := fleet[i]
			fleet[i] = f.replica(nil)
			f.awaitTicks(sized(1, 2))
			old.stop()
		}
	}
	f.awaitTicks(2)
	f.end(fleet)
	if sum := f.judge(); sum.duplicates > 0 {
		t.Errorf("%d ticks were worked twice, want none", sum.duplicates)
	}
}

// awaitTicks waits until each job has ticked so many times more.
func (f *sqlFleet) awaitTicks(count int) {
	f.t.Helper()
	before := len(f.of(f.t, ended))
	await(f.t, "ticks", patience, func() bool { return len(f.of(f.t, ended)) >= before+count*beatJobs })
}

// All replicas are gone for a while: of the ticks that were missed the latest
// comes, once, when they are back.
func TestOneMissedTickIsCaughtUpOnPostgres(t *testing.T) {
	t.Parallel()
	const interval, missed = 5 * time.Second, 2
	slow := func(p *part) { p.Tick, p.MisfireAfter = interval, 300*time.Millisecond }
	f := newSQLFleet(t)
	fleet := f.replicas(slow)
	for range sized(1, 5) {
		f.awaitTicks(1)
		rest(time.Second) // what the ticks put on the queue is done
		for _, r := range fleet {
			f.strike(t, killedWorker, r)
		}
		gone := time.Now()
		latest := gone.Truncate(interval).Add(missed * interval)
		rest(time.Until(latest.Add(800 * time.Millisecond)))
		back := time.Now()
		fleet = f.replicas(slow)
		f.awaitTicks(2)
		caughtUp := map[string][]int64{}
		for _, e := range f.of(t, ended) {
			tick, err := parseTick(e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if tick.at > gone.UnixMilli() && tick.at < back.UnixMilli() {
				caughtUp[tick.job] = append(caughtUp[tick.job], tick.at)
			}
		}
		if len(caughtUp) != beatJobs {
			t.Errorf("%d of %d jobs caught up", len(caughtUp), beatJobs)
		}
		for job, ticks := range caughtUp {
			if !slices.Equal(ticks, []int64{latest.UnixMilli()}) {
				t.Errorf("%s caught up with %d, want %d alone", job, ticks, latest.UnixMilli())
			}
		}
	}
	f.end(fleet)
}

// A new definition is rolled out beside the old one, and rolled back. Its ticks
// lie half a second beside those of the old one.
func TestARollingDeployAndItsRollbackKeepToTheValidDefinitionOnPostgres(t *testing.T) {
	t.Parallel()
	renewed := func(p *part) { p.Revision, p.Phase = "v2", 500*time.Millisecond }
	f := newSQLFleet(t)
	fleet := f.replicas(nil)
	f.awaitTicks(3)
	newer := []*process{f.replica(renewed)}
	f.awaitTicks(3)
	fleet[0].stop()
	newer = append(newer, f.replica(renewed))
	f.awaitTicks(3)
	// The rollback: the old definition is valid when no replica with the new
	// one has given a sign of life for a lease.
	fleet[0] = f.replica(nil)
	for _, r := range newer {
		r.stop()
	}
	f.awaitTicks(3)
	f.end(fleet)
	for job := range beatJobs {
		name := fmt.Sprint("beat-", job)
		report(t, revisionsOf(name, f.ticksOf(name)))
	}
}

// ticksOf returns the instants of the job's ticks that were worked, in order.
func (f *sqlFleet) ticksOf(job string) []int64 {
	f.t.Helper()
	var ticks []int64
	for _, e := range f.of(f.t, ended) {
		tick, err := parseTick(e.ID)
		if err != nil {
			f.t.Fatal(err)
		}
		if tick.job == job {
			ticks = append(ticks, tick.at)
		}
	}
	slices.Sort(ticks)
	return ticks
}

// revisionsOf tells what is wrong with the ticks of a job whose definition was
// replaced and came back: old ones at full seconds, new ones between them, old
// ones again, and none left out while a definition was valid. A new one is valid at
// once: at most the tick that is undecided just then is nobody's, and on a busy
// machine one or two more.
func revisionsOf(job string, ticks []int64) (wrong []string) {
	var spans strings.Builder
	for i, at := range ticks {
		kind := "o"
		if at%1000 == 500 {
			kind = "n"
		}
		switch {
		case i == 0 || !strings.HasSuffix(spans.String(), kind):
			spans.WriteString(kind)
			if i > 0 && kind == "n" && at-ticks[i-1] > 3500 {
				wrong = append(wrong, fmt.Sprintf("%s: the new definition begins at %d, long after %d", job, at, ticks[i-1]))
			}
		case at-ticks[i-1] != 1000:
			wrong = append(wrong, fmt.Sprintf("%s: tick %d follows %d", job, at, ticks[i-1]))
		}
	}
	if spans.String() != "ono" {
		wrong = append(wrong, fmt.Sprintf("%s: definitions follow one another as %q, want old, new and old", job, spans.String()))
	}
	return wrong
}

func TestTicksOfTheWrongDefinitionAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		ticks []int64
		want  int
	}{
		"in order":          {[]int64{1000, 2000, 2500, 3500, 9000, 10000}, 0},
		"an old one more":   {[]int64{1000, 2000, 2500, 3000, 3500, 9000}, 1},
		"a new one is late": {[]int64{1000, 2000, 6500, 7500, 9000}, 1},
		"one is missing":    {[]int64{1000, 3000, 3500, 9000}, 1},
		"one comes twice":   {[]int64{1000, 1000, 1500, 9000}, 1},
		"never rolled back": {[]int64{1000, 1500}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := revisionsOf("beat", c.ticks); len(got) != c.want {
				t.Errorf("found %q, want %d", got, c.want)
			}
		})
	}
}
