package storage_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// faults says what befalls a server, how often, and at least how many times.
type faults struct {
	every   time.Duration
	least   int64
	inflict func()
}

// terminations are those of an operator who ends all connections to the database ten
// times a second.
func terminations(t *testing.T, uri domain.Secret, least int64) faults {
	t.Helper()
	operator, err := pgx.Connect(t.Context(), uri.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = operator.Close(context.Background()) })
	return faults{every: 100 * time.Millisecond, least: least, inflict: func() {
		_, err := operator.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		if err != nil {
			t.Error(err)
		}
	}}
}

// crashes are those of a server that comes back.
func crashes(t *testing.T, server *pgtest.Server, least int64) faults {
	t.Helper()
	return faults{every: 500 * time.Millisecond, least: least, inflict: func() { server.Crash(t) }}
}

// begin lets the faults befall the server until stop is called, and counts them.
func (f faults) begin() (befallen *atomic.Int64, stop func()) {
	befallen = new(atomic.Int64)
	stopped := make(chan struct{})
	var injector sync.WaitGroup
	injector.Go(func() {
		pace := time.NewTicker(f.every)
		defer pace.Stop()
		// A busy machine makes few steps between two faults, which cost it more than
		// they do: so there is an end of them.
		for befallen.Load() < 3*f.least {
			select {
			case <-stopped:
				return
			case <-pace.C:
				f.inflict()
				befallen.Add(1)
			}
		}
	})
	return befallen, func() {
		close(stopped)
		injector.Wait()
	}
}
