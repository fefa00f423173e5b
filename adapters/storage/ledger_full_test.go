package storage_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// A file that may not grow refuses claims as an outage does, and takes them
// again when it may.
func TestLedger_healsWhenTheFileMayGrowAgain(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ledger, definitions := db.Ledger(""), manyDefinitions(100)
	start := cursorsOf(syncAs(t, ledger, "ann", definitions))
	limit := func(pages int) {
		var now int
		if err := db.Writer().QueryRowContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages)).Scan(&now); err != nil {
			t.Fatalf("PRAGMA max_page_count = %v, want no error", err)
		}
	}
	var pages int
	if err := db.Bun().NewRaw("PRAGMA page_count").Scan(t.Context(), &pages); err != nil {
		t.Fatalf("PRAGMA page_count = %v, want no error", err)
	}
	limit(pages + 20)
	granted, refused := 0, 0
	for n := 0; n < 100 && refused == 0; n++ {
		verdicts, err := ledger.Claim(t.Context(), ticksAfter(start, n))
		if errors.Is(err, ports.ErrUnavailable) {
			refused = n
			break
		}
		if err != nil {
			t.Fatalf("Claim = %v, want no error or ErrUnavailable", err)
		}
		granted += countGranted(verdicts)
	}
	if granted == 0 || refused == 0 {
		t.Fatalf("%d claims are granted before the file is full, after %d calls, want some of both", granted, refused)
	}
	limit(1 << 20)
	verdicts, err := ledger.Claim(t.Context(), ticksAfter(start, refused))
	if err != nil || countGranted(verdicts) != len(definitions) {
		t.Errorf("Claim with room = %d granted, %v, want %d and no error", countGranted(verdicts), err, len(definitions))
	}
	wantIntact(t, db)
	if got, want := countOpen(t, db), granted+len(definitions); got != want {
		t.Errorf("%d claims are open, want the %d that were granted", got, want)
	}
}

// Somebody keeps the file for longer than one write waits for it.
func TestLedger_waitsForAFileThatIsBusy(t *testing.T) {
	t.Parallel()
	const kept = 6 * time.Second
	path := t.TempDir() + "/takt.db"
	db, other := openFile(t, path), openFile(t, path)
	ledger := db.Ledger("")
	start := cursorsOf(syncAs(t, ledger, "ann", manyDefinitions(1)))
	tx, err := other.Bun().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatalf("BEGIN = %v, want no error", err)
	}
	released := time.AfterFunc(kept, func() { _ = tx.Rollback() })
	defer released.Stop()
	verdicts, err := ledger.Claim(t.Context(), ticksAfter(start, 0))
	if err != nil || countGranted(verdicts) != 1 {
		t.Errorf("Claim = %d granted, %v, want one and no error", countGranted(verdicts), err)
	}
}

// ticksAfter returns the intents for the nth tick of each job.
func ticksAfter(start map[string]time.Time, n int) []domain.Intent {
	var intents []domain.Intent
	for job, base := range start {
		from := base.Add(time.Duration(n) * time.Second)
		to := from.Add(time.Second)
		intents = append(intents, domain.Intent{
			Run: domain.TickKey(job, to), Replica: "ann", Fingerprint: "v1", Slot: domain.SlotFree,
			Move: &domain.CursorMove{From: from, To: to}, Lease: time.Hour,
		})
	}
	return intents
}

func countGranted(verdicts []domain.Verdict) (count int) {
	for i := range verdicts {
		if verdicts[i].Kind == domain.Granted {
			count++
		}
	}
	return count
}

// A transaction of the application's that stays open refuses writes, as an
// outage does, and does not keep them for ever.
func TestLedger_waitsInVainForATransactionThatStaysOpen(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ledger := db.Ledger("")
	start := cursorsOf(syncAs(t, ledger, "ann", manyDefinitions(1)))
	var now int
	if err := db.Writer().QueryRowContext(t.Context(), "PRAGMA busy_timeout = 10").Scan(&now); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Bun().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	if _, err := ledger.Claim(t.Context(), ticksAfter(start, 0)); !errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("Claim within an open transaction = %v, want ErrUnavailable", err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	verdicts, err := ledger.Claim(t.Context(), ticksAfter(start, 0))
	if err != nil || countGranted(verdicts) != 1 {
		t.Errorf("Claim = %d granted, %v, want one and no error", countGranted(verdicts), err)
	}
}
