package redisqueue

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// Redis answers before its replicas have what it answered for. When one of
// them takes the primary's place, the latest of it is gone, and nobody says so.
// But a replica has a beginning of what the primary had: the record of a session
// (lua/include/session.lua) tells which of the session's calls are in it. Calls
// with a larger number were answered, and are lost.

// loss is a kind of what can be lost.
type loss int

const (
	// lostCall is a call whose effects are not told apart.
	lostCall loss = iota
	// lostJob is a job that was accepted: it will never be worked.
	lostJob
	// lostOutcome is the outcome of a job: it will be worked again.
	lostOutcome
	// lostLease is the lease of a job: others may work it as well.
	lostLease
	// lostClaim is the claim of a run: others may start it as well.
	lostClaim
)

// deed is what a call did, to some things of a kind.
type deed struct {
	kind  loss
	queue domain.QueueName
	names []string
}

// done is a call that was answered.
type done struct {
	number uint64
	at     time.Time
	deeds  []deed
}

const (
	// rememberFor is how long an answered call may turn out to be lost: a
	// primary that is cut off answers until the others have agreed, and its
	// answers up to then are lost.
	rememberFor = time.Minute
	// recordLife is how long the record of a session is there for certain
	// (SESSION_LIFE in lua/include/session.lua): a later look at it says nothing.
	recordLife = 24*time.Hour - time.Minute
	// rememberCalls and rememberNames bound what a session remembers of them.
	rememberCalls = 16_384
	rememberNames = 65_536
)

