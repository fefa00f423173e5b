package porttest

import "github.com/taktwork/takt/core/domain"

func leaseCases() []ledgerCase {
	return []ledgerCase{
		{"a renewed claim is left to its owner", (*ledgerStage).keepsRenewedClaims},
		{"asking for the slot renews a held claim", (*ledgerStage).renewsByAsking},
		{"an expired claim is its owner's until it is taken over", (*ledgerStage).forgivesALateOwner},
		{"a claim taken over has a larger token and refuses its old owner", (*ledgerStage).fencesTheOldOwner},
		{"a claim is taken over by one replica", (*ledgerStage).isTakenOverOnce},
		{"each claim is found when it lapses", (*ledgerStage).findsEachThatLapses},
		{"a claim is found that is made after a look", (*ledgerStage).findsWhatIsClaimedAfterALook},
		{"a crash counts if the run had started", (*ledgerStage).countsCrashes},
		{"a released claim is taken over at once and is no crash", (*ledgerStage).handsOverReleasedClaims},
		{"a released claim has no owner", (*ledgerStage).ownsNothingReleased},
		{"claims of jobs that a replica does not know are left to others", (*ledgerStage).leavesOthersJobs},
		{"a limit bounds how many claims are taken over", (*ledgerStage).respectsTheLimit},
		{"a dead holder keeps the slot until its run is taken over and ends", (*ledgerStage).keepsADeadHolder},
		{"a waiting run taken over keeps its place", (*ledgerStage).takesOverAWaiter},
		{"finishing twice with one token is held both times", (*ledgerStage).finishesTwice},
		{"a token of another claim finishes nothing", (*ledgerStage).finishesOnlyItsOwn},
		{"a finished claim is never taken over", (*ledgerStage).leavesTheFinishedAlone},
	}
}

func (s *ledgerStage) keepsRenewedClaims() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	for range 4 {
		s.harness.Advance(s.features.Lease / 2)
		s.wantRenewal(domain.RenewalHeld, claim)
	}
	s.register("bob", stagePrint)
	s.wantNoneAbandoned("bob")
}

func (s *ledgerStage) renewsByAsking() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	for _, slot := range []domain.Slot{domain.SlotLater, domain.SlotSkip, domain.SlotSkip} {
		s.harness.Advance(s.features.Lease * 7 / 10)
		s.want(domain.Granted, s.again("ann", claim, slot))
	}
	s.register("bob", stagePrint)
	s.wantNoneAbandoned("bob")
}

func (s *ledgerStage) forgivesALateOwner() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	s.expire()
	s.wantRenewal(domain.RenewalHeld, claim)
	s.wantNoneAbandoned("bob")
	s.expire()
	s.wantFinish(true, claim, domain.EndFired)
}

func (s *ledgerStage) fencesTheOldOwner() {
	old := s.want(domain.Granted, s.tick("ann", 1)).Claim
	s.expire()
	taken := s.wantAbandoned("bob")
	if taken.Run != old.Run || taken.Token <= old.Token || taken.Fingerprint != old.Fingerprint {
		s.Errorf("bob has %+v after %+v, want the run under a larger token", taken, old)
	}
	s.wantRenewal(domain.RenewalLost, old)
	s.wantFinish(false, old, domain.EndFired)
	s.want(domain.Lost, s.again("ann", old, domain.SlotFree))
	s.wantRenewal(domain.RenewalHeld, taken)
	s.wantFinish(true, taken, domain.EndFired)
	s.wantFinish(false, old, domain.EndFired)
}

func (s *ledgerStage) isTakenOverOnce() {
	s.want(domain.Granted, s.tick("ann", 1))
	s.expire()
	s.wantAbandoned("bob")
	s.wantNoneAbandoned("cyd")
}

func (s *ledgerStage) findsEachThatLapses() {
	lease := s.features.Lease
	s.want(domain.Granted, s.tick("ann", 1))
	s.wantNoneAbandoned("bob")
	s.harness.Advance(lease * 7 / 10)
	s.want(domain.Granted, s.tick("ann", 2))
	s.harness.Advance(lease * 4 / 10)
	for n := 1; n <= 2; n++ {
		taken := s.wantAbandoned("bob")
		if want := s.tick("ann", n).Run; taken.Run != want {
			s.Errorf("bob has %s, want %s", taken.Run, want)
		}
		s.wantFinish(true, taken, domain.EndFired)
		s.wantNoneAbandoned("bob")
		s.harness.Advance(lease * 7 / 10)
	}
}

func (s *ledgerStage) findsWhatIsClaimedAfterALook() {
	s.wantNoneAbandoned("bob")
	s.harness.Advance(s.features.Lease / 10)
	s.want(domain.Granted, s.tick("ann", 1))
	s.expire()
	s.wantAbandoned("bob")
}

