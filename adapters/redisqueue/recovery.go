package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// Recover implements [ports.Consumer]. A job that crashed too often is not
// failed here: as in BullMQ, whoever leases it next is told to fail it. Very many
// jobs are recovered some at a time; should that break off, it returns those that
// were, and the next scan recovers the others.
func (c *consumer) Recover(ctx context.Context) ([]domain.Recovered, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.ear.show(ctx)
	var recovered []domain.Recovered
	for began := ""; ; {
		some, goesOn, err := c.recoverSome(ctx, began)
		recovered = append(recovered, some...)
		if len(recovered) > 0 && err != nil {
			goesOn, err = "", nil
		}
		if err != nil || goesOn == "" {
			return recovered, err
		}
		began = goesOn
	}
}

// recoverSome begins a scan, or goes on with the one that began then. goesOn
// tells that there are more jobs to recover.
func (c *consumer) recoverSome(ctx context.Context, began string) (recovered []domain.Recovered, goesOn string, err error) {
	config := &c.backend.config
	args := []any{nil, c.base, string(config.Profile), config.StalledInterval.Milliseconds(), max(config.MaxCrashes, 0), began}
	reply, err := c.backend.numbered(ctx, scriptNamed("recover"), []string{"", c.meta, c.parked}, args)
	if err != nil {
		return nil, "", ended(ctx, err)
	}
	return readRecovered(reply)
}

// actionMissing is what recover.lua says of a job without a hash.
const actionMissing = "missing"

func readRecovered(reply any) (recovered []domain.Recovered, goesOn string, err error) {
	packed, _ := reply.(string)
	u := unpacker{rest: packed}
	for range u.list() / 4 {
		id, _ := u.text()
		name, _ := u.text()
		crashes := u.number()
		action, _ := u.text()
		r := domain.Recovered{ID: domain.JobID(id), Name: name, Crashes: crashes, Action: domain.Requeued}
		if action == actionMissing {
			r.Action = domain.Quarantined
		}
		recovered = append(recovered, r)
		if u.err != nil {
			break
		}
	}
	goesOn, _ = u.text()
	if u.err != nil {
		return nil, "", fmt.Errorf("recover: %w", u.err)
	}
	return recovered, goesOn, nil
}
