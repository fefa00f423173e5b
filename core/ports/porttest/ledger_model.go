package porttest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

const modelSeeds = 8

func modelCases() []ledgerCase {
	cases := make([]ledgerCase, modelSeeds)
	for i := range cases {
		seed := uint64(i + 1)
		cases[i] = ledgerCase{fmt.Sprintf("seed %d keeps the promises", seed), func(s *ledgerStage) {
			newLedgerModel(s, seed).play()
		}}
	}
	return cases
}

// ledgerModel plays a random history of three replicas against a ledger and
// checks what must hold in every one:
//
//   - each run is granted once to whoever asks for it first;
//   - tokens grow with every claim and take-over;
//   - the cursor never moves backwards, and one step leaves from each place;
//   - at most one run holds the slot, for all runs ask for it alone;
//   - a token that was superseded, released or finished does nothing more.
type ledgerModel struct {
	*ledgerStage

	dice *rand.Rand
	// owned are the claims that are believed to be held, by run.
	owned map[domain.RunKey]modelClaim
	// granted are all runs that were ever granted.
	granted map[domain.RunKey]bool
	// dead are claims under tokens that are over.
	dead   []domain.Claim
	token  domain.ClaimToken
	cursor time.Time
	// holder is the run in the slot.
	holder domain.RunKey
	manual int
	starts int
}

type modelClaim struct {
	claim   domain.Claim
	replica string
	// released claims have no owner, and their token renews nothing.
	released bool
}

func newLedgerModel(s *ledgerStage, seed uint64) *ledgerModel {
	return &ledgerModel{
		ledgerStage: s, dice: rand.New(rand.NewPCG(seed, seed)),
		owned: make(map[domain.RunKey]modelClaim), granted: make(map[domain.RunKey]bool), cursor: s.base,
	}
}

func (m *ledgerModel) play() {
	moves := []func(){
		m.claimTick, m.claimTick, m.claimTick, m.claimManual, m.startHeld, m.startHeld, m.startHeld,
		m.renewSome, m.finishOne, m.finishOne, m.finishOne, m.takeOver, m.useDeadToken, m.pass, m.syncOne, m.togglePause,
	}
	for range m.features.Steps {
		moves[m.dice.IntN(len(moves))]()
		if m.Failed() {
			return
		}
	}
	if m.starts == 0 || len(m.dead) == 0 {
		m.Errorf("the history has %d starts and %d ends, want some of both", m.starts, len(m.dead))
	}
}

func (m *ledgerModel) replica() string {
	replicas := stageReplicas()
	return replicas[m.dice.IntN(len(replicas))]
}

func (m *ledgerModel) slot() domain.Slot {
	slots := []domain.Slot{domain.SlotLater, domain.SlotSkip, domain.SlotQueue, domain.SlotPreempt}
	return slots[m.dice.IntN(len(slots))]
}

// claimTick lets all replicas ask for the next tick, or some for a past one.
func (m *ledgerModel) claimTick() {
	from := m.cursor.Add(time.Duration(m.dice.IntN(3)-1) * time.Second)
	to := from.Add(time.Duration(1+m.dice.IntN(3)) * time.Second)
	intents := make([]domain.Intent, 0, 3)
	for _, replica := range stageReplicas() {
		intents = append(intents, domain.Intent{
			Run: domain.TickKey(stageJob, to), Replica: replica, Fingerprint: stagePrint,
			Move: &domain.CursorMove{From: from, To: to}, Slot: m.slot(), Lease: m.features.Lease,
		})
	}
	stale := !from.Equal(m.cursor)
	for i, v := range m.claimAll(intents...) {
		if decided := v.Kind != domain.Taken; decided != (i == 0 && !stale) {
			m.Errorf("%s asks for a step from %s at cursor %s: %q", intents[i].Replica, from, m.cursor, v.Kind)
		}
		m.see(&intents[i], v)
	}
}

func (m *ledgerModel) claimManual() {
	if m.dice.IntN(3) > 0 {
		m.manual++
	}
	intent := m.ledgerStage.manual(m.replica(), fmt.Sprint(m.manual))
	intent.Slot = m.slot()
	m.see(&intent, m.claim(intent))
}

// see checks a verdict and takes it over into the model.
func (m *ledgerModel) see(intent *domain.Intent, v domain.Verdict) {
	m.seeCursor(v.Cursor)
	switch v.Kind {
	case domain.Granted, domain.Queued:
		if intent.Held == 0 {
			m.seeGrant(intent, v.Claim)
		}
		m.seePhase(v)
		m.owned[intent.Run] = modelClaim{claim: v.Claim, replica: intent.Replica}
	case domain.Blocked:
		m.granted[intent.Run] = true
		m.bury(intent.Run)
	case domain.Paused:
		m.granted[intent.Run] = true
	case domain.Taken, domain.Moved:
	case domain.Superseded, domain.Lost:
		m.Errorf("%s of %s is %q, want another verdict", intent.Run, intent.Replica, v.Kind)
	}
}

