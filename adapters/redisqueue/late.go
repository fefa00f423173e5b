package redisqueue

import (
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// trust counts the leases of an answer from when they were asked for: the
// server may have granted them right then. Those of an answer that was a whole
// lease under way may be another worker's by now, so they are renewed first,
// and the lost ones are not handed out.
func (c *consumer) trust(ctx context.Context, leases []domain.Lease, asked time.Time) []domain.Lease {
	now := c.backend.config.Now
	for len(leases) > 0 {
		took := now().Sub(asked)
		if took < c.lease {
			for i := range leases {
				leases[i].For = c.lease - max(took, 0)
			}
			return leases
		}
		asked = now()
		lost, err := c.extend(ctx, refsOf(leases))
		if err != nil {
			// They run out by themselves.
			c.forget(leases)
			return nil
		}
		leases = slices.DeleteFunc(leases, func(l domain.Lease) bool { return slices.Contains(lost, l.Ref()) })
	}
	return leases
}

func refsOf(leases []domain.Lease) []domain.LeaseRef {
	refs := make([]domain.LeaseRef, len(leases))
	for i := range leases {
		refs[i] = leases[i].Ref()
	}
	return refs
}

func (c *consumer) forget(leases []domain.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range leases {
		delete(c.held, leases[i].Ref())
	}
}
