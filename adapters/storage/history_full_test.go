package storage_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/taktwork/takt/core/ports"
)

// A file that may grow by no more than some pages refuses a batch as an outage does,
// whichever of its statements needs the next page, and takes it whole when it may.
func TestRunStoreAppend_healsWhenTheFileMayGrowAgain(t *testing.T) {
	t.Parallel()
	const rounds, most = 20, 100
	db := openSQLite(t)
	store, told, batch := db.RunStore(""), handOvers{}, 0
	pragma := func(text string) (n int) {
		if err := db.Writer().QueryRowContext(t.Context(), "PRAGMA "+text).Scan(&n); err != nil {
			t.Fatalf("PRAGMA %s = %v, want no error", text, err)
		}
		return n
	}
	for round := range rounds {
		pragma(fmt.Sprint("max_page_count = ", pragma("page_count")+round%7))
		err := error(nil)
		for last := batch + most; err == nil && batch < last; batch++ {
			err = store.Append(t.Context(), handedOver("ann", batch))
			told[handOver{"ann", batch}] = true
		}
		if !errors.Is(err, ports.ErrUnavailable) {
			t.Fatalf("Append to a full file = %v, want ErrUnavailable", err)
		}
		pragma("max_page_count = 1000000")
		appendTo(t, store, handedOver("ann", batch-1))
	}
	wantIntact(t, db)
	wantHandedOver(t, db, told)
}

// The last statement about a batch fails in a way in which SQLite keeps what others have
// done: it is undone with the transaction.
func TestRunStoreAppend_undoesABatchThatIsRefused(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	store := db.RunStore("")
	execSQL(t, db, "CREATE TRIGGER refusal BEFORE INSERT ON history_batches BEGIN SELECT RAISE(ABORT, 'refused'); END")
	if err := store.Append(t.Context(), handedOver("ann", 0)); err == nil {
		t.Error("Append = nil, want an error")
	}
	execSQL(t, db, "DROP TRIGGER refusal")
	appendTo(t, store, handedOver("ann", 0))
	wantHandedOver(t, db, handOvers{{"ann", 0}: true})
}
