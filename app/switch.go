package app

import (
	"context"
	"errors"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/ports"
)

// ErrClaimsInMemory says that claims are in the memory of the workers, where no
// other process reaches them.
var ErrClaimsInMemory = errors.New("claims are in the memory of the workers")

// SwitchJob pauses a scheduled job, or resumes it, where the claims are kept; no
// worker need run. It is for an App that is never started, and may be called
// once: it opens the stores, waiting until ctx ends, and closes them. Errors are
// [ErrClaimsInMemory], [ErrStorage] and those of [SchedulerService.PauseJob].
func (a *App) SwitchJob(ctx context.Context, name string, paused bool) (err error) {
	stores := a.engine.stores
	if a.settings.Ledger == config.LedgerMemory {
		return ErrClaimsInMemory
	}
	defer func() { err = errors.Join(err, stores.stop()) }()
	if err := stores.start(ctx); err != nil {
		return err
	}
	if stores.ledgerKind(a.settings) == config.LedgerMemory {
		return ErrClaimsInMemory
	}
	do := ports.ScheduleSwitch.ResumeJob
	if paused {
		do = ports.ScheduleSwitch.PauseJob
	}
	return stores.switchJob(ctx, name, do)
}
