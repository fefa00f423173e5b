package main_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	benchsql "github.com/taktwork/takt/test/benchsql"
)

func TestRecordsAreCountedWhateverTheirIDs(t *testing.T) {
	db, err := storage.Open(t.Context(), storage.Config{
		Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(t.TempDir(), "jobs.db")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test is over
	store := db.RunStore("")
	want := func(want int) {
		t.Helper()
		if got, err := benchsql.RecordsIn(t.Context(), db); err != nil || got != want {
			t.Errorf("RecordsIn = %d, %v, want %d", got, err, want)
		}
	}
	want(0)
	records := make([]domain.Record, 5)
	for i := range records {
		records[i] = domain.Record{At: time.Unix(int64(i), 0), Replica: "ann", Event: domain.EventCompleted}
	}
	if err := store.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Prune(t.Context(), domain.RunRetention{Count: 1}, len(records)); err != nil {
		t.Fatal(err)
	}
	want(1)
	if err := store.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	want(6)
}
