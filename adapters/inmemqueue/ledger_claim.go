package inmemqueue

import (
	"container/heap"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// ledgerClaim is a run that was claimed and what became of it.
type ledgerClaim struct {
	run         domain.RunKey
	job         *ledgerJob
	token       domain.ClaimToken
	replica     string
	fingerprint string
	phase       domain.Phase
	crashes     int
	attempts    int
	lease       time.Duration
	grantedAt   time.Time
	deadline    time.Time
	// index is the claim's place in the heap of leases, until it ends.
	index int
	// released claims have no owner until they are taken over.
	released bool
	// cancel asks the holder of a slot to give way.
	cancel bool
	// displacedBy is the claim that took this one's place in the wait.
	displacedBy *ledgerClaim
	endedAt     time.Time
}

func (c *ledgerClaim) ended() bool { return c.phase >= domain.PhaseFired }

func (c *ledgerClaim) alive(now time.Time) bool { return now.Before(c.deadline) }

func (c *ledgerClaim) claim() domain.Claim {
	return domain.Claim{
		Run: c.run, Token: c.token, Phase: c.phase, Lease: c.lease,
		GrantedAt: c.grantedAt, Crashes: c.crashes, Attempts: c.attempts, Fingerprint: c.fingerprint,
	}
}

// held returns the claim if ref is the latest name of it and it has an owner.
func (l *Ledger) held(ref domain.ClaimRef) *ledgerClaim {
	c := l.claims[ref.Run]
	if c == nil || c.token != ref.Token || c.released || c.ended() {
		return nil
	}
	return c
}

// open claims the intent's run for its replica.
func (l *Ledger) open(job *ledgerJob, intent *domain.Intent, now time.Time) *ledgerClaim {
	c := &ledgerClaim{
		run: intent.Run, job: job, token: l.nextToken(),
		replica: intent.Replica, fingerprint: intent.Fingerprint,
		phase: domain.PhaseClaimed, lease: intent.Lease, grantedAt: now, deadline: now.Add(intent.Lease),
	}
	l.claims[c.run] = c
	heap.Push(&l.leases, c)
	return c
}

func (l *Ledger) extend(c *ledgerClaim, now time.Time, lease time.Duration) {
	c.lease, c.deadline = lease, now.Add(lease)
	heap.Fix(&l.leases, c.index)
}

// end frees the claim's slot or place and remembers its end.
func (l *Ledger) end(c *ledgerClaim, now time.Time, phase domain.Phase) {
	heap.Remove(&l.leases, c.index)
	c.job.leave(c)
	c.phase, c.endedAt, c.displacedBy = phase, now, nil
	ended := &l.others
	if c.run.Origin == domain.OriginSchedule {
		ended = &l.ticks
	}
	ended.push(c)
	l.forgetRuns(ended, now)
}

// leaseHeap orders the claims that have not ended by the end of their lease.
type leaseHeap []*ledgerClaim

// Len returns how many claims there are.
func (h *leaseHeap) Len() int { return len(*h) }

// Less reports whether the lease of i ends before that of j.
func (h *leaseHeap) Less(i, j int) bool { return (*h)[i].deadline.Before((*h)[j].deadline) }

// Swap exchanges two claims.
func (h *leaseHeap) Swap(i, j int) {
	claims := *h
	claims[i], claims[j] = claims[j], claims[i]
	claims[i].index, claims[j].index = i, j
}

// Push adds x, a *ledgerClaim.
func (h *leaseHeap) Push(x any) {
	c, ok := x.(*ledgerClaim)
	if !ok {
		return
	}
	c.index = len(*h)
	*h = append(*h, c)
}

// Pop removes the last claim.
func (h *leaseHeap) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return c
}
