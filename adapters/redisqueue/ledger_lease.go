package redisqueue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Renew implements [ports.Ledger]. A lease of zero or less is
// [domain.ErrInvalid].
func (l *Ledger) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if lease <= 0 {
		return nil, domain.Invalidf("renew claims: lease %s is not positive", lease)
	}
	renewals := make([]domain.Renewal, 0, len(claims))
	for part := range slices.Chunk(claims, ledgerBatch) {
		reply, err := l.call(ctx, "ledger_renew", packRefs(part), micros(lease))
		if err != nil {
			return nil, err
		}
		if renewals, err = appendRenewals(renewals, reply, len(part)); err != nil {
			return nil, fmt.Errorf("renew claims: %w", err)
		}
	}
	return renewals, nil
}

func packRefs(claims []domain.ClaimRef) string {
	p := newPacker(64 * len(claims))
	p.list(len(claims))
	for i := range claims {
		p.list(2)
		p.text(claims[i].Run.Encode())
		p.number(int64(claims[i].Token)) //nolint:gosec // tokens are below 2^53
	}
	return p.String()
}

func appendRenewals(renewals []domain.Renewal, reply any, count int) ([]domain.Renewal, error) {
	u := unpackerOf(reply)
	u.want(u.list() == count)
	for range count {
		renewal := u.long()
		u.want(renewal >= int64(domain.RenewalHeld) && renewal <= int64(domain.RenewalCancel))
		renewals = append(renewals, domain.Renewal(renewal)) //nolint:gosec // in range
	}
	return renewals, u.end()
}

// Finish implements [ports.Ledger].
func (l *Ledger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	held := make([]bool, 0, len(results))
	for part := range slices.Chunk(results, ledgerBatch) {
		reply, err := l.numbered(ctx, "ledger_finish", packResults(part))
		if err != nil {
			return nil, err
		}
		if held, err = appendHeld(held, reply, len(part)); err != nil {
			return nil, fmt.Errorf("finish runs: %w", err)
		}
	}
	return held, nil
}

func packResults(results []domain.RunResult) string {
	p := newPacker(64 * len(results))
	p.list(len(results))
	for i := range results {
		result := &results[i]
		p.list(4)
		p.text(result.Claim.Run.Encode())
		p.number(int64(result.Claim.Token)) //nolint:gosec // tokens are below 2^53
		p.number(int64(result.End))
		p.number(int64(result.Attempts))
	}
	return p.String()
}

func appendHeld(held []bool, reply any, count int) ([]bool, error) {
	u := unpackerOf(reply)
	u.want(u.list() == count)
	for range count {
		held = append(held, u.flag())
	}
	return held, u.end()
}

// Abandoned implements [ports.Ledger]: the claim that lapsed first comes
// first. It passes over the lapsed claims of other replicas' jobs, which are
// few: their replicas take them within a moment.
func (l *Ledger) Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if lease <= 0 {
		return nil, domain.Invalidf("take over claims: lease %s is not positive", lease)
	}
	var taken []domain.Claim
	passed := int64(0)
	for more := true; more && len(taken) < limit; {
		most := min(limit-len(taken), ledgerBatch)
		reply, err := l.numbered(ctx, "ledger_abandoned", replica, micros(lease), most, passed, ledgerBatch)
		if err != nil {
			return handedOver(taken, err)
		}
		page, err := readAbandoned(reply, lease)
		if err != nil {
			return handedOver(taken, fmt.Errorf("take over claims: %w", err))
		}
		l.reportAside(ctx, page.aside)
		taken = append(taken, page.claims...)
		more, passed = page.more, page.passed
	}
	return taken, nil
}

// reportAside names the runs whose records are damaged. No other call will.
func (l *Ledger) reportAside(ctx context.Context, runs []string) {
	for _, run := range runs {
		l.backend.config.Log.ErrorContext(ctx, "run set aside: its record is damaged", "run", domain.CleanText(run, domain.MaxReason), "key", l.key+":runs")
	}
}

// handedOver returns what was taken over before the error: these claims have
// no other owner.
func handedOver(taken []domain.Claim, err error) ([]domain.Claim, error) {
	if len(taken) > 0 {
		return taken, nil
	}
	return nil, err
}

// abandonedPage is a reply of ledger_abandoned.lua.
type abandonedPage struct {
	more   bool
	passed int64
	claims []domain.Claim
	aside  []string
}

func readAbandoned(reply any, lease time.Duration) (page abandonedPage, err error) {
	u := unpackerOf(reply)
	u.want(u.list() == 4)
	page.more = u.flag()
	page.passed = u.long()
	for range u.list() {
		u.want(u.list() == 1+claimFields)
		run := u.run(u.string())
		claim := u.claim(run, lease)
		if u.err != nil {
			return page, u.end()
		}
		page.claims = append(page.claims, claim)
	}
	for range u.list() {
		page.aside = append(page.aside, u.string())
	}
	return page, u.end()
}
