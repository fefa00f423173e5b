package storage

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Namespace returns the namespace of the outbox.
func (o *Outbox) Namespace() string { return o.config.Namespace }

// Followed returns how many rows the relay knows by their receipts.
func (r *Relay) Followed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.handed)
}

// WithFault makes the relay ask fault before and after each transaction; its error is
// the transaction's answer. It is called before Start.
func (r *Relay) WithFault(fault func() error) *Relay {
	r.runner = faultyRunner{runner: r.runner, fault: fault}
	return r
}

type faultyRunner struct {
	runner

	fault func() error
}

func (r faultyRunner) write(ctx context.Context, statements ...statement) error {
	if err := r.fault(); err != nil {
		return err
	}
	if err := r.runner.write(ctx, statements...); err != nil {
		return err
	}
	return r.fault()
}

// CrashAt makes the relay ask pass before each statement that it reads or writes with,
// and after each transaction. Its error is the answer, and breaks the transaction after
// the statements before. It is called before Start.
func (r *Relay) CrashAt(pass func() error) *Relay {
	r.runner = crashingRunner{runner: r.runner, pass: pass}
	o := r.outbox
	r.outbox = &Outbox{
		config: o.config, dialect: o.dialect, table: o.table, queues: o.queues, hints: o.hints, texts: make(map[int]string),
		runner: crashingRunner{runner: o.runner, pass: pass},
	}
	return r
}

type crashingRunner struct {
	runner

	pass func() error
}

func (r crashingRunner) read(ctx context.Context, statements ...statement) error {
	if err := r.pass(); err != nil {
		return err
	}
	return r.runner.read(ctx, statements...)
}

func (r crashingRunner) write(ctx context.Context, statements ...statement) error {
	for n := range statements {
		if err := r.pass(); err != nil {
			if r.runner.write(ctx, append(slices.Clone(statements[:n]), statement{text: overflow})...) == nil {
				panic("a transaction that was to break was committed")
			}
			return err
		}
	}
	if err := r.runner.write(ctx, statements...); err != nil {
		return err
	}
	return r.pass()
}

// overflow fails on both dialects, as it is carried out.
const overflow = `SELECT abs(-9223372036854775807 - 1)`

// ListenOver makes the relay listen over connections that connect opens.
func (r *Relay) ListenOver(connect func(context.Context) (*pgx.Conn, error)) *Relay {
	r.listener.connect = connect
	return r
}

// IsHeard reports whether the relay hears of new rows from the server.
func (r *Relay) IsHeard() bool { return r.listener.isHeard(time.Now()) }
