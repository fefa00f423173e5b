package storage_test

import (
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
)

func TestRunStore_onSQLite(t *testing.T) { testRunStore(t, openSQLite) }

func TestRunStore_onPostgres(t *testing.T) { testRunStore(t, openPostgres) }

// Queries that look at the newest records first answer alike.
func TestRunStore_ofManyKindsOnSQLite(t *testing.T) { testRunStoreOfManyKinds(t, openSQLite) }

func TestRunStore_ofManyKindsOnPostgres(t *testing.T) { testRunStoreOfManyKinds(t, openPostgres) }

func testRunStoreOfManyKinds(t *testing.T, open func(testing.TB) *storage.DB) {
	t.Helper()
	porttest.RunStore(t, func(t *testing.T) ports.RunStore {
		t.Parallel()
		return open(t).RunStore("many").WithManyKinds(0, 20)
	})
}

func testRunStore(t *testing.T, open func(testing.TB) *storage.DB) {
	t.Helper()
	porttest.RunStore(t, func(t *testing.T) ports.RunStore {
		t.Parallel()
		return open(t).RunStore("")
	})
}
