// Package ledgertwin plays random histories against two ledgers at once, the one in
// memory and another, and compares all that they answer: what the port leaves
// open is to be decided alike.
package ledgertwin

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// ReplicaLease is how long a replica counts as alive in the histories.
const ReplicaLease = 40 * time.Second

const claimLease = time.Minute

// Ledger is one that is compared.
type Ledger interface {
	ports.Ledger
	ports.ScheduleSwitch
}

// Subject is the ledger that is compared with the one in memory. Its replicas
// have [ReplicaLease].
type Subject struct {
	Ledger Ledger
	// Age takes the time off all leases, of claims and of replicas, as if it had
	// passed.
	Age func(time.Duration) error
	// ForgetsOwners is set for a ledger that does not know who had a tick that is
	// over.
	ForgetsOwners bool
}

// Play plays the history of the seed, of so many steps, in at least a tenth of
// which a run is claimed. It fails the test at the first difference.
func Play(t *testing.T, subject Subject, seed uint64, steps int) {
	t.Helper()
	newTwins(t, subject, seed).play(steps)
}

// twins are the ledger in memory and the subject. Tokens and the cursors at the
// beginning are each ledger's own.
type twins struct {
	*testing.T

	dice     *rand.Rand
	subject  Subject
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
	Ledger

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

func newTwins(t *testing.T, subject Subject, seed uint64) *twins {
	t.Helper()
	w := &twins{
		T: t, dice: rand.New(rand.NewPCG(seed, 7)),
		subject: subject, replicas: map[string][]domain.Definition{}, alive: map[string]bool{},
	}
	memory := inmemqueue.NewLedger(inmemqueue.LedgerConfig{
		Now: func() time.Time { return time.Now().Add(w.skew) }, ReplicaLease: ReplicaLease,
	})
	w.sides = [2]twin{{Ledger: memory}, {Ledger: subject.Ledger}}
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
	if len(w.claims) < steps/10 {
		w.Errorf("%d claims in %d steps, want more", len(w.claims), steps)
	}
}

// both asks each side and compares what they say.
func both[A any](w *twins, what string, ask func(i int, side *twin) A) A {
	w.Helper()
	memory, other := ask(0, &w.sides[0]), ask(1, &w.sides[1])
	if diff := gocmp.Diff(memory, other, gocmp.AllowUnexported(twinVerdict{}, twinRun{}, twinAbandoned{})); diff != "" {
		w.Errorf("%s differs (-memory +other):\n%s", what, diff)
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
	// jobs in a database: what counts is what the replica knows after the news.
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
