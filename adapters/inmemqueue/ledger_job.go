package inmemqueue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// maxRevisions bounds the definitions that a job remembers; an older one
// would count as new.
const maxRevisions = 32

// ledgerJob is what the ledger keeps of one scheduled job.
type ledgerJob struct {
	name string
	// cursorMS is the latest decided tick.
	cursorMS int64
	// movedBy is the replica that moved the cursor last.
	movedBy string
	paused  bool

	// fingerprints are the latest definitions, in the order in which they
	// came; forgotten counts those before.
	fingerprints []string
	forgotten    uint64
	// valid is the number of the revision that is planned.
	valid uint64

	// holders hold the slot; waiter is next.
	holders []*ledgerClaim
	waiter  *ledgerClaim

	// version is that of the latest change; the links are the change list's.
	version    uint64
	prev, next *ledgerJob
}

func (j *ledgerJob) cursor() time.Time { return time.UnixMilli(j.cursorMS).UTC() }

// advance moves the cursor to the time unless it lies behind.
func (j *ledgerJob) advance(t time.Time) { j.cursorMS = max(j.cursorMS, t.UnixMilli()) }

// revision returns the number of the definition, a new one for a new one.
func (j *ledgerJob) revision(fingerprint string) uint64 {
	i := slices.Index(j.fingerprints, fingerprint)
	if i < 0 {
		if len(j.fingerprints) == maxRevisions {
			j.fingerprints = slices.Delete(j.fingerprints, 0, 1)
			j.forgotten++
		}
		i = len(j.fingerprints)
		j.fingerprints = append(j.fingerprints, fingerprint)
	}
	return j.forgotten + uint64(i) + 1
}

// isValid reports whether the fingerprint is that of the planned revision.
func (j *ledgerJob) isValid(fingerprint string) bool {
	i := slices.Index(j.fingerprints, fingerprint)
	return i >= 0 && j.forgotten+uint64(i)+1 == j.valid
}

// PauseJob implements [ports.ScheduleSwitch]. Pausing twice does no harm.
func (l *Ledger) PauseJob(ctx context.Context, job string) error {
	return l.switchJob(ctx, job, func(j *ledgerJob) { j.paused = true })
}

// ResumeJob implements [ports.ScheduleSwitch]. A job that is not paused is
// left alone, with the ticks that it may still have to catch up with.
func (l *Ledger) ResumeJob(ctx context.Context, job string) error {
	return l.switchJob(ctx, job, func(j *ledgerJob) {
		if j.paused {
			j.paused = false
			j.advance(l.config.Now())
		}
	})
}

func (l *Ledger) switchJob(ctx context.Context, job string, change func(*ledgerJob)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.jobs[job]
	if j == nil {
		return fmt.Errorf("job %s of namespace %s: %w", domain.Quote(job), l.config.Namespace, ports.ErrNotFound)
	}
	change(j)
	l.changes.touch(j)
	return nil
}

// changeList links all jobs by their latest change.
type changeList struct {
	version uint64
	newest  *ledgerJob
}

// touch makes the job the one that changed last.
func (c *changeList) touch(j *ledgerJob) {
	c.version++
	j.version = c.version
	if c.newest == j {
		return
	}
	c.unlink(j)
	j.prev = c.newest
	if c.newest != nil {
		c.newest.next = j
	}
	c.newest = j
}

func (c *changeList) unlink(j *ledgerJob) {
	if j.prev != nil {
		j.prev.next = j.next
	}
	if j.next != nil {
		j.next.prev = j.prev
	}
	j.prev, j.next = nil, nil
}
