package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Namespace returns the namespace of the outbox.
func (o *Outbox) Namespace() string { return o.config.Namespace }

// Fault is asked before and after each transaction of a relay; its error is the
// transaction's answer.
type Fault func(carriedOut bool) error

// Followed returns how many rows the relay knows by their receipts.
func (r *Relay) Followed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.handed)
}

// WithFault injects faults. It is called before Start.
func (r *Relay) WithFault(fault Fault) *Relay {
	r.runner = faultyRunner{runner: r.runner, fault: fault}
	return r
}

type faultyRunner struct {
	runner

	fault Fault
}

func (r faultyRunner) write(ctx context.Context, statements ...statement) error {
	if err := r.fault(false); err != nil {
		return err
	}
	if err := r.runner.write(ctx, statements...); err != nil {
		return err
	}
	return r.fault(true)
}

// ListenOver makes the relay listen over connections that connect opens.
func (r *Relay) ListenOver(connect func(context.Context) (*pgx.Conn, error)) *Relay {
	r.listener.connect = connect
	return r
}

// IsHeard reports whether the relay hears of new rows from the server.
func (r *Relay) IsHeard() bool { return r.listener.isHeard(time.Now()) }
