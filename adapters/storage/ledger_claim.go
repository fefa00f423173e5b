package storage

import (
	"context"
	"fmt"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// Claim implements [ports.Ledger]. An intent that makes no sense is
// [domain.ErrInvalid], and nothing of its batch is done: a tick without a
// move, a move that does not lead from before the tick up to it or beyond, a
// lease of zero or less, or an origin that is none.
func (l *Ledger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range intents {
		if err := intents[i].Validate(); err != nil {
			return nil, fmt.Errorf("claim %s: %w", intents[i].Run, err)
		}
	}
	begun := false
	verdicts := make([]domain.Verdict, 0, len(intents))
	for part := range slices.Chunk(intents, ledgerBatch) {
		answered, err := l.claimPart(ctx, &begun, part)
		if err != nil {
			return nil, fmt.Errorf("claim: %w", err)
		}
		verdicts = append(verdicts, answered...)
	}
	return verdicts, nil
}

// claimPart answers a batch. Intents of jobs that somebody else changed
// between reading and writing are decided again; whoever changed them is done,
// so this comes to an end.
func (l *Ledger) claimPart(ctx context.Context, begun *bool, intents []domain.Intent) ([]domain.Verdict, error) {
	verdicts := make([]domain.Verdict, len(intents))
	pending := make([]int, len(intents))
	for i := range pending {
		pending[i] = i
	}
	for old := false; len(pending) > 0; old = true {
		var state *ledgerState
		err := l.untilKnown(ctx, begun, func() error {
			return aFewTimes(ctx, func() (err error) {
				state, err = l.load(ctx, intents, pending, old)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
		decisions := make([]decision, len(pending))
		for n, i := range pending {
			decisions[n] = state.decide(&intents[i])
		}
		written, err := l.save(ctx, begun, state)
		if err != nil {
			return nil, err
		}
		again := pending[:0]
		for n, i := range pending {
			if job := decisions[n].job; job != nil && job.dirty && !written.wrote(job) {
				again = append(again, i)
				continue
			}
			verdicts[i] = written.verdict(&decisions[n])
		}
		pending = again
	}
	return verdicts, nil
}

// writtenState is what became of a state's changes.
type writtenState struct {
	numbering

	// jobs are those whose changes were written, unless all tells that it is all
	// of them.
	jobs map[string]bool
	all  bool
	// stamp is the one that they have since, zero if it is not known.
	stamp int64
}

func (w *writtenState) wrote(job *ledgerJob) bool { return w.all || w.jobs[job.name] }

func (w *writtenState) verdict(d *decision) domain.Verdict {
	if d.claim != nil {
		d.verdict.Claim = w.claim(d.claim)
		d.verdict.Claim.Phase = d.phase
	}
	return d.verdict
}

// claim returns the claim as its owner gets it.
func (w *writtenState) claim(c *ledgerClaim) domain.Claim {
	claim := domain.Claim{
		Run: c.run, Token: c.token, Phase: c.phase, Lease: c.lease, GrantedAt: microTime(c.grantedUS),
		Crashes: c.crashes, Attempts: c.attempts, Fingerprint: c.fingerprint,
	}
	if c.tokenAt > 0 {
		claim.Token, claim.GrantedAt = tokenOf(w.before+int64(c.tokenAt)), w.now
	}
	return claim
}

// waryFor is how many writes follow on one that supposed in vain that no job had
// changed and do not suppose so: where others want the same ticks, more will have.
const waryFor = 8

// save writes what changed in the state: at first as if nobody else had changed
// a job meanwhile, if the dialect can tell at once that somebody has.
func (l *Ledger) save(ctx context.Context, begun *bool, state *ledgerState) (writtenState, error) {
	if len(state.dirty) == 0 {
		return writtenState{}, nil
	}
	if state.isNews && state.numbers == 0 {
		state.numbers = 1
	}
	written, err := l.saveJobs(ctx, begun, state, l.sql.moveAll != "" && l.wary.Add(-1) < 0)
	if isPartial(err) {
		l.wary.Store(waryFor)
		written, err = l.saveJobs(ctx, begun, state, false)
	}
	if err == nil && written.stamp != 0 {
		l.known.keep(state, &written)
	}
	if err == nil {
		l.countBlocked(state)
	}
	return written, err
}

// saveJobs writes the changes to all jobs or to none, or those to the jobs that
// nobody else has changed.
func (l *Ledger) saveJobs(ctx context.Context, begun *bool, state *ledgerState, all bool) (writtenState, error) {
	var written writtenState
	write := onceWrite{count: state.numbers, isNews: state.isNews}
	write.begin = func(s *session) []statement {
		written = writtenState{all: all, stamp: newStamp()}
		if !all {
			written.jobs = make(map[string]bool, len(state.dirty))
		}
		statements := append(l.lookAtBlockers(state.blockers), l.moveJobs(state.dirty, written.stamp, s, &written))
		if len(state.opened) > 0 {
			statements = append(statements, l.openClaims(state, &written))
		}
		if changes := state.changes(); len(changes) > 0 {
			statements = append(statements, l.changeClaims(changes, state.numbers, written.stamp))
		}
		return statements
	}
	write.recall = func(_ context.Context, jobs []string) error {
		written.stamp = 0 // an earlier attempt's
		written.all = jobs == nil
		for _, job := range jobs {
			written.jobs[job] = true
		}
		return nil
	}
	err := l.writeOnce(ctx, begun, &write)
	*begun = *begun || err == nil
	written.numbering = write.numbering
	return written, err
}
