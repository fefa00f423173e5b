package inmemqueue

import (
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// takeSlot decides whether the claim starts, waits or is over.
func (l *Ledger) takeSlot(c *ledgerClaim, intent *domain.Intent, now time.Time, verdict *domain.Verdict) {
	job, blocker := c.job, c.job.blocker(c, intent.Slot, now)
	switch {
	case intent.Slot == domain.SlotLater || c.phase == domain.PhaseStarted:
		verdict.Kind, verdict.Claim = domain.Granted, c.claim()
	case c.displacedBy != nil && intent.Slot != domain.SlotFree:
		l.block(c, c.displacedBy, now, verdict)
	case blocker == nil:
		job.start(c, intent.Slot)
		verdict.Kind, verdict.Claim = domain.Granted, c.claim()
	case job.wait(c, intent.Slot, now):
		verdict.Kind, verdict.Claim = domain.Queued, c.claim()
		verdict.By, verdict.Owner = blocker.run, blocker.replica
	default:
		l.block(c, blocker, now, verdict)
	}
}

// block ends the claim because of another one.
func (l *Ledger) block(c, by *ledgerClaim, now time.Time, verdict *domain.Verdict) {
	verdict.Kind, verdict.By, verdict.Owner = domain.Blocked, by.run, by.replica
	l.end(c, now, domain.PhaseFinished)
}

// blocker returns the claim that keeps c from starting: the oldest holder of
// the slot, or the one that the slot is kept for.
func (j *ledgerJob) blocker(c *ledgerClaim, slot domain.Slot, now time.Time) *ledgerClaim {
	if slot == domain.SlotFree || slot == domain.SlotLater {
		return nil
	}
	if len(j.holders) > 0 {
		return j.holders[0]
	}
	if waiting := j.waiting(now); slot != domain.SlotPreempt && waiting != c {
		return waiting
	}
	return nil
}

// waiting returns the claim that the slot is kept for: the waiter, while its
// lease lives.
func (j *ledgerJob) waiting(now time.Time) *ledgerClaim {
	if j.waiter == nil || !j.waiter.alive(now) {
		return nil
	}
	return j.waiter
}

// start gives the slot to the claim.
func (j *ledgerJob) start(c *ledgerClaim, slot domain.Slot) {
	if slot == domain.SlotPreempt {
		j.displace(c)
	}
	if j.waiter == c {
		j.waiter = nil
	}
	c.phase = domain.PhaseStarted
	j.holders = append(j.holders, c)
}

// wait gives the claim the place behind the holders if it may have it.
func (j *ledgerJob) wait(c *ledgerClaim, slot domain.Slot, now time.Time) bool {
	switch slot {
	case domain.SlotPreempt:
		j.displace(c)
		for _, holder := range j.holders {
			holder.cancel = true
		}
		return true
	case domain.SlotQueue:
		if waiting := j.waiting(now); waiting != nil && waiting != c {
			return false
		}
		j.waiter = c
		return true
	case domain.SlotLater, domain.SlotFree, domain.SlotSkip:
	}
	return false
}

// displace gives the waiter's place to c. Whoever had it, with a live lease
// or without, is older and never comes back into it.
func (j *ledgerJob) displace(c *ledgerClaim) {
	if j.waiter != nil && j.waiter != c {
		j.waiter.displacedBy = c
	}
	j.waiter = c
}

// leave frees the claim's slot or place.
func (j *ledgerJob) leave(c *ledgerClaim) {
	if j.waiter == c {
		j.waiter = nil
	}
	if i := slices.Index(j.holders, c); i >= 0 {
		j.holders = slices.Delete(j.holders, i, i+1)
	}
}
