package redisqueue

import (
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// trust counts the leases of an answer from when they were asked for: the
// server may have granted them right then. Those of an answer that was under way
// for more than half a lease, in an outage say, are renewed first: they may run
// out before whoever gets them looks at them, or be another worker's by now. The
// lost ones are not handed out.
func (c *consumer) trust(ctx context.Context, leases []domain.Lease, asked time.Time) []domain.Lease {
	now := c.backend.config.Now
	for len(leases) > 0 && now().Sub(asked) >= c.lease/2 {
		again := now()
		lost, err := c.extend(ctx, refsOf(leases))
		if err != nil {
			break
		}
		asked = again
		leases = slices.DeleteFunc(leases, func(l domain.Lease) bool { return slices.Contains(lost, l.Ref()) })
	}
	took := now().Sub(asked)
	if took >= c.lease {
		// They run out by themselves.
		c.forget(leases)
		return nil
	}
	for i := range leases {
		leases[i].For = c.lease - max(took, 0)
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
