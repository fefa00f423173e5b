package ledgerhistory

import (
	"maps"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// state is one job in a ledger that does one thing after another.
type state struct {
	cursor int64
	// latest is the largest token given out.
	latest domain.ClaimToken
	runs   map[domain.RunKey]run
	// holders hold the slot, the oldest first.
	holders []domain.RunKey
}

type run struct {
	token    domain.ClaimToken
	phase    domain.Phase
	released bool
}

func (r run) ended() bool { return r.phase >= domain.PhaseFired }

// held tells whether the token is that of the run's owner.
func (r run) held(token domain.ClaimToken) bool {
	return r.token == token && !r.released && !r.ended()
}

func (s *state) clone() *state {
	c := *s
	c.runs, c.holders = maps.Clone(s.runs), slices.Clone(s.holders)
	return &c
}

func (s *state) equal(o *state) bool {
	return s.cursor == o.cursor && s.latest == o.latest && maps.Equal(s.runs, o.runs) && slices.Equal(s.holders, o.holders)
}

// step does what was asked, and reports whether it is what was answered.
func (s *state) step(c call, a answer) (bool, *state) {
	next := s.clone()
	switch c.kind {
	case claim:
		return next.claim(c, a), next
	case renew:
		return a.held == next.runs[c.run].held(c.token), next
	case finish:
		return a.held == next.finish(c), next
	case abandoned:
		return next.takeOver(a), next
	}
	return false, next
}

func (s *state) claim(c call, a answer) bool {
	if c.token != 0 {
		return s.claimHeld(c, a)
	}
	_, known := s.runs[c.run]
	if !c.moveOnly && known || c.to != 0 && c.from != s.cursor {
		return a.verdict == domain.Taken && a.cursor == s.cursor
	}
	if c.to != 0 {
		s.cursor = c.to
	}
	switch {
	case a.cursor != s.cursor:
		return false
	case c.moveOnly:
		return a.verdict == domain.Moved
	}
	return s.open(c, a) && s.takeSlot(c, a)
}

func (s *state) claimHeld(c call, a answer) bool {
	if a.cursor != s.cursor {
		return false
	}
	if !s.runs[c.run].held(c.token) {
		return a.verdict == domain.Lost
	}
	return s.takeSlot(c, a) && (a.token == c.token || a.verdict == domain.Blocked)
}

// open claims the run. Its token is larger than all before.
func (s *state) open(c call, a answer) bool {
	s.runs[c.run] = run{token: a.token, phase: domain.PhaseClaimed}
	if a.verdict != domain.Granted {
		return true // it ends at once
	}
	grows := a.token > s.latest
	s.latest = a.token
	return grows
}

// takeSlot lets the run have the slot, or ends it.
func (s *state) takeSlot(c call, a answer) bool {
	r := s.runs[c.run]
	switch {
	case c.slot == domain.SlotLater || r.phase == domain.PhaseStarted:
		return a.verdict == domain.Granted && a.phase == r.phase
	case c.slot == domain.SlotSkip && len(s.holders) > 0:
		r.phase = domain.PhaseFinished
		s.runs[c.run] = r
		return a.verdict == domain.Blocked && a.by == s.holders[0]
	}
	r.phase = domain.PhaseStarted
	s.runs[c.run] = r
	s.holders = append(s.holders, c.run)
	return a.verdict == domain.Granted && a.phase == domain.PhaseStarted
}

// finish ends the run and reports whether its claim was held.
func (s *state) finish(c call) bool {
	r := s.runs[c.run]
	if !r.held(c.token) {
		return c.token != 0 && r.token == c.token && (r.ended() || c.end == domain.EndReleased)
	}
	if c.end == domain.EndReleased {
		r.released = true
	} else {
		r.phase = domain.PhaseFinished
		s.holders = slices.DeleteFunc(s.holders, func(k domain.RunKey) bool { return k == c.run })
	}
	s.runs[c.run] = r
	return true
}

// takeOver gives one of the released runs to a new owner.
func (s *state) takeOver(a answer) bool {
	if !a.taken {
		for _, r := range s.runs {
			if r.released {
				return false
			}
		}
		return true
	}
	r := s.runs[a.takenRun]
	if !r.released || a.token <= s.latest || a.phase != r.phase {
		return false
	}
	r.token, r.released, s.latest = a.token, false, a.token
	s.runs[a.takenRun] = r
	return true
}
