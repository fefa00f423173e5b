package storage

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/core/domain"
)

const (
	// probeEvery is how often a relay tells itself something through the server,
	// heardFor how long it relies on the server after it heard that.
	probeEvery = 15 * time.Second
	heardFor   = 40 * time.Second
	// silence is how long a connection may be without news before it is opened
	// anew.
	silence = time.Minute
)

// listener hears of new rows from Postgres. It relies on nothing but what it
// hears itself say: a pooler that lends connections by the transaction takes
// LISTEN as it is, and nothing ever comes.
type listener struct {
	connect   func(context.Context) (*pgx.Conn, error)
	namespace string
	relay     *Relay

	// word is what the probe says, of the connection that is open; heardAt is when
	// it was last heard, and probedAt said, in nanoseconds since the Unix epoch.
	word     atomic.Pointer[string]
	heardAt  atomic.Int64
	probedAt atomic.Int64
}

// isHeard reports whether the server can be relied upon to tell of new rows.
func (l *listener) isHeard(now time.Time) bool {
	return now.Sub(time.Unix(0, l.heardAt.Load())) < heardFor
}

// probe has the server tell the listener its own word, over another connection.
func (l *listener) probe(ctx context.Context) {
	word, now := l.word.Load(), time.Now()
	if word == nil || now.Sub(time.Unix(0, l.probedAt.Load())) < probeEvery {
		return
	}
	l.probedAt.Store(now.UnixNano())
	// A failure shows in silence, and the next look reports it.
	_ = l.relay.runner.read(ctx, statement{text: "SELECT pg_notify('" + outboxChannel + "', $1)", args: []any{*word}})
}

// run listens until ctx ends, over one connection after the other.
func (l *listener) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		_ = l.listen(ctx) // looks at shorter intervals make up for it
		l.word.Store(nil)
		l.heardAt.Store(0)
		l.relay.outbox.hint()
		if pause = min(2*pause, lastPause); time.Since(began) > silence/2 {
			pause = firstPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// listen listens over one connection until it breaks or falls silent.
func (l *listener) listen(ctx context.Context) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		// Without a goodbye if the connection is at fault, and soon in any case.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+outboxChannel); err != nil {
		return err
	}
	word := "?" + strconv.FormatUint(rand.Uint64(), 36)
	l.word.Store(&word)
	l.probedAt.Store(0)
	// What was committed before the server listens for us is found by a look.
	l.relay.outbox.hint()
	for {
		waiting, cancel := context.WithTimeout(ctx, silence)
		notification, err := conn.WaitForNotification(waiting)
		cancel()
		if err != nil {
			return err
		}
		l.hear(notification.Payload, word)
	}
}

func (l *listener) hear(payload, word string) {
	if payload == word {
		l.heardAt.Store(time.Now().UnixNano())
		return
	}
	namespace, queue, _ := strings.Cut(payload, "/")
	if name := domain.QueueName(queue); namespace == l.namespace && name.Validate() == nil {
		l.relay.told(name)
	}
}
