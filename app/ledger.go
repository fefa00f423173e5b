package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// claims is a ledger whose jobs can be paused.
type claims interface {
	ports.Ledger
	ports.ScheduleSwitch
}

// lateLedger is a ledger that is chosen while the worker starts: before, nobody
// knows whether storage has a schema. Until then it is unavailable.
type lateLedger struct{ chosen atomic.Pointer[claims] }

var _ claims = (*lateLedger)(nil)

func (l *lateLedger) choose(ledger claims) { l.chosen.Store(&ledger) }

func (l *lateLedger) get() (claims, error) {
	if chosen := l.chosen.Load(); chosen != nil {
		return *chosen, nil
	}
	return nil, fmt.Errorf("ledger: storage is not open yet: %w", ports.ErrUnavailable)
}

// Sync implements [ports.Ledger].
func (l *lateLedger) Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error) {
	ledger, err := l.get()
	if err != nil {
		return domain.SyncReply{}, err
	}
	return ledger.Sync(ctx, request)
}

// Claim implements [ports.Ledger].
func (l *lateLedger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	ledger, err := l.get()
	if err != nil {
		return nil, err
	}
	return ledger.Claim(ctx, intents)
}

// Renew implements [ports.Ledger].
func (l *lateLedger) Renew(ctx context.Context, refs []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	ledger, err := l.get()
	if err != nil {
		return nil, err
	}
	return ledger.Renew(ctx, refs, lease)
}

// Finish implements [ports.Ledger].
func (l *lateLedger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	ledger, err := l.get()
	if err != nil {
		return nil, err
	}
	return ledger.Finish(ctx, results)
}

// Abandoned implements [ports.Ledger].
func (l *lateLedger) Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	ledger, err := l.get()
	if err != nil {
		return nil, err
	}
	return ledger.Abandoned(ctx, replica, lease, limit)
}

// PauseJob implements [ports.ScheduleSwitch].
func (l *lateLedger) PauseJob(ctx context.Context, job string) error {
	ledger, err := l.get()
	if err != nil {
		return err
	}
	return ledger.PauseJob(ctx, job)
}

// ResumeJob implements [ports.ScheduleSwitch].
func (l *lateLedger) ResumeJob(ctx context.Context, job string) error {
	ledger, err := l.get()
	if err != nil {
		return err
	}
	return ledger.ResumeJob(ctx, job)
}
