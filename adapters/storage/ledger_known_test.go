package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/ledgertwin"
	"github.com/taktwork/takt/test/pgtest"
)

// knownTicks are a job's ticks that ann claims with a ledger that knows the job,
// while bob uses another one.
type knownTicks struct {
	*testing.T

	own, other *storage.Ledger
	cursor     time.Time
}

const knownJob = "job-00000"

func newKnownTicks(t *testing.T, db *storage.DB) *knownTicks {
	t.Helper()
	k := &knownTicks{T: t, own: db.Ledger(""), other: db.Ledger("")}
	k.cursor = syncAs(t, k.own, "ann", manyDefinitions(1)).Jobs[0].Cursor
	syncAs(t, k.other, "bob", manyDefinitions(1))
	return k
}

// ask asks for the next tick.
func (k *knownTicks) ask(ledger *storage.Ledger, replica string, slot domain.Slot) domain.Verdict {
	k.Helper()
	to := k.cursor.Add(time.Second)
	verdicts, err := ledger.Claim(k.Context(), []domain.Intent{{
		Run: domain.TickKey(knownJob, to), Replica: replica, Fingerprint: "v1", Slot: slot,
		Move: &domain.CursorMove{From: k.cursor, To: to}, Lease: time.Minute,
	}})
	if err != nil {
		k.Fatalf("Claim = %v, want no error", err)
	}
	return verdicts[0]
}

// tick claims the next tick and goes on to the one after.
func (k *knownTicks) tick(ledger *storage.Ledger, replica string, slot domain.Slot) domain.Claim {
	k.Helper()
	verdict := k.ask(ledger, replica, slot)
	if verdict.Kind != domain.Granted {
		k.Fatalf("the tick is %q, want granted", verdict.Kind)
	}
	k.cursor = verdict.Cursor
	return verdict.Claim
}

// hand claims a run of another origin for bob.
func (k *knownTicks) hand(slot domain.Slot) domain.Claim {
	k.Helper()
	intent := byHand(knownJob, "by-bob")
	intent.Replica, intent.Slot = "bob", slot
	verdicts, err := k.other.Claim(k.Context(), []domain.Intent{intent})
	if err != nil || verdicts[0].Kind != domain.Granted {
		k.Fatalf("Claim = %v, %v, want it granted", verdicts, err)
	}
	return verdicts[0].Claim
}

func (k *knownTicks) do(err error) {
	k.Helper()
	if err != nil {
		k.Fatalf("a change = %v, want no error", err)
	}
}

func (k *knownTicks) finish(ledger *storage.Ledger, claim domain.Claim, end domain.RunEnd) {
	k.Helper()
	held, err := ledger.Finish(k.Context(), []domain.RunResult{{Claim: claim.Ref(), End: end}})
	if err != nil || !held[0] {
		k.Fatalf("Finish = %v, %v, want it held", held, err)
	}
}

