package storage

import (
	"cmp"
	"slices"
)

// moveJobs writes the jobs that are as they were read, and notes their names:
// in the session's answer, if it is not all of them. If all are to be written,
// and one is not as it was read, the write is undone.
func (l *Ledger) moveJobs(jobs []*ledgerJob, stamp int64, session *session, written *writtenState) statement {
	n := len(jobs)
	names, stamps, cursors := make([]string, n), make([]int64, n), make([]int64, n)
	movers, moved := make([]string, n), make([]bool, n)
	for i, j := range jobs {
		names[i], stamps[i], cursors[i], movers[i], moved[i] = j.name, j.stamp, j.cursorMS, j.movedBy, j.moved
	}
	set := []any{names, stamps, cursors, movers, moved}
	if written.all {
		return l.lookup(set, l.sql.moveAll, stamp, int64(n))
	}
	args := []any{stamp}
	if l.sql.note != "" {
		args = append(args, session.id, int64(n))
	}
	s := l.lookup(set, l.sql.moveJobs, args...)
	s.row = func(scan scanner) error {
		var name string
		err := scan(&name)
		written.jobs[name] = true
		return err
	}
	return s
}

// lookAtBlockers gives the jobs of the claims that have ended meanwhile another
// stamp, so that what rested on these is decided again. Those that have not
// cannot end before the write is over.
func (l *Ledger) lookAtBlockers(blockers []*ledgerClaim) []statement {
	if len(blockers) == 0 {
		return nil
	}
	blockers = slices.Clone(blockers) // they are looked at again when the write is repeated
	slices.SortFunc(blockers, func(a, b *ledgerClaim) int { return cmp.Compare(a.token, b.token) })
	blockers = slices.Compact(blockers)
	jobs, tokens := make([]string, len(blockers)), make([]int64, len(blockers))
	for i, c := range blockers {
		jobs[i], tokens[i] = c.run.Job, numberOf(c.token)
	}
	look := l.lookup([]any{jobs, tokens}, l.sql.stampUnblocked, newStamp())
	if l.sql.holdBlockers == "" {
		return []statement{look}
	}
	return []statement{l.lookup([]any{tokens}, l.sql.holdBlockers), look}
}

// openClaims writes the new claims of the jobs that were written.
func (l *Ledger) openClaims(state *ledgerState, written *writtenState) statement {
	n := len(state.opened)
	tokens, starts, phases, leases := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	runs, jobs, replicas, prints := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, c := range state.opened {
		tokens[i], starts[i], phases[i], leases[i] = int64(c.tokenAt), int64(c.startedAt), int64(c.phase), micros(c.lease)
		runs[i], jobs[i], replicas[i], prints[i] = c.run.Encode(), c.run.Job, c.replica, c.fingerprint
	}
	set := []any{tokens, runs, jobs, replicas, prints, phases, starts, leases}
	if written.all {
		return l.lookup(set, l.sql.openAll, int64(state.numbers))
	}
	return l.lookup(set, l.sql.openClaims, int64(state.numbers), written.stamp)
}

// changeClaims writes the changed claims of the jobs that have the stamp.
func (l *Ledger) changeClaims(claims []*ledgerClaim, numbers int, stamp int64) statement {
	n := len(claims)
	tokens, starts, phases, leases := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	jobs, waits, cancelled := make([]string, n), make([]bool, n), make([]bool, n)
	pushers, owners := make([]string, n), make([]string, n)
	for i, c := range claims {
		tokens[i], starts[i], phases[i] = c.written(), int64(c.startedAt), int64(c.phase)
		if c.lease > 0 {
			leases[i] = micros(c.lease)
		}
		jobs[i], waits[i], cancelled[i] = c.run.Job, c.waits, c.cancelled
		pushers[i], owners[i] = c.pusher()
	}
	set := []any{tokens, jobs, phases, starts, waits, cancelled, leases, pushers, owners}
	return l.lookup(set, l.sql.changeClaims, stamp, int64(numbers))
}

// changes returns the claims that are not written as those that are new and
// start at once: in the order in which all calls lock claims.
func (s *ledgerState) changes() []*ledgerClaim {
	changes := slices.Clone(s.changed)
	for _, c := range s.opened {
		if c.waits || c.cancelled || c.pushed {
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b *ledgerClaim) int { return cmp.Compare(a.token, b.token) })
	return changes
}

// written returns the token, or that of a new claim as changeClaims takes it.
func (c *ledgerClaim) written() int64 {
	if c.tokenAt > 0 {
		return int64(-c.tokenAt)
	}
	return numberOf(c.token)
}

// pusher returns the run that took the claim's place in the wait and that
// run's replica, as they are written.
func (c *ledgerClaim) pusher() (run, owner string) {
	if !c.pushed {
		return "", ""
	}
	return c.pushedBy.Encode(), c.pushedOwner
}