func (s *ledgerStage) countsCrashes() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	s.expire()
	taken := s.wantAbandoned("bob")
	if !taken.GrantedAt.Equal(claim.GrantedAt) {
		s.Errorf("taken over it was granted at %s, want %s as before", taken.GrantedAt, claim.GrantedAt)
	}
	if taken.Crashes != 0 || taken.Phase != domain.PhaseClaimed {
		s.Errorf("%s has %d crashes in phase %d, want 0 in %d", claim.Run, taken.Crashes, taken.Phase, domain.PhaseClaimed)
	}
	s.want(domain.Granted, s.again("bob", taken, domain.SlotSkip))
	s.expire()
	taken = s.wantAbandoned("cyd")
	if taken.Crashes != 1 || taken.Phase != domain.PhaseStarted {
		s.Errorf("%s has %d crashes in phase %d, want 1 in %d", claim.Run, taken.Crashes, taken.Phase, domain.PhaseStarted)
	}
}

func (s *ledgerStage) handsOverReleasedClaims() {
	claim := s.hold()
	s.wantFinish(true, claim, domain.EndReleased)
	s.wantFinish(true, claim, domain.EndReleased)
	taken := s.wantAbandoned("bob")
	if taken.Crashes != 0 || taken.Phase != domain.PhaseStarted || taken.Token <= claim.Token {
		s.Errorf("bob has %+v, want no crash, the same phase and a larger token", taken)
	}
	s.wantFinish(false, claim, domain.EndReleased)
	s.want(domain.Granted, s.again("bob", taken, domain.SlotSkip))
}

func (s *ledgerStage) ownsNothingReleased() {
	claim := s.want(domain.Granted, s.manual("ann", "1")).Claim
	s.wantFinish(true, claim, domain.EndReleased)
	s.wantRenewal(domain.RenewalLost, claim)
	s.want(domain.Lost, s.again("ann", claim, domain.SlotFree))
	s.want(domain.Taken, s.manual("bob", "1"))
	s.wantFinish(false, claim, domain.EndFinished)
}

func (s *ledgerStage) leavesOthersJobs() {
	s.sync("dan", stagePrint, 0, "other")
	s.wantFinish(true, s.want(domain.Granted, s.tick("ann", 1)).Claim, domain.EndReleased)
	for _, replica := range []string{"dan", "stranger"} {
		s.wantNoneAbandoned(replica)
	}
	s.wantAbandoned("bob")
}

func (s *ledgerStage) respectsTheLimit() {
	for n := 1; n <= 5; n++ {
		s.want(domain.Granted, s.tick("ann", n))
	}
	s.expire()
	for _, want := range []int{2, 2, 1, 0} {
		if got := len(s.abandoned("bob", 2)); got != want {
			s.Errorf("Abandoned(2) = %d claims, want %d", got, want)
		}
	}
}

func (s *ledgerStage) keepsADeadHolder() {
	holder := s.hold()
	s.expire()
	s.wantBlocked(inSlot(domain.SlotSkip, s.tick("bob", 1)), holder, "ann")
	taken := s.wantAbandoned("cyd")
	s.wantBlocked(inSlot(domain.SlotSkip, s.tick("bob", 2)), taken, "cyd")
	s.wantFinish(false, holder, domain.EndFinished)
	s.wantBlocked(inSlot(domain.SlotSkip, s.tick("bob", 3)), taken, "cyd")
	s.wantFinish(true, taken, domain.EndFinished)
	s.want(domain.Granted, inSlot(domain.SlotSkip, s.tick("bob", 4)))
}

func (s *ledgerStage) takesOverAWaiter() {
	holder := s.hold()
	waiter := s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("bob", 1))).Claim
	s.wantFinish(true, waiter, domain.EndReleased)
	taken := s.wantAbandoned("cyd")
	s.wantBlocked(inSlot(domain.SlotQueue, s.tick("ann", 2)), holder, "ann")
	s.wantFinish(true, holder, domain.EndFinished)
	s.want(domain.Lost, s.again("bob", waiter, domain.SlotQueue))
	s.want(domain.Granted, s.again("cyd", taken, domain.SlotQueue))
}

func (s *ledgerStage) finishesTwice() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	s.wantFinish(true, claim, domain.EndFired)
	s.wantFinish(true, claim, domain.EndFired)
	s.wantRenewal(domain.RenewalLost, claim)
}

func (s *ledgerStage) finishesOnlyItsOwn() {
	first := s.want(domain.Granted, s.tick("ann", 1)).Claim
	second := s.want(domain.Granted, s.tick("ann", 2)).Claim
	mixed := first
	mixed.Token = second.Token
	s.wantFinish(false, mixed, domain.EndFinished)
	s.wantRenewal(domain.RenewalLost, mixed)
	s.wantRenewal(domain.RenewalHeld, first)
}

func (s *ledgerStage) leavesTheFinishedAlone() {
	s.wantFinish(true, s.want(domain.Granted, s.tick("ann", 1)).Claim, domain.EndFired)
	s.wantFinish(true, s.hold(), domain.EndFinished)
	s.expire()
	s.wantNoneAbandoned("bob")
}
