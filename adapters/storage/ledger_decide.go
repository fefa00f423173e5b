package storage

import "github.com/taktwork/takt/core/domain"

// decision is the answer to an intent; a claim in it gets its token when it
// has been written.
type decision struct {
	verdict domain.Verdict
	claim   *ledgerClaim
	// phase is the claim's at the moment of the answer.
	phase domain.Phase
	job   *ledgerJob
}

// decide answers the intent.
func (s *ledgerState) decide(intent *domain.Intent) decision {
	d := decision{job: s.jobs[intent.Run.Job]}
	if intent.Held != 0 {
		s.decideHeld(intent, &d)
	} else {
		s.decideNew(intent, &d)
	}
	if d.job != nil {
		d.verdict.Cursor = d.job.cursor()
	}
	return d
}

func (s *ledgerState) decideNew(intent *domain.Intent, d *decision) {
	job := d.job
	if job == nil || job.fingerprint != intent.Fingerprint {
		d.verdict.Kind = domain.Superseded
		return
	}
	if owner, ok := s.takenBy(job, intent); ok {
		d.verdict.Kind, d.verdict.Owner = domain.Taken, owner
		return
	}
	if intent.Move != nil {
		job.cursorMS = max(job.cursorMS, intent.Move.To.UnixMilli())
		job.movedBy, job.moved, s.isNews = intent.Replica, true, true
		s.touch(job)
	}
	switch {
	case intent.MoveOnly:
		d.verdict.Kind = domain.Moved
	case job.paused && intent.Run.Origin == domain.OriginSchedule:
		d.verdict.Kind = domain.Paused
	default:
		s.takeSlot(s.open(job, intent), intent, d)
	}
}

// takenBy returns who has the intent's run or has decided its tick.
func (s *ledgerState) takenBy(job *ledgerJob, intent *domain.Intent) (string, bool) {
	if c := s.claims[intent.Run]; c != nil && !intent.MoveOnly {
		return c.replica, true
	}
	if intent.Move != nil && intent.Move.From.UnixMilli() != job.cursorMS {
		return job.movedBy, true
	}
	return "", false
}

// open claims the intent's run for its replica.
func (s *ledgerState) open(job *ledgerJob, intent *domain.Intent) *ledgerClaim {
	c := &ledgerClaim{
		run: intent.Run, tokenAt: s.number(), replica: intent.Replica, fingerprint: intent.Fingerprint,
		phase: domain.PhaseClaimed, lease: intent.Lease,
	}
	s.claims[c.run] = c
	s.opened = append(s.opened, c)
	s.touch(job)
	return c
}

func (s *ledgerState) decideHeld(intent *domain.Intent, d *decision) {
	c := s.held(domain.ClaimRef{Run: intent.Run, Token: intent.Held})
	if c == nil || d.job == nil {
		d.verdict.Kind = domain.Lost
		if other := s.claims[intent.Run]; other != nil {
			d.verdict.Owner = other.replica
		}
		return
	}
	c.lease = intent.Lease
	s.change(d.job, c)
	s.takeSlot(c, intent, d)
}
