package storage

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// load returns what the pending intents rest on: their jobs, the claims of
// these, and whether runs that are no ticks are over. It reads what is not known,
// or all if what was known turned out to be old.
func (l *Ledger) load(ctx context.Context, intents []domain.Intent, pending []int, old bool) (*ledgerState, error) {
	state := &ledgerState{
		jobs: make(map[string]*ledgerJob, len(pending)), claims: make(map[domain.RunKey]*ledgerClaim),
	}
	if !old {
		if pending = l.known.recall(state, intents, pending); len(pending) == 0 {
			return state, nil
		}
	}
	names, runs := namesOf(intents, pending)
	now, jobs, open := l.statement(l.sql.now), l.lookup([]any{names}, l.sql.jobs), l.lookup([]any{names}, l.sql.open)
	now.row = func(scan scanner) error { return scan(&state.nowUS) }
	jobs.row, open.row = state.readJob, state.readClaim
	statements := []statement{now, jobs, open}
	if len(runs) > 0 {
		remembered := l.lookup([]any{runs}, l.sql.remembered)
		remembered.row = state.readClaim
		statements = append(statements, remembered)
	}
	return state, l.runner.read(ctx, statements...)
}

// namesOf returns the intents' jobs, each once, and those of their runs that
// are no ticks.
func namesOf(intents []domain.Intent, pending []int) (names, runs []string) {
	seen := make(map[string]bool, len(pending))
	for _, i := range pending {
		run := &intents[i].Run
		if !seen[run.Job] {
			seen[run.Job] = true
			names = append(names, run.Job)
		}
		if run.Origin != domain.OriginSchedule {
			runs = append(runs, run.Encode())
		}
	}
	return names, runs
}

func (s *ledgerState) readJob(scan scanner) error {
	j := &ledgerJob{}
	err := scan(&j.name, &j.cursorMS, &j.movedBy, &j.paused, &j.fingerprint, &j.stamp)
	s.jobs[j.name] = j
	return err
}

func (s *ledgerState) readClaim(scan scanner) error {
	c, err := readClaim(scan)
	if err != nil {
		return err
	}
	if s.claims[c.run] == nil || !c.ended() {
		s.add(c)
	}
	return nil
}

// readClaim reads the columns of claimColumns.
func readClaim(scan scanner) (*ledgerClaim, error) {
	c := &ledgerClaim{}
	var token, phase int64
	var run, pushedBy string
	err := scan(&token, &run, &c.replica, &c.fingerprint, &phase, &c.started, &c.waits, &c.cancelled, &c.released,
		&c.crashes, &c.attempts, &c.grantedUS, &c.deadlineUS, &pushedBy, &c.pushedOwner)
	if err != nil {
		return nil, err
	}
	c.token, c.phase = tokenOf(token), domain.Phase(phase) //nolint:gosec // 1 to 4
	if c.run, err = domain.DecodeRunKey(run); err != nil {
		return nil, err
	}
	if pushedBy != "" {
		c.pushed = true
		c.pushedBy, err = domain.DecodeRunKey(pushedBy)
	}
	return c, err
}

// tokenOf returns a number as the token that it is.
func tokenOf(number int64) domain.ClaimToken {
	return domain.ClaimToken(number) //nolint:gosec // numbers are positive
}

func numberOf(token domain.ClaimToken) int64 { return int64(token) } //nolint:gosec // an overflow is no number of ours

func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }
