package redisqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Waits between the repetitions of a call that the server did not answer.
const (
	repeatFirst = 20 * time.Millisecond
	repeatMost  = time.Second
)

// run runs the script once. In a cluster it names one more key, which never
// exists. While a slot moves to another node its keys are in two places, and a
// script that makes up names of keys would find half of them gone in the middle
// of its work. A node does not begin a script with a declared key that it has
// not, until the slot has arrived.
func (b *Backend) run(ctx context.Context, s *script, keys []string, args []any) (any, error) {
	return s.Run(ctx, b.client, b.declared(keys), args...).Result()
}

func (b *Backend) declared(keys []string) []string {
	if len(b.config.Connection.Nodes) > 0 {
		return append(slices.Clip(keys), b.keys.void())
	}
	return keys
}

// callBehind returns the request as a command that may follow another one on its
// way, nil if the session is to be verified first. It may be in vain: the server
// may not know the script.
func (b *Backend) callBehind(ctx context.Context, r request) *redis.Cmd {
	if b.follower != nil && r.of.verified != b.follower.epochNow() {
		return nil
	}
	keys := b.declared(r.keys)
	args := make([]any, 0, 3+len(keys)+len(r.args))
	args = append(args, "evalsha", r.script.Hash(), len(keys))
	for _, key := range keys {
		args = append(args, key)
	}
	for _, arg := range r.args {
		// The request may be used for another call meanwhile.
		if text, ok := arg.(*string); ok {
			arg = *text
		}
		args = append(args, arg)
	}
	return redis.NewCmd(ctx, args...)
}

// call runs the script and repeats it until the server answers or ctx ends.
// It is for scripts that may be repeated without harm: those that change
// nothing twice, and the numbered ones of a session.
func (b *Backend) call(ctx context.Context, s *script, keys []string, args []any) (reply any, err error) {
	err = b.repeat(ctx, s.name, func() error {
		reply, err = b.run(ctx, s, keys, args)
		return err
	})
	return reply, b.named(ctx, keys, args, err)
}

// request is one call of a script; of is the session that numbers it.
type request struct {
	of     *session
	script *script
	keys   []string
	args   []any
}

// lastCallOf is callOf for what is left to do while the backend closes.
func (b *Backend) lastCallOf(ctx context.Context, r request) (reply any, err error) {
	err = b.repeatUnless(ctx, func() bool { return false }, r.script.name, func() error {
		reply, err = b.runOf(ctx, r)
		return err
	})
	return reply, err
}

// repeat asks the server until it answers, ctx ends or the backend closes.
func (b *Backend) repeat(ctx context.Context, op string, ask func() error) error {
	return b.repeatUnless(ctx, b.isClosed, op, ask)
}

func (b *Backend) repeatUnless(ctx context.Context, closed func() bool, op string, ask func() error) error {
	wait := repeatFirst
	for {
		if closed() {
			return fmt.Errorf("%s: %w", op, ports.ErrClosed)
		}
		place := b.failures.sending()
		err := ask()
		b.failures.done(place)
		if err == nil {
			b.failures.answered(ctx, op)
			if b.failures.doubtful() {
				b.probe(ctx)
			}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", op, ctx.Err())
		}
		if !passes(err) {
			return b.explain(op, err)
		}
		b.failures.failed(ctx, op, err)
		pause(ctx, wait)
		wait = min(2*wait, repeatMost)
	}
}

// explain is translate, with what is to be done about a cluster that was taken
// for a single server. Such calls had no effect.
func (b *Backend) explain(op string, err error) error {
	switch {
	case isSpread(err):
		return domain.Invalidf("%s: %s", op, unbraced(b.config.Prefix))
	case isMoved(err):
		return domain.Invalidf("%s: the server is %s", op, elsewhere)
	}
	return translate(op, err)
}

