package redisqueue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// maxRegistrations is how often one Sync sends its definitions.
const maxRegistrations = 3

// Sync implements [ports.Ledger]. It sends the digest of the definitions; only
// when no replica has registered that digest are the definitions sent, in
// parts. A call with the very slice of definitions of the latest call does not
// look at them; the elements of a slice that was passed must not be changed.
// A job whose name is not that of a scheduled job is [domain.ErrInvalid].
// A replica is forgotten when another one syncs after its lease.
func (l *Ledger) Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error) {
	if err := ctx.Err(); err != nil {
		return domain.SyncReply{}, err
	}
	own, err := l.registrationOf(request.Definitions)
	if err != nil {
		return domain.SyncReply{}, fmt.Errorf("sync: %w", err)
	}
	exchange := syncExchange{ledger: l, replica: request.Replica, own: own}
	return exchange.run(ctx, request.Since)
}

// syncExchange are the calls of one Sync: one, unless definitions must be
// sent or many jobs changed.
type syncExchange struct {
	ledger  *Ledger
	replica string
	own     *domain.Registration
	// began is the store's time in the first of the calls.
	began      time.Time
	registered int
}

func (e *syncExchange) run(ctx context.Context, since uint64) (domain.SyncReply, error) {
	page, jobs, err := e.news(ctx, since)
	if err == nil && since == 0 && len(jobs) < len(e.own.Definitions) {
		// Records of jobs are gone, or damaged: they begin anew.
		if err = e.ledger.register(ctx, e.replica, e.own); err == nil {
			page, jobs, err = e.news(ctx, since)
		}
	}
	if err != nil {
		return domain.SyncReply{}, err
	}
	return domain.SyncReply{
		// Callers take it for the time in the middle of the whole call.
		Now:   e.began.Add(page.now.Sub(e.began) / 2),
		Scope: domain.ScopeFleet, Version: page.version, Replicas: page.replicas, Jobs: jobs,
	}, nil
}

// news returns all news since the version, with the last page of them.
func (e *syncExchange) news(ctx context.Context, since uint64) (syncPage, []domain.JobState, error) {
	page, err := e.known(ctx, since)
	if err != nil {
		return page, nil, err
	}
	jobs := page.jobs
	if !page.more {
		return page, jobs, nil
	}
	for page.more {
		if page, err = e.known(ctx, page.version); err != nil {
			return page, nil, err
		}
		jobs = append(jobs, page.jobs...)
	}
	return page, latestOf(jobs), nil
}

// known returns the news since the version, and registers the definitions
// before if nobody has.
func (e *syncExchange) known(ctx context.Context, since uint64) (syncPage, error) {
	for {
		page, err := e.ledger.syncPage(ctx, e.replica, e.own.Digest, since)
		if err != nil {
			return syncPage{}, err
		}
		if e.began.IsZero() {
			e.began = page.now
		}
		if page.known {
			return page, nil
		}
		if e.registered++; e.registered > maxRegistrations {
			return syncPage{}, fmt.Errorf("sync: another process registers as replica %s, too: %w", domain.Quote(e.replica), ports.ErrUnavailable)
		}
		if err := e.ledger.register(ctx, e.replica, e.own); err != nil {
			return syncPage{}, err
		}
	}
}

// syncPage is a reply of ledger_sync.lua.
type syncPage struct {
	now      time.Time
	known    bool
	version  uint64
	more     bool
	replicas []string
	jobs     []domain.JobState
}

func (l *Ledger) syncPage(ctx context.Context, replica, digest string, since uint64) (syncPage, error) {
	reply, err := l.call(ctx, "ledger_sync", replica, digest, since, micros(l.replicaLease), ledgerBatch)
	if err != nil {
		return syncPage{}, err
	}
	page, err := readSync(reply)
	if err != nil {
		return syncPage{}, fmt.Errorf("sync: %w", err)
	}
	return page, nil
}

func readSync(reply any) (page syncPage, err error) {
	u := unpackerOf(reply)
	u.want(u.list() == 6)
	page.now = time.UnixMicro(u.long()).UTC()
	page.known = u.flag()
	version := u.long()
	u.want(version >= 0)
	page.version = uint64(version) //nolint:gosec // not negative
	page.more = u.flag()
	for range u.list() {
		if page.replicas = append(page.replicas, u.string()); u.err != nil {
			break
		}
	}
	for range u.list() {
		if page.jobs = append(page.jobs, readJobState(&u)); u.err != nil {
			break
		}
	}
	slices.Sort(page.replicas)
	return page, u.end()
}

func readJobState(u *unpacker) domain.JobState {
	u.want(u.list() == 5)
	state := domain.JobState{Job: u.string(), Cursor: u.milli()}
	valid, own := u.long(), u.long()
	u.want(valid > 0)
	state.Revision, state.Superseded, state.Paused = uint64(valid), own != valid, u.flag() //nolint:gosec // positive
	return state
}

// latestOf keeps the latest state of each job.
func latestOf(states []domain.JobState) []domain.JobState {
	last := make(map[string]int, len(states))
	for i := range states {
		last[states[i].Job] = i
	}
	kept := states[:0]
	for i := range states {
		if last[states[i].Job] == i {
			kept = append(kept, states[i])
		}
	}
	return kept
}
