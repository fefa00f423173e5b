package torture_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
)

// storm is a run under kills.
type storm struct {
	jobs, batch  int
	workers      int
	concurrency  int
	killWorkers  int
	killServer   int
	killProducer int
	// every is the time between two kills.
	every time.Duration
}

// TestNothingIsLostAndEveryDuplicateIsExplainedByAKill kills workers, the
// producer and Redis while jobs are worked.
func TestNothingIsLostAndEveryDuplicateIsExplainedByAKill(t *testing.T) {
	t.Parallel()
	s := sized(
		storm{jobs: 3000, batch: 10, workers: 3, concurrency: 10, killWorkers: 8, killServer: 1, killProducer: 1, every: 500 * time.Millisecond},
		storm{jobs: 100_000, batch: 20, workers: 3, concurrency: 10, killWorkers: 200, killServer: 5, killProducer: 20, every: 700 * time.Millisecond},
	)
	f := &fleet{
		t: t, desk: newDesk(t), storm: s,
		server: redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always"),
	}
	f.desk.watchServer(t, f.server)
	for range s.workers {
		f.workers = append(f.workers, f.startWorker())
	}
	f.producer = f.startProducer()
	f.strike()
	f.produceAll()
	awaitEnd(t, f.server)
	for _, w := range f.workers {
		w.stop()
	}
	f.judge()
}

// fleet is what a storm rages over.
type fleet struct {
	storm

	t        *testing.T
	desk     desk
	server   *redistest.Server
	workers  []*process
	producer *process
	started  int
}

func (f *fleet) startWorker() *process {
	f.started++
	return f.desk.launch(f.t, part{
		Role: worker, Name: fmt.Sprint("w", f.started), Addr: f.server.Addr, File: f.desk.effects(), Concurrency: f.concurrency,
	})
}

// startProducer starts a producer of the jobs that are not accepted yet, and
// sets its pace so that they last as long as the storm.
func (f *fleet) startProducer() *process {
	f.started++
	name := fmt.Sprint("p", f.started)
	kills := f.killWorkers + f.killServer + f.killProducer
	return f.desk.launch(f.t, part{
		Role: producer, Name: name, Addr: f.server.Addr, File: f.desk.acceptedBy(name),
		Count: f.jobs - f.acceptedSoFar(), Batch: f.batch, OwnIDs: f.started%2 == 0,
		Every: time.Duration(kills) * f.every * time.Duration(f.batch) / time.Duration(f.jobs),
		Least: time.Millisecond, Most: 40 * time.Millisecond,
	})
}

func (f *fleet) acceptedSoFar() int { return len(f.desk.gather(f.t, contents{}).accepted) }

// strike deals all blows, in random order.
func (f *fleet) strike() {
	var plan []blowKind
	for kind, n := range map[blowKind]int{killedWorker: f.killWorkers, serverAway: f.killServer, killedProducer: f.killProducer} {
		plan = append(plan, slices.Repeat([]blowKind{kind}, n)...)
	}
	rand.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	pace := time.NewTicker(f.every)
	defer pace.Stop()
	for _, kind := range plan {
		<-pace.C
		switch kind {
		case killedWorker:
			i := rand.IntN(len(f.workers))
			f.desk.strike(f.t, kind, f.workers[i])
			f.workers[i] = f.startWorker()
		case killedProducer:
			f.desk.strike(f.t, kind, f.producer)
			f.producer = f.startProducer()
		case serverAway:
			b := blow{Kind: kind, PID: f.server.PID(), From: instant()}
			f.server.Restart()
			b.Until = instant()
			f.desk.note(f.t, b)
		case pausedWorker, stalledServer, stalledWorker:
		}
	}
}

// produceAll waits until all jobs are accepted.
func (f *fleet) produceAll() {
	f.t.Helper()
	f.producer.wait()
	if got := f.acceptedSoFar(); got != f.jobs {
		f.t.Errorf("%d jobs accepted, want %d", got, f.jobs)
	}
}

// judge logs what the run came to, and fails the test for what was wrong.
func (f *fleet) judge() {
	f.t.Helper()
	judged(f.t, f.desk, f.server, rules{concurrency: f.concurrency, workers: len(f.workers), batch: f.batch, crashes: 2})
}