func (m *ledgerModel) seeGrant(intent *domain.Intent, claim domain.Claim) {
	if m.granted[intent.Run] {
		m.Errorf("%s is granted again, to %s", intent.Run, intent.Replica)
	}
	m.granted[intent.Run] = true
	m.seeToken(claim)
}

func (m *ledgerModel) seeToken(claim domain.Claim) {
	if claim.Token <= m.token {
		m.Errorf("the token of %s is %d after %d, want a larger one", claim.Run, claim.Token, m.token)
	}
	m.token = claim.Token
}

func (m *ledgerModel) seePhase(v domain.Verdict) {
	none := domain.RunKey{}
	if v.Claim.Phase != domain.PhaseStarted || m.holder == v.Claim.Run {
		return
	}
	if m.holder != none {
		m.Errorf("%s starts while %s holds the slot", v.Claim.Run, m.holder)
	}
	m.holder = v.Claim.Run
	m.starts++
}

func (m *ledgerModel) seeCursor(cursor time.Time) {
	if cursor.Before(m.cursor) {
		m.Errorf("the cursor moved from %s back to %s", m.cursor, cursor)
	}
	m.cursor = cursor
}

// bury notes that the run's claim is over.
func (m *ledgerModel) bury(run domain.RunKey) {
	held, ok := m.owned[run]
	if !ok {
		return
	}
	m.dead = append(m.dead, held.claim)
	delete(m.owned, run)
	if m.holder == run {
		m.holder = domain.RunKey{}
	}
}

// pick returns one of the claims that have an owner.
func (m *ledgerModel) pick() (modelClaim, bool) {
	var owned []modelClaim
	for _, held := range m.owned {
		if !held.released {
			owned = append(owned, held)
		}
	}
	if len(owned) == 0 {
		return modelClaim{}, false
	}
	slices.SortFunc(owned, func(a, b modelClaim) int { return int(a.claim.Token) - int(b.claim.Token) })
	return owned[m.dice.IntN(len(owned))], true
}

func (m *ledgerModel) startHeld() {
	if held, ok := m.pick(); ok {
		intent := m.again(held.replica, held.claim, m.slot())
		m.see(&intent, m.claim(intent))
	}
}

func (m *ledgerModel) renewSome() {
	for range m.dice.IntN(4) {
		held, ok := m.pick()
		if !ok {
			return
		}
		renewals, err := m.ledger.Renew(m.Context(), []domain.ClaimRef{held.claim.Ref()}, m.features.Lease)
		if err != nil || renewals[0] == domain.RenewalLost {
			m.Errorf("Renew(%s) = %v, %v, want it held", held.claim.Run, renewals, err)
		}
	}
}

func (m *ledgerModel) finishOne() {
	held, ok := m.pick()
	if !ok {
		return
	}
	end := []domain.RunEnd{domain.EndFinished, domain.EndFired, domain.EndReleased}[m.dice.IntN(3)]
	m.wantFinish(true, held.claim, end)
	if end == domain.EndReleased {
		held.released = true
		m.owned[held.claim.Run] = held
		return
	}
	m.bury(held.claim.Run)
}

func (m *ledgerModel) takeOver() {
	replica := m.replica()
	for _, claim := range m.abandoned(replica, 3) {
		held, ok := m.owned[claim.Run]
		if !ok {
			m.Errorf("%s is taken over and was not held", claim.Run)
			return
		}
		m.seeToken(claim)
		if crashed := claim.Crashes > held.claim.Crashes; crashed != (claim.Phase == domain.PhaseStarted && !held.released) {
			m.Errorf("%s in phase %d, released %t, has %d crashes after %d", claim.Run, claim.Phase, held.released, claim.Crashes, held.claim.Crashes)
		}
		m.dead = append(m.dead, held.claim)
		m.owned[claim.Run] = modelClaim{claim: claim, replica: replica}
	}
}

// useDeadToken tries what a stale owner would try.
func (m *ledgerModel) useDeadToken() {
	if len(m.dead) == 0 {
		return
	}
	claim := m.dead[m.dice.IntN(len(m.dead))]
	m.wantRenewal(domain.RenewalLost, claim)
	if v := m.claim(m.again(m.replica(), claim, m.slot())); v.Kind != domain.Lost {
		m.Errorf("%s starts under the old token %d: %q", claim.Run, claim.Token, v.Kind)
	}
}

// pass lets time go by, sometimes more than a lease.
func (m *ledgerModel) pass() {
	m.harness.Advance(m.features.Lease * time.Duration(m.dice.IntN(12)) / 10)
}

func (m *ledgerModel) syncOne() { m.seeCursor(m.register(m.replica(), stagePrint).Cursor) }

func (m *ledgerModel) togglePause() {
	if m.dice.IntN(2) == 0 {
		m.pause()
		return
	}
	m.resume()
	m.seeCursor(m.register(m.replica(), stagePrint).Cursor)
}
