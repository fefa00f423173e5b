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

// Records in blocks are no others than those in rows.
func TestRunStore_ofBlocksOnSQLite(t *testing.T) {
	testRunStoreOfBlocks(t, openSQLite, func(s *storage.RunStore) *storage.RunStore { return s.WithBlocks(1, 1) })
}

func TestRunStore_ofBlocksOnPostgres(t *testing.T) {
	testRunStoreOfBlocks(t, openPostgres, func(s *storage.RunStore) *storage.RunStore { return s.WithBlocks(1, 1) })
}

func TestRunStore_ofBlocksOfManyKindsOnSQLite(t *testing.T) {
	testRunStoreOfBlocks(t, openSQLite, func(s *storage.RunStore) *storage.RunStore { return s.WithBlocks(2, 3).WithNewest(3) })
}

func testRunStoreOfBlocks(t *testing.T, open func(testing.TB) *storage.DB, configure func(*storage.RunStore) *storage.RunStore) {
	t.Helper()
	testRunStoresOf(t, open(t), configure)
}

// testRunStoresOf has all stores in one database, each with a namespace of its own.
func testRunStoresOf(t *testing.T, db *storage.DB, configure func(*storage.RunStore) *storage.RunStore) {
	t.Helper()
	porttest.RunStore(t, func(t *testing.T) ports.RunStore {
		t.Parallel()
		return configure(db.RunStore(t.Name()))
	})
}

func testRunStoreOfManyKinds(t *testing.T, open func(testing.TB) *storage.DB) {
	t.Helper()
	testRunStoresOf(t, open(t), func(s *storage.RunStore) *storage.RunStore { return s.WithNewest(20) })
}

func testRunStore(t *testing.T, open func(testing.TB) *storage.DB) {
	t.Helper()
	porttest.RunStore(t, func(t *testing.T) ports.RunStore {
		t.Parallel()
		return open(t).RunStore("")
	})
}
