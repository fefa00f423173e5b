package inmemqueue

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// ledgerReplica is one process that shares the ledger.
type ledgerReplica struct {
	name string
	seen time.Time
	// revisions are the jobs it registered, each with its revision.
	revisions map[*ledgerJob]uint64
	// first and count tell the slice that it registered last.
	first *domain.Definition
	count int
}

// registered reports whether the definitions are the slice of the last call.
func (r *ledgerReplica) registered(definitions []domain.Definition) bool {
	if r.revisions == nil || r.count != len(definitions) {
		return false
	}
	return r.count == 0 || r.first == &definitions[0]
}

// Sync implements [ports.Ledger]. A call with the very slice of definitions
// of the replica's last call costs as much as the jobs that changed; the
// elements of a slice that was passed must not be changed. A replica is
// forgotten when another one syncs after its lease.
func (l *Ledger) Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error) {
	if err := ctx.Err(); err != nil {
		return domain.SyncReply{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	r := l.replica(request.Replica)
	r.seen = now
	l.forgetReplicas(now)
	if !r.registered(request.Definitions) {
		l.register(r, request.Definitions, now)
	}
	l.forgetRuns(&l.ticks, now)
	l.forgetRuns(&l.others, now)
	return domain.SyncReply{
		Now: now, Scope: domain.ScopeHost, Version: l.changes.version,
		Replicas: slices.Sorted(maps.Keys(l.replicas)),
		Jobs:     l.changedSince(r, request.Since),
	}, nil
}

func (l *Ledger) replica(name string) *ledgerReplica {
	r := l.replicas[name]
	if r == nil {
		r = &ledgerReplica{name: name}
		l.replicas[name] = r
	}
	return r
}

// register replaces the replica's definitions.
func (l *Ledger) register(r *ledgerReplica, definitions []domain.Definition, now time.Time) {
	before := r.revisions
	r.revisions = make(map[*ledgerJob]uint64, len(definitions))
	r.first, r.count = nil, len(definitions)
	if len(definitions) > 0 {
		r.first = &definitions[0]
	}
	for i := range definitions {
		job := l.job(definitions[i].Job, now)
		r.revisions[job] = job.revision(definitions[i].Fingerprint)
	}
	for job, revision := range r.revisions {
		if before[job] != revision {
			l.revalidate(job, now)
			l.changes.touch(job)
		}
	}
	for job := range before {
		if _, kept := r.revisions[job]; !kept {
			l.revalidate(job, now)
		}
	}
}

func (l *Ledger) job(name string, now time.Time) *ledgerJob {
	job := l.jobs[name]
	if job == nil {
		job = &ledgerJob{name: name, cursorMS: now.UnixMilli()}
		l.jobs[name] = job
	}
	return job
}

// forgetReplicas drops the replicas that gave no sign of life for a lease, all
// of them before it looks at what is valid without them.
func (l *Ledger) forgetReplicas(now time.Time) {
	var silent []*ledgerReplica
	for name, r := range l.replicas {
		if now.Sub(r.seen) >= l.config.ReplicaLease {
			silent = append(silent, r)
			delete(l.replicas, name)
		}
	}
	for _, r := range silent {
		for job := range r.revisions {
			l.revalidate(job, now)
		}
	}
}

// revalidate makes the newest revision valid that a replica registers, from
// now on. While no replica registers the job the last one stays valid.
func (l *Ledger) revalidate(job *ledgerJob, now time.Time) {
	var newest uint64
	for _, r := range l.replicas {
		newest = max(newest, r.revisions[job])
	}
	if newest == 0 || newest == job.valid {
		return
	}
	job.valid = newest
	job.advance(now)
	l.changes.touch(job)
}

// changedSince returns the replica's jobs that changed after the version,
// those that changed last first. A version of the future belongs to a ledger
// that is gone: everything is news.
func (l *Ledger) changedSince(r *ledgerReplica, version uint64) []domain.JobState {
	if version > l.changes.version {
		version = 0
	}
	var states []domain.JobState
	for job := l.changes.newest; job != nil && job.version > version; job = job.prev {
		revision, ok := r.revisions[job]
		if !ok {
			continue
		}
		states = append(states, domain.JobState{
			Job: job.name, Cursor: job.cursor(), Revision: job.valid,
			Superseded: revision != job.valid, Paused: job.paused,
		})
	}
	return states
}
