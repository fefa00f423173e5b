package redisqueue

import (
	"context"
	"errors"
	"slices"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// resolve gives back the jobs that the mover's latest call may have leased
// although nobody got the answer. Repeating its number tells which they are, or
// makes sure that the call is never carried out. An error says that the mover
// must not make another call yet.
func (c *consumer) resolve(ctx context.Context, m *mover) error {
	for m.owes() {
		err := c.resolveStep(ctx, m)
		if err == nil {
			continue
		}
		if ctx.Err() != nil || errors.Is(err, ports.ErrClosed) {
			return err
		}
		c.notReturned(ctx, err)
		m.unresolved, m.back = false, nil
	}
	return nil
}

func (c *consumer) notReturned(ctx context.Context, err error) {
	c.backend.config.Log.WarnContext(ctx, "jobs not returned: their leases run out by themselves", "queue", c.queue, "err", err)
}

// resolveStep makes one of the calls that resolve a mover.
func (c *consumer) resolveStep(ctx context.Context, m *mover) error {
	if m.unresolved {
		m.texts[argLimit], m.texts[argSettlements], m.texts[argPlain] = "0", "0", "0"
		reply, err := c.backend.lastCallOf(ctx, m.request(moveArgs))
		if err == nil {
			m.unresolved, m.back = false, c.unclaimed(reply, domain.LeaseToken(m.texts[argToken]))
		}
		return err
	}
	some := m.back[:min(len(m.back), maxMoved)]
	c.fill(m, some, 0)
	defer func() { m.texts = m.texts[:moveArgs] }()
	_, err := c.backend.lastCallOf(ctx, m.request(len(m.texts)))
	if err == nil {
		m.back = m.back[len(some):]
	}
	return err
}

// unclaimed returns how the leases of a reply are given back: each goes to the
// front, so that the first must go last.
func (c *consumer) unclaimed(reply any, token domain.LeaseToken) (back []domain.Settlement) {
	r := leaseReader{}
	r.rest, _ = reply.([]any)
	r.next()
	r.next()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(r.rest) > 0 {
		lease, _ := c.readLease(&r, token)
		if r.bad {
			break
		}
		back = append(back, domain.Settlement{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Returned}})
	}
	slices.Reverse(back)
	return back
}
