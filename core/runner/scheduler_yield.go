package runner

import (
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

const (
	// yield is how long a replica leaves a tick to the one that is preferred
	// for it. If more ticks come due at once than one call claims, that one has
	// yieldEach for each more, but no more than yieldMost: to look before then
	// whether it is done would be in its way.
	yield     = 50 * time.Millisecond
	yieldEach = 100 * time.Microsecond
	yieldMost = 500 * time.Millisecond
	// A replica that is late with its own ticks takes it for a while, lateFor, that
	// the others are, and leaves them theirs for latePatience as much longer.
	lateFor      = 5 * time.Second
	latePatience = 2
	// lookFirst is from how many ticks of others' jobs on a replica looks whether
	// they have been decided before it asks for them.
	lookFirst = 16
)

// claimOthers asks for ticks of jobs that others are preferred for, beginning
// with those that these come to last.
func (s *scheduler) claimOthers(ctx context.Context, due []schedule.Due) (left []schedule.Due, err error) {
	for len(due) > 0 {
		if due, err = s.undecided(ctx, due); err != nil {
			return due, err
		}
		first := max(len(due)-claimBatch, 0)
		if err := s.claim(s.plan(due[first:])); err != nil {
			return due, err
		}
		due = due[:first]
	}
	return nil, nil
}

// undecided returns those ticks of jobs that others are preferred for which
// nobody has decided yet. Of many most have been, and so have few if claims take
// long: one look costs less than to ask for each.
func (s *scheduler) undecided(ctx context.Context, due []schedule.Due) ([]schedule.Due, error) {
	if len(due) < lookFirst && !s.isLate() {
		return due, nil
	}
	if err := s.sync(ctx); err != nil {
		return due, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(due, func(d schedule.Due) bool { return !s.jobs[d.ID].state.Cursor.Before(d.Latest) }), nil
}

// othersClaimFor returns how long other replicas may still be busy with very many
// ticks.
func (s *scheduler) othersClaimFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replicas) < 2 {
		return 0
	}
	return s.yieldsFor()
}

// isLate reports whether this replica claimed ticks of its own so late that others
// may have looked for them.
func (s *scheduler) isLate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late >= yield && s.ports.Now().Before(s.lateUntil)
}

// yieldOf returns how long a replica leaves its ticks to another one that has
// about as many at once as this one.
func yieldOf(ticks int) time.Duration {
	return min(yield+time.Duration(max(ticks-claimBatch, 0))*yieldEach, yieldMost)
}

// leftSince returns from when a tick of others' jobs has been left to them for
// long enough at now; it is called with mu held.
func (s *scheduler) leftSince(now time.Time) time.Time {
	if s.yieldsFor() > 0 {
		return now.Add(-s.leftAtMost())
	}
	return now.Add(-s.leftFor())
}

// leftUntil returns how long the others' tick is left to them; it is called with
// mu held.
func (s *scheduler) leftUntil(tick, now time.Time) time.Time {
	until := tick.Add(s.leftFor())
	if busy := now.Add(s.yieldsFor()); busy.After(until) {
		until = busy
	}
	if most := tick.Add(s.leftAtMost()); most.Before(until) {
		until = most
	}
	return until
}

// leftFor returns how long ticks of others' jobs are left to them, leftAtMost how
// long if very many came due at once.
func (s *scheduler) leftFor() time.Duration {
	if s.ports.Now().Before(s.lateUntil) {
		return yield + s.late*latePatience
	}
	return yield
}

func (s *scheduler) leftAtMost() time.Duration { return max(yieldMost, s.leftFor()) }

// noteLate takes note of how long ticks of mine took from when they were found to be
// due until they were claimed. Replicas that fall behind together would do so even
// more if each asked for the others' ticks, too.
func (s *scheduler) noteLate(claimed dueTicks) {
	if len(claimed.mine) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.ports.Now()
	// A replica that is gone must not take its ticks along into a misfire.
	late := min(now.Sub(claimed.since), s.strictest/(2*latePatience))
	if late >= s.late || !now.Before(s.lateUntil) {
		s.late, s.lateUntil = late, now.Add(late+lateFor)
	}
}

// yieldsFor returns how long the others may still be busy with very many ticks,
// by the clock that nobody sets.
func (s *scheduler) yieldsFor() time.Duration {
	return max(s.yieldUntil.Sub(s.ports.Now()), 0)
}
