package redisqueue_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

const (
	twinLease        = time.Minute
	twinReplicaLease = 40 * time.Second
)

func TestLedger_behavesLikeTheOneInMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	steps := 3000
	if testing.Short() {
		steps = 500
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			newTwins(t, server, seed).play(steps)
		})
	}
}

// twins play one random history against the ledger in memory and the one in
// Redis and compare all answers. Time that passes is taken off the leases in
// Redis. Tokens and the cursors at the beginning are each ledger's own.
type twins struct {
	*testing.T

	dice     *rand.Rand
	client   *redis.Client
	prefix   string
	sides    [2]twin
	skew     time.Duration
	replicas map[string][]domain.Definition
	// alive are the replicas that synced since time passed.
	alive map[string]bool
	// claims are all that were ever granted, with the token on each side.
	claims []twinClaim
	runs   int
}

type twin struct {
	ports.Ledger
	ports.ScheduleSwitch

	// base are the cursors from which the history counts.
	base    map[string]time.Time
	cursors map[string]time.Duration
	seen    map[string]uint64
	known   map[string]map[string]twinState
}

// twinState is what a replica knows of a job.
type twinState struct {
	Cursor             time.Duration
	Revision           uint64
	Superseded, Paused bool
}

type twinClaim struct {
	run     twinRun
	replica string
	print   string
	tokens  [2]domain.ClaimToken
}

// twinRun is a run whose instant counts from its side's base.
type twinRun struct {
	job    string
	origin domain.Origin
	id     string
	at     time.Duration
}

func twinJobs() []string { return []string{"a", "b", "c"} }

func newTwins(t *testing.T, server *redistest.Server, seed uint64) *twins {
	t.Helper()
	w := &twins{
		T: t, dice: rand.New(rand.NewPCG(seed, 7)), client: server.Client(),
		prefix: "takt:{" + ownPrefix(t) + "}:twin:ledger", replicas: map[string][]domain.Definition{}, alive: map[string]bool{},
	}
	memory := inmemqueue.NewLedger(inmemqueue.LedgerConfig{
		Now: func() time.Time { return time.Now().Add(w.skew) }, ReplicaLease: twinReplicaLease,
	})
	inRedis := openLedger(t, server, "twin").WithReplicaLease(twinReplicaLease)
	w.sides = [2]twin{{Ledger: memory, ScheduleSwitch: memory}, {Ledger: inRedis, ScheduleSwitch: inRedis}}
	for i := range w.sides {
		w.begin(&w.sides[i])
	}
	return w
}

// begin moves the cursors far ahead, so that no step to the present changes them.
func (w *twins) begin(side *twin) {
	side.base, side.cursors, side.seen = map[string]time.Time{}, map[string]time.Duration{}, map[string]uint64{}
	side.known = map[string]map[string]twinState{}
	var definitions []domain.Definition
	for _, job := range twinJobs() {
		definitions = append(definitions, domain.Definition{Job: job, Fingerprint: "v1"})
	}
	w.replicas["ann"] = definitions
	reply, err := side.Sync(w.Context(), domain.SyncRequest{Replica: "ann", Definitions: definitions})
	if err != nil {
		w.Fatalf("Sync = %v, want no error", err)
	}
	var intents []domain.Intent
	for _, state := range reply.Jobs {
		side.base[state.Job] = state.Cursor.Add(10_000 * time.Hour)
		intents = append(intents, domain.Intent{
			Run: domain.RunKey{Job: state.Job, Origin: domain.OriginSchedule}, Replica: "ann", Fingerprint: "v1",
			Move: &domain.CursorMove{From: state.Cursor, To: side.base[state.Job]}, MoveOnly: true,
		})
	}
	if _, err := side.Claim(w.Context(), intents); err != nil {
		w.Fatalf("Claim = %v, want no error", err)
	}
}

func (w *twins) play(steps int) {
	moves := []func(){
		w.sync, w.sync, w.sync, w.sync, w.claim, w.claim, w.claim, w.claim, w.hold, w.hold, w.hold,
		w.renew, w.finish, w.finish, w.abandoned, w.pass, w.toggle,
	}
	for step := range steps {
		moves[w.dice.IntN(len(moves))]()
		if w.Failed() {
			w.Fatalf("after %d steps", step+1)
		}
	}
	if len(w.claims) < steps/20 {
		w.Errorf("%d claims in %d steps, want more", len(w.claims), steps)
	}
}

// both asks each side and compares what they say.
func both[A any](w *twins, what string, ask func(i int, side *twin) A) A {
	w.Helper()
	memory, inRedis := ask(0, &w.sides[0]), ask(1, &w.sides[1])
	if diff := gocmp.Diff(memory, inRedis, gocmp.AllowUnexported(twinVerdict{}, twinRun{}, twinAbandoned{})); diff != "" {
		w.Errorf("%s differs (-memory +redis):\n%s", what, diff)
	}
	return memory
}

func (w *twins) pick(of ...string) string { return of[w.dice.IntN(len(of))] }

func (w *twins) replica() string { return w.pick("ann", "bob", "cyd", "dan") }

func (w *twins) sync() {
	replica := w.replica()
	w.alive[replica] = true
	if w.replicas[replica] == nil || w.dice.IntN(10) == 0 {
		definitions := []domain.Definition{}
		for _, job := range twinJobs() {
			if version := w.dice.IntN(5); version > 0 {
				definitions = append(definitions, domain.Definition{Job: job, Fingerprint: fmt.Sprint("v", version)})
			}
		}
		w.replicas[replica] = definitions
	}
	type answer struct {
		Replicas []string
		Known    map[string]twinState
	}
	// A registration that a replica shares with others is no change of its
	// jobs in Redis: what counts is what the replica knows after the news.
	both(w, "Sync("+replica+")", func(_ int, side *twin) answer {
		reply, err := side.Sync(w.Context(), domain.SyncRequest{Replica: replica, Definitions: w.replicas[replica], Since: side.seen[replica]})
		if err != nil {
			w.Fatalf("Sync = %v, want no error", err)
		}
		side.seen[replica] = reply.Version
		if side.known[replica] == nil {
			side.known[replica] = map[string]twinState{}
		}
		for _, s := range reply.Jobs {
			side.known[replica][s.Job] = twinState{s.Cursor.Sub(side.base[s.Job]), s.Revision, s.Superseded, s.Paused}
		}
		a := answer{Replicas: reply.Replicas, Known: map[string]twinState{}}
		for _, d := range w.replicas[replica] {
			a.Known[d.Job] = side.known[replica][d.Job]
		}
		return a
	})
}
