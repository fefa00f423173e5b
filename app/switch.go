package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// ErrClaimsInMemory says that claims are in the memory of the workers, where no
// other process reaches them.
var ErrClaimsInMemory = errors.New("claims are in the memory of the workers")

// SwitchJob pauses a scheduled job, or resumes it, where the claims are kept; no
// worker need run. It is for an App that is never started. It opens what holds the
// claims and nothing else, waiting until ctx ends, changes nothing but the pause,
// and closes it. Errors are [ErrClaimsInMemory], those of [storage.Open] and of
// [SchedulerService.PauseJob].
func (a *App) SwitchJob(ctx context.Context, name string, paused bool) error {
	do := ports.ScheduleSwitch.ResumeJob
	if paused {
		do = ports.ScheduleSwitch.PauseJob
	}
	switch a.settings.Ledger { //nolint:exhaustive // the others are in storage
	case config.LedgerMemory:
		return ErrClaimsInMemory
	case config.LedgerRedis:
		stores := a.engine.stores
		err := stores.await(ctx)
		if err == nil {
			err = switchIn(ctx, stores.switches, name, do)
		}
		return errors.Join(err, stores.close())
	}
	db, err := openKept(ctx, a.settings)
	switch {
	case errors.Is(err, errNothingKept) && a.settings.Storage.Dialect == storage.SQLite:
		return fmt.Errorf("%w %s: %w", runner.ErrUnknownJob, domain.Quote(name), err)
	case errors.Is(err, errNothingKept):
		return fmt.Errorf("%w: %w", ErrClaimsInMemory, err)
	case err != nil:
		return fmt.Errorf("open claims %s: %w", a.settings.Storage, err)
	}
	return errors.Join(switchIn(ctx, db.Ledger(a.settings.Namespace), name, do), db.Close())
}
