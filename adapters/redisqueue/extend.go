package redisqueue

import (
	"context"

	"github.com/taktwork/takt/core/domain"
)

// Extend implements [ports.Consumer].
func (c *consumer) Extend(ctx context.Context, leases []domain.LeaseRef) ([]domain.LeaseRef, error) {
	if err := ctx.Err(); err != nil || len(leases) == 0 {
		return nil, err
	}
	lost, err := c.extend(ctx, leases)
	if err == nil {
		c.forgetOthers(leases)
	}
	return lost, err
}

// extend is Extend for some of the leases that the worker holds.
func (c *consumer) extend(ctx context.Context, leases []domain.LeaseRef) ([]domain.LeaseRef, error) {
	args := make([]any, 0, 2+2*len(leases))
	args = append(args, c.base, c.lease.Milliseconds())
	for _, ref := range leases {
		args = append(args, string(ref.ID), string(ref.Token))
	}
	reply, err := c.backend.call(ctx, scriptNamed("extend"), []string{c.meta}, args)
	if err != nil {
		return nil, ended(ctx, err)
	}
	positions, _ := reply.([]any)
	return c.lose(leases, positions), nil
}

// forgetOthers forgets the leases that the worker has given up: it extends
// all that it holds.
func (c *consumer) forgetOthers(leases []domain.LeaseRef) {
	kept := make(map[domain.LeaseRef]bool, len(leases))
	for _, ref := range leases {
		kept[ref] = true
	}
	now := c.backend.config.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref, held := range c.held {
		if !kept[ref] && now.Sub(held.since) > c.lease {
			delete(c.held, ref)
		}
	}
}

// lose forgets the leases at the positions, counted from one, and returns them.
func (c *consumer) lose(leases []domain.LeaseRef, positions []any) []domain.LeaseRef {
	var lost []domain.LeaseRef
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, position := range positions {
		if n, ok := position.(int64); ok && n >= 1 && int(n) <= len(leases) {
			lost = append(lost, leases[n-1])
			delete(c.held, leases[n-1])
		}
	}
	return lost
}