// answered takes note of a call with its deeds, if what is answered can be lost.
func (b *Backend) answered(s *session, deeds ...deed) {
	if b.follower == nil {
		return
	}
	now := b.config.Now()
	b.sessions.sweep(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = s.number
	s.latest = append(s.latest, done{number: s.number, at: now, deeds: deeds})
	s.names += namesOf(deeds)
	s.forgetOld(now)
}

// forgetOld forgets calls that are not worth their memory; mu is held.
func (s *session) forgetOld(now time.Time) {
	for len(s.latest) > rememberCalls || s.names > rememberNames || len(s.latest) > 0 && now.Sub(s.latest[0].at) > rememberFor {
		s.forgotten, s.forgottenAt = s.latest[0].number, s.latest[0].at
		s.names -= namesOf(s.latest[0].deeds)
		// What is before the slice is left behind when it grows the next time.
		s.latest[0] = done{}
		s.latest = s.latest[1:]
	}
	if len(s.latest) == 0 {
		s.latest = nil
	}
}

// sweep lets one session after the other forget what is long past: one that is
// not used any more does not by itself. A call was answered now, and so is
// nothing of before lost.
func (s *sessions) sweep(now time.Time) {
	s.mu.Lock()
	var next *session
	if len(s.all) > 0 {
		s.swept++
		next = s.all[s.swept%len(s.all)]
	}
	s.mu.Unlock()
	if next != nil {
		next.mu.Lock()
		defer next.mu.Unlock()
		next.forgetOld(now)
	}
}

func namesOf(deeds []deed) int {
	n := 0
	for i := range deeds {
		n += len(deeds[i].names)
	}
	return n
}

// verifyAll looks on a server, before anything else is sent to it, for calls of
// all sessions that it does not know although they were answered: a session's
// next call would hide them.
func (b *Backend) verifyAll(ctx context.Context, addr string) error {
	b.sessions.mu.Lock()
	all := slices.Clone(b.sessions.all)
	b.sessions.mu.Unlock()
	all = slices.DeleteFunc(all, func(s *session) bool { return !s.hasAnswers() })
	for some := range slices.Chunk(all, maxVerified) {
		server := guides{what: "server", as: b.config.Connection.withoutPlaces(), addrs: []string{addr}}
		_, err := server.ask(ctx, func(ctx context.Context, client *redis.Client, _ string) (string, error) {
			return "", b.verifySome(ctx, client, some)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// maxVerified is how many sessions are looked up at a time.
const maxVerified = 100

func (b *Backend) verifySome(ctx context.Context, client *redis.Client, sessions []*session) error {
	names := make([]string, len(sessions))
	for i, s := range sessions {
		names[i] = s.key
	}
	records, err := client.MGet(ctx, names...).Result()
	if err != nil {
		return err
	}
	for i, s := range sessions {
		record, _ := records[i].(string)
		b.compare(ctx, s, record)
	}
	return nil
}

// verify does for one session, before its next call, what verifyAll does: the
// server before may have answered while the sessions were verified.
func (b *Backend) verify(ctx context.Context, s *session) error {
	if b.follower == nil {
		return nil
	}
	epoch := b.follower.epochNow()
	if s.verified == epoch {
		return nil
	}
	if s.hasAnswers() {
		record, err := b.client.Get(ctx, s.key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		b.compare(ctx, s, record)
	}
	s.verified = epoch
	return nil
}

func (s *session) hasAnswers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered > 0
}

// compare logs the answered calls of the session that are not in its record,
// once.
func (b *Backend) compare(ctx context.Context, s *session, record string) {
	number, _, _ := strings.Cut(record, "\n")
	known, _ := strconv.ParseUint(number, 10, 64) // what is no number knows nothing
	s.mu.Lock()
	defer s.mu.Unlock()
	if known < s.answered {
		b.tellLost(ctx, s, known, b.losableSince())
		s.answered, s.latest, s.names, s.forgotten = known, nil, 0, 0
	}
}

// losableSince is when the oldest call was answered that can be lost. What had
// been answered well before the server was last used has long been copied, and
// if it is not in a record that one has come to its end.
func (b *Backend) losableSince() time.Time {
	return b.config.Now().Add(-min(min(b.follower.sinceEnded(), recordLife)+rememberFor, recordLife))
}

// maxLostNames bounds the names in one record of the log.
const maxLostNames = 500

// tellLost logs what the session's calls did after the known one and the moment.
func (b *Backend) tellLost(ctx context.Context, s *session, known uint64, since time.Time) {
	if s.forgotten > known && s.forgottenAt.After(since) {
		b.config.Log.ErrorContext(ctx, "a failover lost calls that are not remembered", "count", s.forgotten-known)
	}
	var lost []deed
	oldest := b.config.Now()
	for i := range s.latest {
		if call := &s.latest[i]; call.number > known && call.at.After(since) {
			lost = gather(lost, call.deeds)
			if call.at.Before(oldest) {
				oldest = call.at
			}
		}
	}
	for _, d := range lost {
		for names := range slices.Chunk(d.names, maxLostNames) {
			b.tellDeed(ctx, d, names, b.config.Now().Sub(oldest).Milliseconds())
		}
	}
}

// gather adds the deeds to those of their kind and queue.
func gather(all, some []deed) []deed {
	for _, d := range some {
		i := slices.IndexFunc(all, func(other deed) bool { return other.kind == d.kind && other.queue == d.queue })
		if i < 0 {
			all = append(all, deed{kind: d.kind, queue: d.queue})
			i = len(all) - 1
		}
		all[i].names = append(all[i].names, d.names...)
	}
	return all
}

// tellDeed logs some of what was lost; ago is for how long, in ms.
func (b *Backend) tellDeed(ctx context.Context, d deed, names []string, ago int64) {
	log, list, count := b.config.Log, strings.Join(names, ","), len(names)
	switch d.kind {
	case lostJob:
		log.ErrorContext(ctx, "a failover lost accepted jobs", "queue", d.queue, "job_ids", list, "count", count, "ago_ms", ago)
	case lostOutcome:
		log.WarnContext(ctx, "a failover lost outcomes: the jobs are worked again", "queue", d.queue, "job_ids", list, "count", count, "ago_ms", ago)
	case lostLease:
		log.WarnContext(ctx, "a failover lost leases: the jobs may be worked twice", "queue", d.queue, "job_ids", list, "count", count, "ago_ms", ago)
	case lostClaim:
		log.WarnContext(ctx, "a failover lost claims: the runs may start twice", "run_ids", list, "count", count, "ago_ms", ago)
	case lostCall:
		log.WarnContext(ctx, "a failover lost calls", "calls", list, "count", count, "ago_ms", ago)
	}
}
