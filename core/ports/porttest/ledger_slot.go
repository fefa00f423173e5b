package porttest

import "github.com/taktwork/takt/core/domain"

func slotCases() []ledgerCase {
	return []ledgerCase{
		{"a run that finds the slot held is skipped and names the holder", (*ledgerStage).skipsBesideAHolder},
		{"a fired or finished run frees the slot", (*ledgerStage).freesTheSlot},
		{"a claim alone holds no slot", (*ledgerStage).claimsWithoutTheSlot},
		{"a run that asks nobody starts beside another and is a holder too", (*ledgerStage).countsFreeRuns},
		{"a run that is skipped under a held claim is over", (*ledgerStage).endsASkippedClaim},
		{"a started run may ask again", (*ledgerStage).startsTwiceWithoutHarm},
		{"a wrong token starts nothing", (*ledgerStage).refusesAWrongToken},
		{"one run waits and the next is blocked", (*ledgerStage).letsOneRunWait},
		{"a waiting run asks in vain until the slot is free", (*ledgerStage).startsTheWaiter},
		{"a free slot is kept for the one that waits", (*ledgerStage).keepsTheSlotForTheWaiter},
		{"a waiting run whose lease ran out keeps nobody out", (*ledgerStage).forgetsADeadWaiter},
		{"a waiting run that ends gives its place away", (*ledgerStage).givesThePlaceAway},
		{"a preempting run asks the holder to cancel", (*ledgerStage).cancelsTheHolder},
		{"a preempting run takes the place of the one that waited", (*ledgerStage).displacesTheWaiter},
		{"a preempting run starts at once in a free slot", (*ledgerStage).preemptsNobody},
		{"a preempting run starts in a slot that is kept for another", (*ledgerStage).preemptsTheWaiter},
		{"jobs do not share slots", (*ledgerStage).separatesJobs},
	}
}

// hold lets ann start a run in the slot.
func (s *ledgerStage) hold() domain.Claim {
	s.Helper()
	claim := s.want(domain.Granted, inSlot(domain.SlotSkip, s.manual("ann", "holder"))).Claim
	if claim.Phase != domain.PhaseStarted {
		s.Errorf("the holder is in phase %d, want %d", claim.Phase, domain.PhaseStarted)
	}
	return claim
}

func (s *ledgerStage) skipsBesideAHolder() {
	holder := s.hold()
	s.wantBlocked(inSlot(domain.SlotSkip, s.tick("bob", 1)), holder, "ann")
	s.wantCursor(s.at(1))
	s.want(domain.Taken, s.tick("ann", 1))
}

func (s *ledgerStage) freesTheSlot() {
	s.wantFinish(true, s.hold(), domain.EndFired)
	next := s.want(domain.Granted, inSlot(domain.SlotSkip, s.tick("bob", 1))).Claim
	s.wantFinish(true, next, domain.EndFinished)
	s.want(domain.Granted, inSlot(domain.SlotSkip, s.tick("ann", 2)))
}

func (s *ledgerStage) claimsWithoutTheSlot() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	holder := s.want(domain.Granted, inSlot(domain.SlotSkip, s.manual("bob", "1"))).Claim
	s.wantFinish(true, holder, domain.EndFinished)
	started := s.want(domain.Granted, s.again("ann", claim, domain.SlotSkip)).Claim
	if started.Phase != domain.PhaseStarted || started.Token != claim.Token {
		s.Errorf("the run is in phase %d with token %d, want %d with %d", started.Phase, started.Token, domain.PhaseStarted, claim.Token)
	}
}

func (s *ledgerStage) countsFreeRuns() {
	holder := s.hold()
	free := s.want(domain.Granted, inSlot(domain.SlotFree, s.tick("bob", 1))).Claim
	s.wantFinish(true, holder, domain.EndFinished)
	s.wantBlocked(inSlot(domain.SlotSkip, s.tick("ann", 2)), free, "bob")
}

func (s *ledgerStage) endsASkippedClaim() {
	holder := s.hold()
	claim := s.want(domain.Granted, s.tick("bob", 1)).Claim
	s.wantBlocked(s.again("bob", claim, domain.SlotSkip), holder, "ann")
	s.wantRenewal(domain.RenewalLost, claim)
	s.want(domain.Lost, s.again("bob", claim, domain.SlotSkip))
}

func (s *ledgerStage) startsTwiceWithoutHarm() {
	holder := s.hold()
	s.want(domain.Granted, s.again("ann", holder, domain.SlotSkip))
	s.wantFinish(true, holder, domain.EndFinished)
	s.want(domain.Granted, inSlot(domain.SlotSkip, s.tick("bob", 1)))
}

