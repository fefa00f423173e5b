package storage_test

import (
	"fmt"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/test/pgtest"
)

// openDurable opens a database of a server that syncs its commits to disk.
func openDurable(b *testing.B) *storage.DB {
	b.Helper()
	uri := pgtest.Database(b)
	pgtest.Exec(b, uri, "ALTER SYSTEM SET fsync = on")
	pgtest.Exec(b, uri, "SELECT pg_reload_conf()")
	return openPostgres(b)
}

func BenchmarkLedger_onSQLite(b *testing.B) {
	porttest.BenchLedger(b, func(b *testing.B) ports.Ledger { return openSQLite(b).Ledger("bench") })
}

func BenchmarkLedger_onPostgres(b *testing.B) {
	porttest.BenchLedger(b, func(b *testing.B) ports.Ledger { return openDurable(b).Ledger("bench") })
}

func BenchmarkLedgerSync_onSQLite(b *testing.B) {
	benchSync(b, func(b *testing.B) *storage.DB { return openSQLite(b) })
}

func BenchmarkLedgerSync_onPostgres(b *testing.B) { benchSync(b, openDurable) }

func benchSync(b *testing.B, open func(*testing.B) *storage.DB) {
	b.Helper()
	for _, jobs := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("unchanged/jobs=%d", jobs), func(b *testing.B) {
			ledger := open(b).Ledger("bench")
			request := domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(jobs)}
			b.ReportAllocs()
			for b.Loop() {
				reply, err := ledger.Sync(b.Context(), request)
				if err != nil {
					b.Fatalf("Sync = %v, want no error", err)
				}
				request.Since = reply.Version
			}
		})
	}
	b.Run("all changed/jobs=10000", func(b *testing.B) {
		ledger := open(b).Ledger("bench")
		request := domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(10_000)}
		for b.Loop() {
			if reply, err := ledger.Sync(b.Context(), request); err != nil || len(reply.Jobs) != 10_000 {
				b.Fatalf("Sync = %d jobs, %v, want all and no error", len(reply.Jobs), err)
			}
		}
	})
	b.Run("first/jobs=10000", func(b *testing.B) {
		ledger := open(b).Ledger("bench")
		definitions := manyDefinitions(10_000)
		for n := 0; b.Loop(); n++ {
			request := domain.SyncRequest{Replica: fmt.Sprint("replica-", n), Definitions: definitions}
			if reply, err := ledger.Sync(b.Context(), request); err != nil || len(reply.Jobs) != len(definitions) {
				b.Fatalf("Sync = %d jobs, %v, want all and no error", len(reply.Jobs), err)
			}
		}
	})
}

func manyDefinitions(n int) []domain.Definition {
	definitions := make([]domain.Definition, n)
	for i := range definitions {
		definitions[i] = domain.Definition{Job: fmt.Sprintf("job-%05d", i), Fingerprint: "v1"}
	}
	return definitions
}
