package inmemqueue

import (
	"context"
	"fmt"
	"time"

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
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	verdicts := make([]domain.Verdict, len(intents))
	for i := range intents {
		l.decide(&intents[i], now, &verdicts[i])
		if job := l.jobs[intents[i].Run.Job]; job != nil {
			verdicts[i].Cursor = job.cursor()
		}
	}
	return verdicts, nil
}

// decide answers the intent.
func (l *Ledger) decide(intent *domain.Intent, now time.Time, verdict *domain.Verdict) {
	if intent.Held != 0 {
		l.decideHeld(intent, now, verdict)
		return
	}
	job := l.jobs[intent.Run.Job]
	if job == nil || !job.isValid(intent.Fingerprint) {
		verdict.Kind = domain.Superseded
		return
	}
	if owner, ok := l.takenBy(job, intent); ok {
		verdict.Kind, verdict.Owner = domain.Taken, owner
		return
	}
	if intent.Move != nil {
		job.advance(intent.Move.To)
		job.movedBy = intent.Replica
		l.changes.touch(job)
	}
	switch {
	case intent.MoveOnly:
		verdict.Kind = domain.Moved
	case job.paused && intent.Run.Origin == domain.OriginSchedule:
		verdict.Kind = domain.Paused
	default:
		l.takeSlot(l.open(job, intent, now), intent, now, verdict)
	}
}

// takenBy returns who has the intent's run or has decided its tick.
func (l *Ledger) takenBy(job *ledgerJob, intent *domain.Intent) (string, bool) {
	if c := l.claims[intent.Run]; c != nil && !intent.MoveOnly {
		return c.replica, true
	}
	if intent.Move != nil && intent.Move.From.UnixMilli() != job.cursorMS {
		return job.movedBy, true
	}
	return "", false
}

func (l *Ledger) decideHeld(intent *domain.Intent, now time.Time, verdict *domain.Verdict) {
	c := l.held(domain.ClaimRef{Run: intent.Run, Token: intent.Held})
	if c == nil {
		verdict.Kind = domain.Lost
		if other := l.claims[intent.Run]; other != nil {
			verdict.Owner = other.replica
		}
		return
	}
	l.extend(c, now, intent.Lease)
	l.takeSlot(c, intent, now, verdict)
}