func (s *ledgerStage) refusesAWrongToken() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	wrong := claim
	wrong.Token += 1000
	s.want(domain.Lost, s.again("bob", wrong, domain.SlotFree))
	unknown := claim
	unknown.Run.PlannedMS++
	s.want(domain.Lost, s.again("bob", unknown, domain.SlotFree))
	s.wantRenewal(domain.RenewalHeld, claim)
}

func (s *ledgerStage) letsOneRunWait() {
	holder := s.hold()
	v := s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("bob", 1)))
	if v.By != holder.Run || v.Owner != "ann" || v.Claim.Phase != domain.PhaseClaimed {
		s.Errorf("the run waits for %s of %q in phase %d, want %s of ann, %d", v.By, v.Owner, v.Claim.Phase, holder.Run, domain.PhaseClaimed)
	}
	s.wantBlocked(inSlot(domain.SlotQueue, s.tick("cyd", 2)), holder, "ann")
	s.wantRenewal(domain.RenewalHeld, v.Claim)
}

func (s *ledgerStage) startsTheWaiter() {
	holder := s.hold()
	waiter := s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("bob", 1))).Claim
	s.want(domain.Queued, s.again("bob", waiter, domain.SlotQueue))
	s.wantFinish(true, holder, domain.EndFinished)
	s.want(domain.Granted, s.again("bob", waiter, domain.SlotQueue))
	s.wantBlocked(inSlot(domain.SlotSkip, s.tick("ann", 2)), waiter, "bob")
	s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("cyd", 3)))
}

func (s *ledgerStage) keepsTheSlotForTheWaiter() {
	holder := s.hold()
	waiter := s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("bob", 1))).Claim
	s.wantFinish(true, holder, domain.EndFinished)
	s.wantBlocked(inSlot(domain.SlotSkip, s.tick("cyd", 2)), waiter, "bob")
	s.wantBlocked(inSlot(domain.SlotQueue, s.tick("cyd", 3)), waiter, "bob")
	s.want(domain.Granted, s.again("bob", waiter, domain.SlotQueue))
}

func (s *ledgerStage) forgetsADeadWaiter() {
	holder := s.hold()
	s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("bob", 1)))
	s.expire()
	s.wantFinish(true, holder, domain.EndFinished)
	s.want(domain.Granted, inSlot(domain.SlotSkip, s.tick("cyd", 2)))
}

func (s *ledgerStage) givesThePlaceAway() {
	s.hold()
	waiter := s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("bob", 1))).Claim
	s.wantFinish(true, waiter, domain.EndFinished)
	s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("cyd", 2)))
}

func (s *ledgerStage) cancelsTheHolder() {
	holder := s.hold()
	waiter := s.want(domain.Queued, inSlot(domain.SlotPreempt, s.tick("bob", 1))).Claim
	s.wantRenewal(domain.RenewalCancel, holder)
	s.wantRenewal(domain.RenewalCancel, holder)
	s.wantRenewal(domain.RenewalHeld, waiter)
	s.wantFinish(true, holder, domain.EndFinished)
	s.want(domain.Granted, s.again("bob", waiter, domain.SlotPreempt))
	s.wantRenewal(domain.RenewalHeld, waiter)
}

func (s *ledgerStage) displacesTheWaiter() {
	holder := s.hold()
	old := s.want(domain.Queued, inSlot(domain.SlotPreempt, s.tick("bob", 1))).Claim
	newer := s.want(domain.Queued, inSlot(domain.SlotPreempt, s.tick("cyd", 2))).Claim
	s.wantBlocked(s.again("bob", old, domain.SlotPreempt), newer, "cyd")
	s.wantRenewal(domain.RenewalLost, old)
	s.wantFinish(true, holder, domain.EndFinished)
	s.want(domain.Granted, s.again("cyd", newer, domain.SlotPreempt))
}

func (s *ledgerStage) preemptsNobody() {
	claim := s.want(domain.Granted, inSlot(domain.SlotPreempt, s.tick("ann", 1))).Claim
	if claim.Phase != domain.PhaseStarted {
		s.Errorf("the run is in phase %d, want %d", claim.Phase, domain.PhaseStarted)
	}
}

func (s *ledgerStage) preemptsTheWaiter() {
	holder := s.hold()
	waiter := s.want(domain.Queued, inSlot(domain.SlotQueue, s.tick("bob", 1))).Claim
	s.wantFinish(true, holder, domain.EndFinished)
	newer := s.want(domain.Granted, inSlot(domain.SlotPreempt, s.tick("cyd", 2))).Claim
	s.wantBlocked(s.again("bob", waiter, domain.SlotQueue), newer, "cyd")
}

func (s *ledgerStage) separatesJobs() {
	s.hold()
	s.sync("bob", stagePrint, 0, stageJob, "other")
	other := inSlot(domain.SlotSkip, s.manual("bob", "1"))
	other.Run.Job = "other"
	s.want(domain.Granted, other)
}