// What a ledger knows of a job is not trusted when it has become otherwise.
func TestLedger_doesNotTrustWhatItKnew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		slot domain.Slot
		// change comes between two ticks of ann; the first is granted as before.
		change func(k *knownTicks, before domain.Claim)
		want   domain.VerdictKind
	}{
		"its own run is still under way": {domain.SlotSkip, func(*knownTicks, domain.Claim) {}, domain.Blocked},
		"its own run is over": {domain.SlotSkip, func(k *knownTicks, before domain.Claim) {
			k.finish(k.own, before, domain.EndFinished)
		}, domain.Granted},
		"one of its own runs is over": {domain.SlotSkip, func(k *knownTicks, before domain.Claim) {
			k.tick(k.own, "ann", domain.SlotFree)
			k.finish(k.own, before, domain.EndFinished)
		}, domain.Blocked},
		"its own run was given back": {domain.SlotSkip, func(k *knownTicks, before domain.Claim) {
			k.finish(k.own, before, domain.EndReleased)
		}, domain.Blocked},
		"its own run was taken over": {domain.SlotSkip, func(k *knownTicks, before domain.Claim) {
			k.finish(k.own, before, domain.EndReleased)
			taken, err := k.other.Abandoned(k.Context(), "bob", time.Minute, 1)
			if k.do(err); len(taken) != 1 {
				k.Fatalf("%d claims are taken over, want 1", len(taken))
			}
		}, domain.Blocked},
		"another run began": {domain.SlotSkip, func(k *knownTicks, before domain.Claim) {
			k.finish(k.own, before, domain.EndFinished)
			k.hand(domain.SlotFree)
		}, domain.Blocked},
		"another run began and is over": {domain.SlotSkip, func(k *knownTicks, before domain.Claim) {
			k.finish(k.own, before, domain.EndFinished)
			k.finish(k.other, k.hand(domain.SlotSkip), domain.EndFinished)
		}, domain.Granted},
		"another run began beside its own": {domain.SlotQueue, func(k *knownTicks, before domain.Claim) {
			k.hand(domain.SlotFree)
			k.finish(k.own, before, domain.EndFinished)
		}, domain.Queued},
		"another run waits": {domain.SlotQueue, func(k *knownTicks, before domain.Claim) {
			intent := byHand(knownJob, "by-bob")
			intent.Replica, intent.Slot = "bob", domain.SlotQueue
			_, err := k.other.Claim(k.Context(), []domain.Intent{intent})
			k.do(err)
			k.finish(k.own, before, domain.EndFinished)
		}, domain.Blocked},
		"another replica decided the tick": {domain.SlotFree, func(k *knownTicks, _ domain.Claim) {
			from := k.cursor
			k.tick(k.other, "bob", domain.SlotFree)
			k.cursor = from
		}, domain.Taken},
		"another replica decided the tick before": {domain.SlotFree, func(k *knownTicks, _ domain.Claim) {
			k.tick(k.other, "bob", domain.SlotFree)
		}, domain.Granted},
		"paused": {domain.SlotFree, func(k *knownTicks, _ domain.Claim) {
			k.do(k.other.PauseJob(k.Context(), knownJob))
		}, domain.Paused},
		"paused, decided and resumed": {domain.SlotFree, func(k *knownTicks, _ domain.Claim) {
			k.do(k.other.PauseJob(k.Context(), knownJob))
			verdict := k.ask(k.own, "ann", domain.SlotFree)
			k.do(k.other.ResumeJob(k.Context(), knownJob))
			if k.cursor = verdict.Cursor; verdict.Kind != domain.Paused {
				k.Errorf("the tick of a paused job is %q, want paused", verdict.Kind)
			}
		}, domain.Granted},
		"a newer definition": {domain.SlotFree, func(k *knownTicks, _ domain.Claim) {
			syncAs(k.T, k.other, "bob", []domain.Definition{{Job: knownJob, Fingerprint: "v2"}})
		}, domain.Superseded},
	} {
		for dialect, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
			t.Run(name+" "+dialect, func(t *testing.T) {
				t.Parallel()
				k := newKnownTicks(t, open(t))
				// Cursors that lie ahead are not moved by what makes the present their bound.
				k.cursor = moveTo(k, k.cursor.Add(time.Hour))
				before := k.tick(k.own, "ann", test.slot)
				test.change(k, before)
				if got := k.ask(k.own, "ann", test.slot); got.Kind != test.want {
					t.Errorf("the tick is %q, want %q", got.Kind, test.want)
				}
			})
		}
	}
}

// Of what one call decides from knowledge, some may be old and the rest not.
func TestLedger_decidesAgainOnlyWhatWasOld(t *testing.T) {
	t.Parallel()
	for dialect, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			own, other := db.Ledger(""), db.Ledger("")
			start := cursorsOf(syncAs(t, own, "ann", manyDefinitions(6)))
			finishAll(t, own, claimTicks(t, own, "ann", start, 0))
			taken := map[string]time.Time{"job-00001": start["job-00001"], "job-00004": start["job-00004"]}
			finishAll(t, other, claimTicks(t, other, "bob", taken, 1))
			claims := claimTicks(t, own, "ann", start, 1)
			var jobs []string
			for i := range claims {
				jobs = append(jobs, claims[i].Run.Job)
			}
			slices.Sort(jobs)
			if want := []string{"job-00000", "job-00002", "job-00003", "job-00005"}; !slices.Equal(jobs, want) {
				t.Errorf("ticks of %q are granted, want those of %q", jobs, want)
			}
			finishAll(t, own, claims)
			if left := countOpen(t, db); left != 0 {
				t.Errorf("%d claims are open, want none", left)
			}
		})
	}
}

// moveTo moves the cursor and returns it.
func moveTo(k *knownTicks, to time.Time) time.Time {
	k.Helper()
	verdicts, err := k.own.Claim(k.Context(), []domain.Intent{{
		Run: domain.TickKey(knownJob, to), Replica: "ann", Fingerprint: "v1", MoveOnly: true,
		Move: &domain.CursorMove{From: k.cursor, To: to},
	}})
	if err != nil || verdicts[0].Kind != domain.Moved {
		k.Fatalf("Claim = %v, %v, want the cursor moved", verdicts, err)
	}
	return verdicts[0].Cursor
}