// probe asks whether the server takes writes again that it refused before.
func (b *Backend) probe(ctx context.Context) {
	_, err := b.run(ctx, scriptNamed("probe"), []string{b.keys.probe()}, nil)
	switch {
	case err == nil:
		b.failures.writable()
	case denialOf(err) == deniesWrites:
		b.failures.failed(ctx, "probe", err)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// session numbers calls. Each call takes the next number; its repetitions have
// the same one, by which the script knows them.
type session struct {
	id     string
	key    string
	number uint64

	mu sync.Mutex
	// answered is the number of the latest call that was answered, latest are
	// that and some before it. Both are kept if what is answered can be lost.
	answered uint64
	latest   []done
	// names is how many names latest has, forgotten the number of the latest
	// call that is not kept any more.
	names     int
	forgotten uint64
	// forgottenAt is when that call was answered.
	forgottenAt time.Time
	// verified is the number of the server on which it was last made sure that
	// nothing is lost.
	verified uint64
}

// next returns the number of the next call, as text.
func (s *session) next() string {
	s.number++
	return strconv.FormatUint(s.number, 10)
}

// sessions hands out sessions, each to one caller at a time.
type sessions struct {
	backend *Backend
	// id is that of the process, what all ids of its sessions begin with.
	id string

	mu   sync.Mutex
	all  []*session
	idle []*session
	// swept counts the looks for what a session need not remember any more.
	swept int
}

// take returns a session that nobody else uses until it is put back.
func (s *sessions) take() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.idle) - 1; last >= 0 {
		taken := s.idle[last]
		s.idle = s.idle[:last]
		return taken
	}
	id := s.id + "-" + strconv.Itoa(len(s.all)+1)
	made := &session{id: id, key: s.backend.keys.session(id)}
	s.all = append(s.all, made)
	return made
}

func (s *sessions) put(back *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, back)
}

// forgetPatience bounds the goodbye to a server that may be away.
const forgetPatience = 500 * time.Millisecond

// forget drops the records of all sessions; a server that does not answer
// drops them by itself in time.
func (s *sessions) forget() {
	s.mu.Lock()
	names := make([]string, 0, len(s.idle))
	for _, idle := range s.idle {
		if idle.number > 0 {
			names = append(names, idle.key)
		}
	}
	s.idle = nil
	s.mu.Unlock()
	if len(names) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), forgetPatience)
	defer cancel()
	_ = s.backend.client.Del(ctx, names...).Err()
}

// numbered runs a script of a session: keys[0] and args[0] are the session's
// record and the number of the call.
func (b *Backend) numbered(ctx context.Context, s *script, keys []string, args []any) (any, error) {
	return b.numberedAs(ctx, request{script: s, keys: keys, args: args}, func(any) []deed {
		return []deed{{kind: lostCall, names: []string{s.name}}}
	})
}

// numberedAs is numbered for a call whose reply says what it did.
func (b *Backend) numberedAs(ctx context.Context, r request, deedsOf func(reply any) []deed) (any, error) {
	r.of = b.sessions.take()
	defer b.sessions.put(r.of)
	r.keys[0], r.args[0] = r.of.key, r.of.next()
	reply, err := b.callOf(ctx, r)
	if err == nil && b.follower != nil {
		b.answered(r.of, deedsOf(reply)...)
	}
	return reply, err
}

// callOf is call for the latest number of a session.
func (b *Backend) callOf(ctx context.Context, r request) (reply any, err error) {
	err = b.repeat(ctx, r.script.name, func() error {
		reply, err = b.runOf(ctx, r)
		return err
	})
	return reply, b.named(ctx, r.keys, r.args, err)
}

// runOf runs the script once, after a look at what has become of the session's
// calls before it.
func (b *Backend) runOf(ctx context.Context, r request) (any, error) {
	if err := b.verify(ctx, r.of); err != nil {
		return nil, err
	}
	return b.run(ctx, r.script, r.keys, r.args)
}
