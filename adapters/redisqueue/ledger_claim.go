package redisqueue

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
	verdicts := make([]domain.Verdict, 0, len(intents))
	for part := range slices.Chunk(intents, ledgerBatch) {
		reply, err := l.numberedAs(ctx, "ledger_claim", packIntents(part), func(reply any) []deed {
			some, _ := appendVerdicts(nil, reply, part)
			return claimedOf(part, some)
		})
		if err != nil {
			return nil, err
		}
		if verdicts, err = appendVerdicts(verdicts, reply, part); err != nil {
			return nil, fmt.Errorf("claim: %w", err)
		}
	}
	for i := range verdicts {
		if verdicts[i].Owner == ofDamagedJob {
			verdicts[i].Owner = ""
			l.reportDamaged(ctx, intents[i].Run.Job)
		}
	}
	return verdicts, nil
}

// ofDamagedJob is the owner in verdicts about a job whose record is damaged.
const ofDamagedJob = "\x00"

// maxDamaged bounds how many jobs a ledger remembers that it has named.
const maxDamaged = 1000

// reportDamaged names a job whose record is damaged, once.
func (l *Ledger) reportDamaged(ctx context.Context, job string) {
	l.mu.Lock()
	named := l.damaged[job] || len(l.damaged) >= maxDamaged
	if !named {
		if l.damaged == nil {
			l.damaged = map[string]bool{}
		}
		l.damaged[job] = true
	}
	l.mu.Unlock()
	if !named {
		l.backend.config.Log.ErrorContext(ctx, "job passed over: its record is damaged", "job", job, "key", l.key+":jobs")
	}
}

// claimedOf returns the runs whose claims were granted.
func claimedOf(intents []domain.Intent, verdicts []domain.Verdict) []deed {
	claims := deed{kind: lostClaim}
	for i := range verdicts {
		if verdicts[i].Kind == domain.Granted {
			claims.names = append(claims.names, intents[i].Run.String())
		}
	}
	return []deed{claims}
}

// packIntents writes intents as ledger_claim.lua takes them.
func packIntents(intents []domain.Intent) string {
	p := newPacker(128 * len(intents))
	p.list(len(intents))
	for i := range intents {
		intent := &intents[i]
		p.list(12)
		p.text(intent.Run.Encode())
		p.text(intent.Run.Job)
		p.text(intent.Replica)
		p.text(intent.Fingerprint)
		p.flag(intent.Move != nil)
		if intent.Move != nil {
			p.number(intent.Move.From.UnixMilli())
			p.number(intent.Move.To.UnixMilli())
		} else {
			p.number(0)
			p.number(0)
		}
		p.flag(intent.MoveOnly)
		p.number(int64(intent.Held)) //nolint:gosec // tokens are below 2^53
		p.number(int64(intent.Slot))
		p.number(micros(intent.Lease))
		p.flag(intent.Run.Origin == domain.OriginSchedule)
	}
	return p.String()
}

// appendVerdicts reads the answers to the intents.
func appendVerdicts(verdicts []domain.Verdict, reply any, intents []domain.Intent) ([]domain.Verdict, error) {
	u := unpackerOf(reply)
	u.want(u.list() == len(intents))
	for i := range intents {
		verdict := readVerdict(&u, &intents[i])
		if u.err != nil {
			return nil, u.err
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts, u.end()
}

func readVerdict(u *unpacker, intent *domain.Intent) domain.Verdict {
	fields := u.list()
	kind := u.long()
	u.want(kind >= int64(domain.Granted) && kind <= int64(domain.Lost))
	verdict := domain.Verdict{Kind: domain.VerdictKind(kind)} //nolint:gosec // in range
	if known, cursor := u.flag(), u.milli(); known {
		verdict.Cursor = cursor
	}
	if by := u.string(); by != "" {
		verdict.By = u.run(by)
	}
	verdict.Owner = u.string()
	if verdict.Kind == domain.Granted || verdict.Kind == domain.Queued {
		u.want(fields == verdictFields+claimFields)
		verdict.Claim = u.claim(intent.Run, intent.Lease)
		return verdict
	}
	u.want(fields == verdictFields)
	return verdict
}
