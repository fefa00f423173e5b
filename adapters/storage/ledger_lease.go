package storage

import (
	"cmp"
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
		var renewed map[domain.ClaimToken]bool
		err := aFewTimes(ctx, func() error {
			return l.write(ctx, func() []statement {
				renewed = make(map[domain.ClaimToken]bool, len(part))
				return []statement{l.renew(part, lease, renewed)}
			})
		})
		if err != nil {
			return nil, fmt.Errorf("renew claims: %w", err)
		}
		for _, ref := range part {
			renewals = append(renewals, renewalOf(renewed, ref.Token))
		}
	}
	return renewals, nil
}

func renewalOf(renewed map[domain.ClaimToken]bool, token domain.ClaimToken) domain.Renewal {
	cancelled, held := renewed[token]
	switch {
	case !held:
		return domain.RenewalLost
	case cancelled:
		return domain.RenewalCancel
	}
	return domain.RenewalHeld
}

func (l *Ledger) renew(claims []domain.ClaimRef, lease time.Duration, renewed map[domain.ClaimToken]bool) statement {
	sorted := slices.Clone(claims)
	// All lock claims in this order, so that two calls do not wait for each other.
	slices.SortFunc(sorted, func(a, b domain.ClaimRef) int { return cmp.Compare(a.Token, b.Token) })
	tokens, runs := make([]int64, len(sorted)), make([]string, len(sorted))
	for i := range sorted {
		tokens[i], runs[i] = numberOf(sorted[i].Token), sorted[i].Run.Encode()
	}
	s := l.lookup([]any{tokens, runs}, l.sql.renew, micros(lease))
	s.row = func(scan scanner) error {
		var token int64
		var cancelled bool
		err := scan(&token, &cancelled)
		renewed[tokenOf(token)] = cancelled
		return err
	}
	return s
}

// Abandoned implements [ports.Ledger]: the claim that lapsed first comes first.
func (l *Ledger) Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if lease <= 0 {
		return nil, domain.Invalidf("take over claims: lease %s is not positive", lease)
	}
	if limit <= 0 {
		return nil, nil
	}
	lapsed := false
	err := aFewTimes(ctx, func() (err error) {
		lapsed, err = l.hasLapsed(ctx, replica, lease)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("take over claims: %w", err)
	}
	if !lapsed {
		return nil, nil
	}
	taken, err := l.takeOver(ctx, replica, lease, min(limit, ledgerBatch))
	if err != nil {
		return nil, fmt.Errorf("take over claims: %w", err)
	}
	return taken, nil
}

func (l *Ledger) takeOver(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	var taken []domain.Claim
	read := func(scan scanner) error {
		claim, err := readTaken(scan)
		claim.Lease = lease
		taken = append(taken, claim)
		return err
	}
	write := onceWrite{count: limit}
	write.begin = func(*session) []statement {
		taken = nil
		take := l.statement(l.sql.takeOver, replica, int64(limit), micros(lease))
		take.row = read
		return []statement{
			take, l.lookup(nil, l.sql.stampTaken, newStamp(), int64(limit)),
			l.lookup(nil, l.sql.renamePushers, replica, int64(limit)),
		}
	}
	write.recall = func(ctx context.Context, _ []string) error {
		again := l.statement(l.sql.taken, write.numbering.before, int64(limit))
		again.row = read
		return l.runner.read(ctx, again)
	}
	err := l.writeOnce(ctx, new(bool), &write)
	slices.SortFunc(taken, func(a, b domain.Claim) int { return cmp.Compare(a.Token, b.Token) })
	return taken, err
}

func readTaken(scan scanner) (domain.Claim, error) {
	var claim domain.Claim
	var token, phase, grantedUS int64
	var run string
	err := scan(&token, &run, &claim.Fingerprint, &phase, &claim.Crashes, &claim.Attempts, &grantedUS)
	if err != nil {
		return claim, err
	}
	claim.Token, claim.GrantedAt = tokenOf(token), microTime(grantedUS)
	claim.Phase = domain.Phase(phase) //nolint:gosec // 1 or 2
	claim.Run, err = domain.DecodeRunKey(run)
	return claim, err
}
