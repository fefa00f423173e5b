package redisqueue

import (
	"context"
	"fmt"
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

// ledgerBatch is how many intents, claims or jobs one script looks at: the
// server does nothing else meanwhile.
const ledgerBatch = 100

// Ledger decides who may act on which run, for all replicas that have the
// database, the prefix and the namespace in common. It behaves as the ledger
// in memory does, and what the port leaves open is decided alike:
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
//   - Cursors are kept in milliseconds, all else in microseconds of the
//     server's clock.
//
// Long batches are carried out in parts, in order. While ctx lives, a call
// waits for a server that does not answer, and a part whose reply was lost is
// asked for its reply again. When ctx ends in between, parts that were carried
// out stay so: what they granted is taken over when its lease ends.
//
// Calls with an ended context do nothing. A Ledger is safe for concurrent use.
type Ledger struct {
	backend *Backend
	// key is that of the ledger, and what all its keys begin with.
	key          string
	replicaLease time.Duration

	mu sync.Mutex
	// latest are the definitions of the latest Sync.
	latest *domain.Registration
	// damaged are jobs whose records are, and which the log has named.
	damaged map[string]bool
}

// Ledger returns the ledger of the backend's namespace.
func (b *Backend) Ledger() *Ledger {
	return &Ledger{backend: b, key: b.keys.ledger(), replicaLease: DefaultReplicaLease}
}

// PauseJob implements [ports.ScheduleSwitch]. Pausing twice does no harm.
func (l *Ledger) PauseJob(ctx context.Context, job string) error {
	return l.switchJob(ctx, job, "1")
}

// ResumeJob implements [ports.ScheduleSwitch]. A job that is not paused is
// left alone, with the ticks that it may still have to catch up with.
func (l *Ledger) ResumeJob(ctx context.Context, job string) error {
	return l.switchJob(ctx, job, "0")
}

func (l *Ledger) switchJob(ctx context.Context, job, pause string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	reply, err := l.numbered(ctx, "ledger_switch", job, pause)
	if err != nil {
		return err
	}
	switch reply {
	case int64(1):
		return nil
	case int64(0):
		return fmt.Errorf("job %s of namespace %s: %w", domain.Quote(job), l.backend.config.Namespace, ports.ErrNotFound)
	}
	return fmt.Errorf("switch job %s: %w", domain.Quote(job), errReply)
}

// call runs a script that may be repeated without harm.
func (l *Ledger) call(ctx context.Context, name string, args ...any) (any, error) {
	reply, err := l.backend.call(ctx, scriptNamed(name), []string{l.key}, args)
	if err != nil {
		return nil, ended(ctx, err)
	}
	return reply, nil
}

// numbered runs a script that a session's number keeps from being repeated.
func (l *Ledger) numbered(ctx context.Context, name string, args ...any) (any, error) {
	reply, err := l.backend.numbered(ctx, scriptNamed(name), []string{"", l.key}, append([]any{""}, args...))
	if err != nil {
		return nil, ended(ctx, err)
	}
	return reply, nil
}

// numberedAs is numbered for a call whose reply says what it did.
func (l *Ledger) numberedAs(ctx context.Context, name, packed string, deedsOf func(reply any) []deed) (any, error) {
	r := request{script: scriptNamed(name), keys: []string{"", l.key}, args: []any{"", packed}}
	reply, err := l.backend.numberedAs(ctx, r, deedsOf)
	if err != nil {
		return nil, ended(ctx, err)
	}
	return reply, nil
}

// micros returns a lease as scripts take it.
func micros(lease time.Duration) int64 { return max(lease.Microseconds(), 1) }
