package storage

import (
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// ledgerJob is what was read of a scheduled job, and then decided.
type ledgerJob struct {
	name        string
	cursorMS    int64
	movedBy     string
	paused      bool
	fingerprint string
	stamp       int64

	// holders hold the slot, the oldest first; waiter is next.
	holders []*ledgerClaim
	waiter  *ledgerClaim
	// open is a claim that has not ended, zero if there is none. crowded tells
	// that there may be more.
	open    domain.ClaimToken
	crowded bool

	// moved tells that the cursor moved, dirty that anything changed.
	moved, dirty bool
}

func (j *ledgerJob) cursor() time.Time { return time.UnixMilli(j.cursorMS).UTC() }

// noteOpen takes note of a claim that has not ended.
func (j *ledgerJob) noteOpen(token domain.ClaimToken) {
	if j.open != 0 {
		j.crowded = true
		return
	}
	j.open = token
}

// ledgerClaim is a run that was claimed and what became of it.
type ledgerClaim struct {
	run   domain.RunKey
	token domain.ClaimToken
	// tokenAt and startedAt count the numbers of this batch that the token and
	// the start get when they are written; zero for those that have theirs.
	tokenAt, startedAt int
	started            int64

	replica, fingerprint string
	phase                domain.Phase
	waits, cancelled     bool
	released             bool
	crashes, attempts    int
	grantedUS            int64
	deadlineUS           int64
	// lease is the one that was granted or asked for in this batch.
	lease time.Duration
	// pushedBy is the run that took its place in the wait, if pushed.
	pushed      bool
	pushedBy    domain.RunKey
	pushedOwner string
	// changed tells that a claim that was read changed.
	changed bool
}

func (c *ledgerClaim) ended() bool { return c.phase >= domain.PhaseFired }

// ledgerState is what a batch of intents rests on, and what it changes.
type ledgerState struct {
	nowUS int64
	jobs  map[string]*ledgerJob
	// claims are those that have not ended and those that are remembered.
	claims  map[domain.RunKey]*ledgerClaim
	numbers int
	opened  []*ledgerClaim
	changed []*ledgerClaim
	dirty   []*ledgerJob
	isNews  bool
	// blockers are the claims that were read and because of which others wait
	// or are over.
	blockers []*ledgerClaim
}

// restOn takes note that a decision holds only while c has not ended: that
// changes no stamp.
func (s *ledgerState) restOn(c *ledgerClaim) {
	if c.tokenAt == 0 {
		s.blockers = append(s.blockers, c)
	}
}

// number returns how many numbers were asked for, this one included.
func (s *ledgerState) number() int {
	s.numbers++
	return s.numbers
}

func (s *ledgerState) touch(job *ledgerJob) {
	if !job.dirty {
		job.dirty = true
		s.dirty = append(s.dirty, job)
	}
}

// change takes note that the claim and its job are to be written.
func (s *ledgerState) change(job *ledgerJob, c *ledgerClaim) {
	s.touch(job)
	if c.tokenAt == 0 && !c.changed {
		c.changed = true
		s.changed = append(s.changed, c)
	}
}

// alive reports whether the claim's lease lives. One that was granted or
// renewed in this batch does.
func (s *ledgerState) alive(c *ledgerClaim) bool { return c.lease > 0 || s.nowUS < c.deadlineUS }

// held returns the claim if ref is the latest name of it and it has an owner.
func (s *ledgerState) held(ref domain.ClaimRef) *ledgerClaim {
	c := s.claims[ref.Run]
	if c == nil || c.tokenAt > 0 || c.token != ref.Token || c.released || c.ended() {
		return nil
	}
	return c
}

// add takes a claim that was read.
func (s *ledgerState) add(c *ledgerClaim) {
	s.claims[c.run] = c
	job := s.jobs[c.run.Job]
	if job == nil || c.ended() {
		return
	}
	job.noteOpen(c.token)
	if c.waits {
		job.waiter = c
	}
	if c.started > 0 {
		at, _ := slices.BinarySearchFunc(job.holders, c.started, func(h *ledgerClaim, started int64) int {
			return int(min(max(h.started-started, -1), 1))
		})
		job.holders = slices.Insert(job.holders, at, c)
	}
}
