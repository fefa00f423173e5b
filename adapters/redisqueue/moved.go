package redisqueue

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Codes of settlements, as move.lua and the protocol number them (appendix A).
const (
	codeSettled        = 0
	codeGone           = -1
	codePending        = -4
	codeFailedChildren = -9
)

// moved is the answer to one call.
type moved struct {
	codes    []int
	statuses []domain.SettleStatus
	leases   []domain.Lease
	wait     waitFor
}

// read takes the reply of move.lua apart and remembers the new leases.
func (c *consumer) read(ctx context.Context, reply any, m *mover) (moved, error) {
	r := leaseReader{}
	r.rest, _ = reply.([]any)
	codes, wait := r.next(), r.next()
	out := moved{wait: readWait(wait)}
	codes, complaint, _ := strings.Cut(codes, "\n")
	if codes != "" {
		for code := range strings.SplitSeq(codes, ",") {
			n, err := strconv.Atoi(code)
			r.bad = r.bad || err != nil
			out.codes = append(out.codes, n)
		}
	}
	scheduled := c.remember(&r, m, &out)
	if r.bad {
		return moved{}, fmt.Errorf("move: %w", errReply)
	}
	c.continueSchedules(ctx, scheduled)
	if complaint != "" {
		c.reportParent(ctx, complaint)
	}
	return out, nil
}

// remember reads the leases and returns those whose job a job scheduler made.
func (c *consumer) remember(r *leaseReader, m *mover, out *moved) []*domain.Lease {
	if len(r.rest) == 0 {
		return nil
	}
	token := domain.LeaseToken(m.texts[argToken])
	out.leases = make([]domain.Lease, 0, m.limit)
	var scheduled []*domain.Lease
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(r.rest) > 0 && !r.bad {
		lease, held := c.readLease(r, token)
		c.leases++
		held.number = c.leases
		out.leases = append(out.leases, lease)
		c.held[lease.Ref()] = held
		if held.scheduler != "" {
			scheduled = append(scheduled, &out.leases[len(out.leases)-1])
		}
	}
	return scheduled
}

// conclude turns codes into statuses and forgets the leases that are over.
func (c *consumer) conclude(settlements []domain.Settlement, places []int, out moved) (moved, error) {
	if len(out.codes) == 0 {
		// All went well.
		out.codes = make([]int, len(places))
	}
	if len(out.codes) != len(places) {
		return moved{}, fmt.Errorf("settle: %w", errReply)
	}
	out.statuses = make([]domain.SettleStatus, len(settlements))
	for i := range out.statuses {
		out.statuses[i] = domain.Unsupported
		if settlements[i].Outcome.Kind >= domain.Completed && settlements[i].Outcome.Kind <= domain.Failed {
			// A lease that the call settles by another entry.
			out.statuses[i] = domain.LeaseLost
		}
	}
	codes := make([]int, len(settlements))
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, place := range places {
		ref, code := settlements[place].Lease, out.codes[n]
		codes[place] = code
		switch code {
		case codeSettled:
			out.statuses[place] = domain.Settled
		case codePending, codeFailedChildren:
			continue
		default:
			out.statuses[place] = domain.LeaseLost
			if held := c.held[ref]; held != nil && held.refused && code == codeGone {
				// There was nothing to write to, and nothing is left.
				out.statuses[place] = domain.Settled
			}
		}
		delete(c.held, ref)
	}
	out.codes = codes
	return out, nil
}
