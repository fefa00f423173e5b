package porttest

import (
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// LedgerFeatures says what a ledger declares about itself.
type LedgerFeatures struct {
	// Scope is what Sync must answer.
	Scope domain.Scope
	// Lease is the lease of the claims in the cases; zero means 15 seconds.
	Lease time.Duration
	// ReplicaLease is how long a silent replica keeps its definitions; zero
	// means 15 seconds.
	ReplicaLease time.Duration
	// Steps is the length of each random history; zero means 600.
	Steps int
}

// LedgerHarness is an empty store of ledgers.
type LedgerHarness struct {
	// Open returns the ledger of a namespace. All that are opened with one
	// namespace share their state.
	Open func(t *testing.T, namespace string) (ports.Ledger, ports.ScheduleSwitch)
	// Advance lets time pass in the store.
	Advance func(time.Duration)
}

// RunLedgerCase runs test with a harness of its own, in a bubble of virtual
// time if that is how the store's time moves.
type RunLedgerCase func(t *testing.T, test func(*testing.T, LedgerHarness))

// Ledger checks that ledgers behave as [ports.Ledger] and
// [ports.ScheduleSwitch] say.
func Ledger(t *testing.T, features LedgerFeatures, run RunLedgerCase) {
	t.Helper()
	if features.Lease == 0 {
		features.Lease = 15 * time.Second
	}
	if features.ReplicaLease == 0 {
		features.ReplicaLease = 15 * time.Second
	}
	if features.Steps == 0 {
		features.Steps = 600
	}
	groups := []struct {
		name  string
		cases []ledgerCase
	}{
		{"claim", claimCases()},
		{"slot", slotCases()},
		{"lease", leaseCases()},
		{"definition", definitionCases()},
		{"refusal", refuseCases()},
		{"random history", modelCases()},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					run(t, func(t *testing.T, h LedgerHarness) { c.test(newLedgerStage(t, features, h)) })
				})
			}
		})
	}
}

type ledgerCase struct {
	name string
	test func(*ledgerStage)
}

// The job, its first definition and the replicas of the cases.
const (
	stageJob   = "report"
	stagePrint = "v1"
)

func stageReplicas() []string { return []string{"ann", "bob", "cyd"} }

// ledgerStage is a ledger where three replicas registered one job.
type ledgerStage struct {
	*testing.T

	features LedgerFeatures
	harness  LedgerHarness
	ledger   ports.Ledger
	schedule ports.ScheduleSwitch
	// base is the job's cursor at the beginning.
	base time.Time
}

func newLedgerStage(t *testing.T, features LedgerFeatures, h LedgerHarness) *ledgerStage {
	t.Helper()
	s := &ledgerStage{T: t, features: features, harness: h}
	s.ledger, s.schedule = h.Open(t, "stage")
	for _, replica := range stageReplicas() {
		s.base = s.register(replica, stagePrint).Cursor
	}
	return s
}

// sync registers jobs, all with one fingerprint.
func (s *ledgerStage) sync(replica, fingerprint string, since uint64, jobs ...string) domain.SyncReply {
	s.Helper()
	request := domain.SyncRequest{Replica: replica, Since: since}
	for _, job := range jobs {
		request.Definitions = append(request.Definitions, domain.Definition{Job: job, Fingerprint: fingerprint})
	}
	reply, err := s.ledger.Sync(s.Context(), request)
	if err != nil {
		s.Fatalf("Sync(%s) = %v, want no error", replica, err)
	}
	return reply
}

// register syncs the stage's job and returns its state.
func (s *ledgerStage) register(replica, fingerprint string) domain.JobState {
	s.Helper()
	reply := s.sync(replica, fingerprint, 0, stageJob)
	if len(reply.Jobs) != 1 {
		s.Fatalf("Sync(%s) returns %d jobs, want 1", replica, len(reply.Jobs))
	}
	return reply.Jobs[0]
}

// now returns the store's time.
func (s *ledgerStage) now() time.Time { return s.sync("ann", stagePrint, 0, stageJob).Now }

// at returns the nth second after the beginning.
func (s *ledgerStage) at(n int) time.Time { return s.base.Add(time.Duration(n) * time.Second) }

// tick returns the intent for the nth tick after the n-1st.
func (s *ledgerStage) tick(replica string, n int) domain.Intent {
	return domain.Intent{
		Run: domain.TickKey(stageJob, s.at(n)), Replica: replica, Fingerprint: stagePrint,
		Move: &domain.CursorMove{From: s.at(n - 1), To: s.at(n)}, Lease: s.features.Lease,
	}
}

