package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// maxRegistrations is how often one Sync sends its definitions, and
// maxRevisions how many of them a job remembers.
const (
	maxRegistrations = 3
	maxRevisions     = 32
)

// Sync implements [ports.Ledger]. It sends the digest of the definitions; they
// themselves are sent when the replica has not registered that digest yet. A
// call with the very slice of definitions of the latest call does not look at
// them; the elements of a slice that was passed must not be changed. A job
// whose name is not that of a scheduled job is [domain.ErrInvalid]. A replica
// is forgotten when another one syncs after its lease.
func (l *Ledger) Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error) {
	if err := ctx.Err(); err != nil {
		return domain.SyncReply{}, err
	}
	own, err := l.registrationOf(request.Definitions)
	if err != nil {
		return domain.SyncReply{}, fmt.Errorf("sync: %w", err)
	}
	var settled numbering
	for range maxRegistrations {
		var news *ledgerNews
		err := aFewTimes(ctx, func() (err error) {
			news, err = l.news(ctx, &request, own)
			return err
		})
		switch {
		case err != nil:
			return domain.SyncReply{}, fmt.Errorf("sync: %w", err)
		case news.known && !news.silent:
			if !settled.now.IsZero() {
				// Callers take it for the time in the middle of the whole call.
				news.reply.Now = settled.now
			}
			return news.reply, nil
		}
		if settled, err = l.settle(ctx, &request, own); err != nil {
			return domain.SyncReply{}, fmt.Errorf("sync: %w", err)
		}
	}
	return domain.SyncReply{}, fmt.Errorf("sync: another process registers as replica %s, too: %w", domain.Quote(request.Replica), ports.ErrUnavailable)
}

// ledgerNews is what a replica learns from one look.
type ledgerNews struct {
	// known tells that the replica has its definitions registered, silent that
	// another one gave no sign of life for a lease.
	known, silent bool
	reply         domain.SyncReply
}

// news gives the sign of life and asks for what changed. The version is read
// before the jobs: a change in between is news once more.
func (l *Ledger) news(ctx context.Context, request *domain.SyncRequest, own *domain.Registration) (*ledgerNews, error) {
	n := &ledgerNews{reply: domain.SyncReply{Scope: l.scope}}
	seen := l.statement(l.sql.seen, request.Replica, own.Digest)
	seen.row = func(scan scanner) error {
		n.known = true
		return scan(new(string))
	}
	replicas := l.statement(l.sql.replicas, l.replicaLease.Microseconds())
	replicas.row = n.readReplica
	latest := l.statement(l.sql.latest)
	latest.row = func(scan scanner) error {
		var version, nowUS int64
		err := scan(&version, &nowUS)
		n.reply.Version, n.reply.Now = uint64(version), microTime(nowUS) //nolint:gosec // not negative
		return err
	}
	changed := l.statement(l.sql.news, int64(min(request.Since, 1<<62)))
	if request.Since == 0 {
		n.reply.Jobs = make([]domain.JobState, 0, len(own.Definitions))
	}
	changed.row = n.jobReader(own)
	err := l.runner.write(ctx, seen, replicas, latest, changed)
	slices.Sort(n.reply.Replicas)
	return n, err
}

func (n *ledgerNews) readReplica(scan scanner) error {
	var name string
	var silent bool
	if err := scan(&name, &silent); err != nil {
		return err
	}
	n.silent = n.silent || silent
	n.reply.Replicas = append(n.reply.Replicas, name)
	return nil
}

// jobReader returns what reads the rows of jobs, of which there may be very
// many: they share what they are read into, and mostly come in the order of
// the definitions.
func (n *ledgerNews) jobReader(own *domain.Registration) func(scanner) error {
	var state domain.JobState
	var cursorMS, revision int64
	var fingerprint string
	columns := []any{&state.Job, &cursorMS, &revision, &fingerprint, &state.Paused}
	next := 0
	return func(scan scanner) error {
		if err := scan(columns...); err != nil {
			return err
		}
		if next >= len(own.Definitions) || own.Definitions[next].Job != state.Job {
			at, registered := own.Find(state.Job)
			if !registered {
				return nil
			}
			next = at
		}
		mine := &own.Definitions[next]
		next++
		state.Cursor = time.UnixMilli(cursorMS).UTC()
		state.Revision, state.Superseded = uint64(revision), mine.Fingerprint != fingerprint //nolint:gosec // positive
		n.reply.Jobs = append(n.reply.Jobs, state)
		return nil
	}
}

// settle registers the replica's definitions, forgets the replicas that gave
// no sign of life for a lease, and makes valid what is the newest then. It
// returns when that was.
func (l *Ledger) settle(ctx context.Context, request *domain.SyncRequest, own *domain.Registration) (settled numbering, err error) {
	err = l.repeatable(ctx, func() []statement {
		stamp := newStamp()
		revisions, register := l.statement(l.sql.newRevisions), l.statement(l.sql.register, own.Digest)
		revisions.set, register.set = setOf(own), setOf(own)
		return []statement{
			l.statement(l.sql.newLedger),
			l.numbers(1, true, &settled),
			revisions,
			l.statement(l.sql.forgetRevisions, maxRevisions),
			register,
			l.statement(l.sql.touch, request.Replica, own.Digest),
			l.statement(l.sql.newJobs, own.Digest, stamp),
			l.statement(l.sql.join, request.Replica, own.Digest),
			l.statement(l.sql.forgetReplicas, l.replicaLease.Microseconds()),
			l.statement(l.sql.revalidate, stamp),
			l.statement(l.sql.dropUnused),
		}
	})
	if err != nil {
		return settled, err
	}
	return settled, l.forgetOld(ctx)
}
