package storage

import (
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// takeSlot decides whether the claim starts, waits or is over.
func (s *ledgerState) takeSlot(c *ledgerClaim, intent *domain.Intent, d *decision) {
	blocker := s.blocker(d.job, c, intent.Slot)
	switch {
	case intent.Slot == domain.SlotLater || c.phase == domain.PhaseStarted:
		d.grant(domain.Granted, c)
	case c.pushed && intent.Slot != domain.SlotFree:
		s.block(d, c, c.pushedBy, c.pushedOwner)
	case blocker == nil:
		s.start(d.job, c, intent.Slot)
		d.grant(domain.Granted, c)
	case s.wait(d.job, c, intent.Slot):
		s.restOn(blocker)
		d.grant(domain.Queued, c)
		d.verdict.By, d.verdict.Owner = blocker.run, blocker.replica
	default:
		s.restOn(blocker)
		s.block(d, c, blocker.run, blocker.replica)
	}
}

func (d *decision) grant(kind domain.VerdictKind, c *ledgerClaim) {
	d.verdict.Kind, d.claim, d.phase = kind, c, c.phase
}

// block ends the claim because of another run.
func (s *ledgerState) block(d *decision, c *ledgerClaim, by domain.RunKey, owner string) {
	d.verdict.Kind, d.verdict.By, d.verdict.Owner = domain.Blocked, by, owner
	job := d.job
	if job.waiter == c {
		job.waiter = nil
	}
	if i := slices.Index(job.holders, c); i >= 0 {
		job.holders = slices.Delete(job.holders, i, i+1)
	}
	c.phase, c.waits = domain.PhaseFinished, false
	s.change(job, c)
}

// blocker returns the claim that keeps c from starting: the oldest holder of
// the slot, or the one that the slot is kept for.
func (s *ledgerState) blocker(job *ledgerJob, c *ledgerClaim, slot domain.Slot) *ledgerClaim {
	if slot == domain.SlotFree || slot == domain.SlotLater {
		return nil
	}
	if len(job.holders) > 0 {
		return job.holders[0]
	}
	if waiting := s.waiting(job); slot != domain.SlotPreempt && waiting != c {
		return waiting
	}
	return nil
}

// waiting returns the claim that the slot is kept for: the waiter, while its
// lease lives.
func (s *ledgerState) waiting(job *ledgerJob) *ledgerClaim {
	if job.waiter == nil || !s.alive(job.waiter) {
		return nil
	}
	return job.waiter
}

// start gives the slot to the claim.
func (s *ledgerState) start(job *ledgerJob, c *ledgerClaim, slot domain.Slot) {
	if slot == domain.SlotPreempt {
		s.displace(job, c)
	}
	if job.waiter == c {
		job.waiter = nil
	}
	c.waits = false
	c.phase, c.startedAt = domain.PhaseStarted, s.number()
	job.holders = append(job.holders, c)
	s.change(job, c)
}

// wait gives the claim the place behind the holders if it may have it.
func (s *ledgerState) wait(job *ledgerJob, c *ledgerClaim, slot domain.Slot) bool {
	switch slot {
	case domain.SlotPreempt:
		s.displace(job, c)
		for _, holder := range job.holders {
			holder.cancelled = true
			s.change(job, holder)
		}
		return true
	case domain.SlotQueue:
		if waiting := s.waiting(job); waiting != nil && waiting != c {
			return false
		}
		s.place(job, c)
		return true
	case domain.SlotLater, domain.SlotFree, domain.SlotSkip:
	}
	return false
}

// displace gives the waiter's place to c. Whoever had it, with a live lease
// or without, is older and never comes back into it.
func (s *ledgerState) displace(job *ledgerJob, c *ledgerClaim) {
	if before := job.waiter; before != nil && before != c {
		before.pushed, before.pushedBy, before.pushedOwner = true, c.run, c.replica
	}
	s.place(job, c)
}

// place makes c the waiter in the place of whoever was.
func (s *ledgerState) place(job *ledgerJob, c *ledgerClaim) {
	if before := job.waiter; before != nil && before != c {
		before.waits = false
		s.change(job, before)
	}
	job.waiter, c.waits = c, true
	s.change(job, c)
}
