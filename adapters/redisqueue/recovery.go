package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// Recover implements [ports.Consumer]. A job that crashed too often is not
// failed here: as in BullMQ, whoever leases it next is told to fail it.
func (c *consumer) Recover(ctx context.Context) ([]domain.Recovered, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.ear.show(ctx)
	config := &c.backend.config
	args := []any{nil, c.base, string(config.Profile), config.StalledInterval.Milliseconds(), max(config.MaxCrashes, 0)}
	reply, err := c.backend.numbered(ctx, scriptNamed("recover"), []string{"", c.meta, c.parked}, args)
	if err != nil {
		return nil, ended(ctx, err)
	}
	return readRecovered(reply)
}

// actionMissing is what recover.lua says of a job without a hash.
const actionMissing = "missing"

func readRecovered(reply any) ([]domain.Recovered, error) {
	packed, _ := reply.(string)
	u := unpacker{rest: packed}
	var recovered []domain.Recovered
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
	if u.err != nil {
		return nil, fmt.Errorf("recover: %w", u.err)
	}
	return recovered, nil
}