// manual returns the intent for a run by hand.
func (s *ledgerStage) manual(replica, id string) domain.Intent {
	run := domain.RunKey{Job: stageJob, Origin: domain.OriginManual, OriginID: id, PlannedMS: s.base.UnixMilli()}
	return domain.Intent{Run: run, Replica: replica, Fingerprint: stagePrint, Lease: s.features.Lease}
}

// inSlot returns the intent with another way to take the slot.
func inSlot(slot domain.Slot, intent domain.Intent) domain.Intent {
	intent.Slot = slot
	return intent
}

// again returns the intent that asks for the slot under a held claim.
func (s *ledgerStage) again(replica string, claim domain.Claim, slot domain.Slot) domain.Intent {
	return domain.Intent{
		Run: claim.Run, Replica: replica, Fingerprint: claim.Fingerprint,
		Held: claim.Token, Slot: slot, Lease: s.features.Lease,
	}
}

// claim answers one intent.
func (s *ledgerStage) claim(intent domain.Intent) domain.Verdict {
	s.Helper()
	return s.claimAll(intent)[0]
}

func (s *ledgerStage) claimAll(intents ...domain.Intent) []domain.Verdict {
	s.Helper()
	verdicts, err := s.ledger.Claim(s.Context(), intents)
	if err != nil || len(verdicts) != len(intents) {
		s.Fatalf("Claim(%d intents) = %d verdicts, %v, want as many and no error", len(intents), len(verdicts), err)
	}
	return verdicts
}

// want claims and checks the kind of the verdict.
func (s *ledgerStage) want(kind domain.VerdictKind, intent domain.Intent) domain.Verdict {
	s.Helper()
	verdict := s.claim(intent)
	if verdict.Kind != kind {
		s.Fatalf("Claim(%s for %s) = %q by %s, want %q", intent.Run, intent.Replica, verdict.Kind, verdict.By, kind)
	}
	return verdict
}

// wantBlocked claims and checks that the run is over because of another one.
func (s *ledgerStage) wantBlocked(intent domain.Intent, by domain.Claim, owner string) {
	s.Helper()
	verdict := s.want(domain.Blocked, intent)
	if verdict.By != by.Run || verdict.Owner != owner {
		s.Errorf("Claim(%s) is blocked by %s of %q, want %s of %q", intent.Run, verdict.By, verdict.Owner, by.Run, owner)
	}
}

// wantCursor checks the stored cursor, as the third replica sees it.
func (s *ledgerStage) wantCursor(want time.Time) {
	s.Helper()
	if got := s.register("cyd", stagePrint).Cursor; !got.Equal(want) {
		s.Errorf("the cursor is at %s, want %s", got, want)
	}
}

func (s *ledgerStage) wantRenewal(want domain.Renewal, claim domain.Claim) {
	s.Helper()
	renewals, err := s.ledger.Renew(s.Context(), []domain.ClaimRef{claim.Ref()}, s.features.Lease)
	if err != nil || len(renewals) != 1 || renewals[0] != want {
		s.Errorf("Renew(%s) = %v, %v, want [%d]", claim.Run, renewals, err, want)
	}
}

func (s *ledgerStage) wantFinish(want bool, claim domain.Claim, end domain.RunEnd) {
	s.Helper()
	held, err := s.ledger.Finish(s.Context(), []domain.RunResult{{Claim: claim.Ref(), End: end}})
	if err != nil || len(held) != 1 || held[0] != want {
		s.Errorf("Finish(%s) = %v, %v, want [%t]", claim.Run, held, err, want)
	}
}

func (s *ledgerStage) abandoned(replica string, limit int) []domain.Claim {
	s.Helper()
	claims, err := s.ledger.Abandoned(s.Context(), replica, s.features.Lease, limit)
	if err != nil {
		s.Fatalf("Abandoned(%s) = %v, want no error", replica, err)
	}
	return claims
}

func (s *ledgerStage) wantNoneAbandoned(replica string) {
	s.Helper()
	if claims := s.abandoned(replica, 10); len(claims) != 0 {
		s.Errorf("Abandoned(%s) = %v, want none", replica, claims)
	}
}

// wantAbandoned lets the replica take over one claim.
func (s *ledgerStage) wantAbandoned(replica string) domain.Claim {
	s.Helper()
	claims := s.abandoned(replica, 10)
	if len(claims) != 1 {
		s.Fatalf("Abandoned(%s) = %d claims, want 1", replica, len(claims))
	}
	return claims[0]
}

// expire lets the leases of all claims run out.
func (s *ledgerStage) expire() { s.harness.Advance(s.features.Lease + s.features.Lease/10) }
