package inmemqueue

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var (
	_ ports.Ledger         = (*Ledger)(nil)
	_ ports.ScheduleSwitch = (*Ledger)(nil)
)

// DefaultReplicaLease is how long a replica counts as alive after its latest
// Sync.
const DefaultReplicaLease = 15 * time.Second

// LedgerConfig describes a ledger.
type LedgerConfig struct {
	// Namespace is the namespace whose runs the ledger keeps, for its errors;
	// empty means [domain.DefaultNamespace].
	Namespace string
	// Now is the store's clock; nil means time.Now.
	Now func() time.Time
	// ReplicaLease is how long a replica that gives no sign of life keeps its
	// definitions; zero means [DefaultReplicaLease].
	ReplicaLease time.Duration
}

// Ledger is the reference ledger: it decides in the memory of one process,
// for all replicas that share the value, and forgets everything with it.
//
// What the port leaves open is decided like this:
//
//   - A claim whose lease ran out stays its owner's, and its slot stays held,
//     until [Ledger.Abandoned] hands it to another replica. A released run
//     keeps its phase and slot too, so that no newer run overtakes it.
//   - A held claim is good whatever definition or pause came since.
//   - A job that nobody registered answers Superseded: sync first.
//   - Old definitions stay older: a replica that comes back with one takes
//     over only when no live replica registers a newer one.
//   - The end of a run is remembered for 24 hours, of at most 32,768 ticks
//     and 65,536 other runs. A tick is refused by its cursor ever after.
//   - Cursors are kept in milliseconds.
//
// Calls with an ended context do nothing. A Ledger is safe for concurrent use.
type Ledger struct {
	config LedgerConfig

	mu       sync.Mutex
	jobs     map[string]*ledgerJob
	claims   map[domain.RunKey]*ledgerClaim
	replicas map[string]*ledgerReplica
	leases   leaseHeap
	changes  changeList
	ticks    endedRuns
	others   endedRuns
	token    domain.ClaimToken
}

// NewLedger returns an empty ledger.
func NewLedger(config LedgerConfig) *Ledger {
	if config.Namespace == "" {
		config.Namespace = domain.DefaultNamespace
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.ReplicaLease <= 0 {
		config.ReplicaLease = DefaultReplicaLease
	}
	return &Ledger{
		config:   config,
		jobs:     make(map[string]*ledgerJob),
		claims:   make(map[domain.RunKey]*ledgerClaim),
		replicas: make(map[string]*ledgerReplica),
		ticks:    endedRuns{limit: maxEndedTicks},
		others:   endedRuns{limit: maxEndedOthers},
	}
}

// Renew implements [ports.Ledger]. A lease of zero or less is
// [domain.ErrInvalid].
func (l *Ledger) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if lease <= 0 {
		return nil, domain.Invalidf("renew claims: lease %s is not positive", lease)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	renewals := make([]domain.Renewal, len(claims))
	for i, ref := range claims {
		renewals[i] = l.renew(ref, now, lease)
	}
	return renewals, nil
}

func (l *Ledger) renew(ref domain.ClaimRef, now time.Time, lease time.Duration) domain.Renewal {
	c := l.held(ref)
	if c == nil {
		return domain.RenewalLost
	}
	l.extend(c, now, lease)
	if c.cancel {
		return domain.RenewalCancel
	}
	return domain.RenewalHeld
}

// Finish implements [ports.Ledger].
func (l *Ledger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	held := make([]bool, len(results))
	for i := range results {
		held[i] = l.finish(&results[i], now)
	}
	return held, nil
}

func (l *Ledger) finish(result *domain.RunResult, now time.Time) bool {
	c := l.claims[result.Claim.Run]
	switch {
	case c == nil || c.token != result.Claim.Token:
		return false
	case c.ended():
		return true
	case c.released:
		return result.End == domain.EndReleased
	}
	switch result.End {
	case domain.EndReleased:
		c.released, c.attempts = true, result.Attempts
		l.extend(c, now, 0)
	case domain.EndFired:
		l.end(c, now, domain.PhaseFired)
	case domain.EndFinished:
		l.end(c, now, domain.PhaseFinished)
	}
	return true
}

// Abandoned implements [ports.Ledger]: the claim that lapsed first comes
// first. It passes over the lapsed claims of other replicas' jobs, which are
// few: their replicas take them within a moment.
func (l *Ledger) Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if lease <= 0 {
		return nil, domain.Invalidf("take over claims: lease %s is not positive", lease)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	owner := l.replicas[replica]
	if owner == nil {
		return nil, nil
	}
	now := l.config.Now()
	var passed []*ledgerClaim
	var taken []domain.Claim
	for len(taken) < limit && len(l.leases) > 0 && !l.leases[0].alive(now) {
		c := l.leases[0]
		if _, ok := owner.revisions[c.job]; !ok {
			heap.Pop(&l.leases)
			passed = append(passed, c)
			continue
		}
		l.takeOver(c, owner)
		l.extend(c, now, lease)
		taken = append(taken, c.claim())
	}
	for _, c := range passed {
		heap.Push(&l.leases, c)
	}
	return taken, nil
}

func (l *Ledger) takeOver(c *ledgerClaim, owner *ledgerReplica) {
	if c.phase == domain.PhaseStarted && !c.released {
		c.crashes++
	}
	c.released = false
	c.replica = owner.name
	c.token = l.nextToken()
}

func (l *Ledger) nextToken() domain.ClaimToken {
	l.token++
	return l.token
}