// A ledger that claims tick after tick reads the jobs once.
func TestLedger_claimsWithoutReadingWhatItKnows(t *testing.T) {
	t.Parallel()
	k := newKnownTicks(t, openSQLite(t))
	recorded := k.own.Record()
	for range 5 {
		k.finish(k.own, k.tick(k.own, "ann", domain.SlotSkip), domain.EndFinished)
	}
	reads := 0
	for _, s := range recorded() {
		if strings.Contains(s.Text, "SELECT j.job, j.cursor_ms") {
			reads++
		}
	}
	if reads != 1 {
		t.Errorf("the job is read %d times for 5 ticks, want once", reads)
	}
}

// A ledger that writes what it knows without having asked before gives up, as one
// that asks first does, when the server does not answer; and what was on its way
// takes no effect later. A write that was carried out is none that was not in time.
func TestLedger_writesNothingThatIsNotInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// later befalls the second exchange when the others pass again: the first
		// one prepares what the second one does.
		first, then, later pgtest.Loss
		unavailable        bool
	}{
		"no request arrives":           {pgtest.LoseRequest, pgtest.LoseRequest, pgtest.NoLoss, true},
		"one arrives after all":        {pgtest.KeepRequest, pgtest.LoseRequest, pgtest.NoLoss, true},
		"nor does that it is given up": {pgtest.LoseRequest, pgtest.LoseRequest, pgtest.LoseAnswer, true},
		"one answer is lost":           {pgtest.LoseAnswer, pgtest.LoseRequest, pgtest.NoLoss, false},
		"no answer arrives":            {pgtest.LoseAnswer, pgtest.LoseAnswer, pgtest.NoLoss, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			breaks, until, passed := false, time.Time{}, 0
			behind := pgtest.NewProxy(t, pgtest.As(t, migrated(t), "worker_run"), func() pgtest.Loss {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case !breaks:
					return pgtest.NoLoss
				case until.IsZero():
					until = time.Now().Add(1600 * time.Millisecond) // longer than it is patient, also on a busy machine
					return test.first
				case time.Now().Before(until):
					return test.then
				}
				if passed++; passed == 2 {
					return test.later
				}
				return pgtest.NoLoss
			})
			db := open(t, postgres(storage.PostgresConfig{URI: behind.URI, PoolSize: 1}))
			k := newKnownTicks(t, db)
			k.tick(k.own, "ann", domain.SlotFree)
			mu.Lock()
			breaks = true
			mu.Unlock()
			to := k.cursor.Add(time.Second)
			intents := []domain.Intent{{
				Run: domain.TickKey(knownJob, to), Replica: "ann", Fingerprint: "v1", Slot: domain.SlotFree,
				Move: &domain.CursorMove{From: k.cursor, To: to}, Lease: time.Minute,
			}}
			verdicts, err := k.own.Claim(t.Context(), intents)
			if test.unavailable {
				if !errors.Is(err, ports.ErrUnavailable) {
					t.Fatalf("Claim = %v, %v, want ErrUnavailable", verdicts, err)
				}
				behind.LetGo()
				<-time.After(300 * time.Millisecond)
				// Nobody has the tick.
				k.tick(k.other, "bob", domain.SlotFree)
			} else if err != nil || verdicts[0].Kind != domain.Granted {
				t.Fatalf("Claim = %v, %v, want it granted", verdicts, err)
			}
		})
	}
}

// inTurn are several ledgers of one namespace, of which any answers a call.
type inTurn struct {
	ledgers []*storage.Ledger
	dice    *rand.Rand
}

func (l *inTurn) any() *storage.Ledger { return l.ledgers[l.dice.IntN(len(l.ledgers))] }

func (l *inTurn) Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error) {
	return l.any().Sync(ctx, request)
}

func (l *inTurn) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	return l.any().Claim(ctx, intents)
}

func (l *inTurn) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	return l.any().Renew(ctx, claims, lease)
}

func (l *inTurn) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	return l.any().Finish(ctx, results)
}

func (l *inTurn) Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	return l.any().Abandoned(ctx, replica, lease, limit)
}

func (l *inTurn) PauseJob(ctx context.Context, job string) error { return l.any().PauseJob(ctx, job) }

func (l *inTurn) ResumeJob(ctx context.Context, job string) error {
	return l.any().ResumeJob(ctx, job)
}

// Ledgers that each know something of the jobs answer together like one that
// reads them each time.
func TestLedger_severalBehaveLikeTheOneInMemory(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(name, " seed ", seed), func(t *testing.T) {
				t.Parallel()
				db := open(t)
				several := &inTurn{dice: rand.New(rand.NewPCG(seed, 11))}
				for range 2 {
					several.ledgers = append(several.ledgers, db.Ledger("twin").WithReplicaLease(ledgertwin.ReplicaLease))
				}
				subject := twinOf(db)
				subject.Ledger = several
				ledgertwin.Play(t, subject, seed, 1000)
			})
		}
	}
}
