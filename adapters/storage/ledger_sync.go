package storage

import (
	"context"
	"database/sql"
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
	replica, digest string
	// known tells that the replica has its definitions registered, due that its
	// latest sign of life is to be renewed, silent that another one gave none
	// for a lease.
	known, due, silent bool
	reply              domain.SyncReply
}

// signsPerLease is how often a replica that syncs all the time gives a sign of
// life in a lease. To write one each time would be most of what an idle worker
// does.
const signsPerLease = 4

// news asks for what changed, and gives a sign of life if it is time.
func (l *Ledger) news(ctx context.Context, request *domain.SyncRequest, own *domain.Registration) (*ledgerNews, error) {
	n, err := l.look(ctx, request, own)
	if err != nil {
		return nil, err
	}
	slices.Sort(n.reply.Replicas)
	if n.known && n.due {
		return n, l.giveSign(ctx, n)
	}
	return n, nil
}

// look reads the replicas and, if the version tells that some have changed, the
// jobs. The version is read before the jobs: a change in between is news once
// more.
func (l *Ledger) look(ctx context.Context, request *domain.SyncRequest, own *domain.Registration) (*ledgerNews, error) {
	n := &ledgerNews{replica: request.Replica, digest: own.Digest, reply: domain.SyncReply{Scope: l.scope}}
	lease := l.replicaLease.Microseconds()
	replicas := l.statement(l.sql.replicas, lease, lease/signsPerLease)
	replicas.row = n.readReplica
	if err := l.runner.read(ctx, replicas); err != nil {
		return nil, err
	}
	if n.reply.Version == request.Since {
		return n, nil
	}
	changed := l.statement(l.sql.news, int64(min(request.Since, 1<<62)), own.Digest)
	if request.Since == 0 {
		n.reply.Jobs = make([]domain.JobState, 0, len(own.Definitions))
	}
	changed.packed, changed.row = true, n.jobReader(own)
	return n, l.runner.read(ctx, changed)
}

// giveSign gives the sign of life, unless the replica has been forgotten or has
// registered others meanwhile.
func (l *Ledger) giveSign(ctx context.Context, n *ledgerNews) error {
	n.known = false
	seen := l.statement(l.sql.seen, n.replica, n.digest)
	seen.row = func(scan scanner) error {
		n.known = true
		return scan(new(string))
	}
	return l.runner.write(ctx, seen)
}

func (n *ledgerNews) readReplica(scan scanner) error {
	var name, digest string
	var silent, due bool
	var version, nowUS int64
	if err := scan(&name, &digest, &silent, &due, &version, &nowUS); err != nil {
		return err
	}
	n.reply.Version, n.reply.Now = uint64(version), microTime(nowUS) //nolint:gosec // not negative
	if name == n.replica {
		n.known, n.due = digest == n.digest, due
	} else {
		n.silent = n.silent || silent
	}
	n.reply.Replicas = append(n.reply.Replicas, name)
	return nil
}

// jobReader returns what reads the rows of jobs, of which there may be very
// many: they share what they are read into, and mostly come in the order of
// the definitions and have these, which are not copied then.
func (n *ledgerNews) jobReader(own *domain.Registration) func(scanner) error {
	var state domain.JobState
	var cursorMS int64
	var revision sql.Null[int64]
	var fingerprint sql.Null[string]
	columns := []any{&state.Job, &cursorMS, &revision, &fingerprint}
	next := 0
	return func(scan scanner) error {
		if next < len(own.Definitions) {
			state.Job, fingerprint.V = own.Definitions[next].Job, own.Definitions[next].Fingerprint
		}
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
		state.Job = mine.Job // what was read may be part of a large text
		state.Cursor = time.UnixMilli(cursorMS).UTC()
		if !revision.Valid { // the first one, as sqlNews leaves it out
			revision.V = 1
		}
		state.Revision, state.Paused = uint64(max(revision.V, -revision.V)), revision.V < 0 //nolint:gosec // positive
		state.Superseded = fingerprint.Valid && fingerprint.V != mine.Fingerprint
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
	l.lapses.forget()
	return settled, l.forgetOld(ctx)
}
