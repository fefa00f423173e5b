package storage_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

func TestLedger_forgetsEndedRunsAfterADay(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			ledger, definitions := db.Ledger(""), manyDefinitions(1)
			syncAs(t, ledger, "ann", definitions)
			run := byHand(definitions[0].Job, "1")
			if got := runOne(t, ledger, run); got != domain.Granted {
				t.Fatalf("the run is %q, want granted", got)
			}
			letPass(t, db, 23*time.Hour)
			syncAs(t, ledger, "bob", definitions)
			if got := runOne(t, ledger, run); got != domain.Taken {
				t.Errorf("the run within the day is %q, want taken", got)
			}
			letPass(t, db, time.Hour)
			syncAs(t, ledger, "cyd", definitions)
			if got := runOne(t, ledger, run); got != domain.Granted {
				t.Errorf("the run after a day is %q, want granted", got)
			}
		})
	}
}

func TestLedger_forgetsEndedTicksAfterADay(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			ledger, definitions := db.Ledger(""), manyDefinitions(3)
			claims := firstTicks(t, ledger, definitions)
			finishAll(t, ledger, claims)
			for _, step := range []struct {
				replica string
				passes  time.Duration
				kept    int
			}{{replica: "bob", passes: 23 * time.Hour, kept: 3}, {replica: "cyd", passes: time.Hour, kept: 0}} {
				letPass(t, db, step.passes)
				syncAs(t, ledger, step.replica, definitions)
				var kept int
				if err := db.Bun().NewRaw("SELECT coalesce(sum(count), 0) FROM ledger_ended").Scan(t.Context(), &kept); err != nil || kept != step.kept {
					t.Errorf("%d ticks are remembered after another %s, %v, want %d", kept, step.passes, err, step.kept)
				}
			}
		})
	}
}

// A worker of the version before knows the end of a tick by its claim, before the
// migration and after.
func TestLedger_remembersTicksThatEndedBeforeTheMigration(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]storage.Config{
		"sqlite":   {Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(t.TempDir(), "worker.db")}},
		"postgres": as(t, migrated(t), "worker_migrate"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, config)
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatalf("Migrate = %v, want no error", err)
			}
			ledger := db.Ledger("")
			claims := firstTicks(t, ledger, manyDefinitions(3))
			if err := db.MigrateBack(t.Context(), 7); err != nil {
				t.Fatalf("MigrateBack = %v, want no error", err)
			}
			query := "UPDATE ledger_claims SET phase = 4, ended_us = granted_us WHERE run <> ?"
			if _, err := db.Bun().NewRaw(query, claims[0].Run.Encode()).Exec(t.Context()); err != nil {
				t.Fatalf("UPDATE = %v, want no error", err)
			}
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatalf("Migrate = %v, want no error", err)
			}
			finishAll(t, ledger, claims)
			var ended int
			if err := db.Bun().NewRaw("SELECT count(*) FROM ledger_claims WHERE phase = 4").Scan(t.Context(), &ended); err != nil || ended != 2 {
				t.Errorf("%d ends are known to the version before, %v, want the two that were", ended, err)
			}
		})
	}
}

// A run in the way ends a tick, whose claim is forgotten as those that ended are.
func TestLedger_boundsTheMemoryOfBlockedTicks(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const ticks, limit, every = 200, 30, 10
			db := open(t)
			ledger := db.Ledger("").WithMemory(limit, every)
			start := cursorsOf(syncAs(t, ledger, "ann", manyDefinitions(2)))
			const slow, fast = "job-00000", "job-00001"
			for n := range ticks {
				from := start[slow].Add(time.Duration(n) * time.Second)
				intent := domain.Intent{
					Run: domain.TickKey(slow, from.Add(time.Second)), Replica: "ann", Fingerprint: "v1", Slot: domain.SlotSkip,
					Move: &domain.CursorMove{From: from, To: from.Add(time.Second)}, Lease: time.Hour,
				}
				verdicts, err := ledger.Claim(t.Context(), []domain.Intent{intent})
				if err != nil || n > 0 && verdicts[0].Kind != domain.Blocked {
					t.Fatalf("Claim = %v, %v, want it blocked", verdicts, err)
				}
				finishAll(t, ledger, claimTicks(t, ledger, "ann", map[string]time.Time{fast: start[fast]}, n))
			}
			var left int
			if err := db.Bun().NewRaw("SELECT count(*) FROM ledger_claims WHERE phase >= 3").Scan(t.Context(), &left); err != nil || left > limit+every {
				t.Errorf("%d of %d blocked ticks are remembered, %v, want at most %d", left, ticks-1, err, limit+every)
			}
		})
	}
}

// One tick of a call that took long must not take the memory of the others along.
func TestLedger_remembersTheTicksOfACallThatEndedTogether(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const jobs, limit, every = 50, 300, 50
			db := open(t)
			ledger := db.Ledger("").WithMemory(limit, every)
			start := cursorsOf(syncAs(t, ledger, "ann", manyDefinitions(jobs)))
			const long = "job-00000"
			together := claimTicks(t, ledger, "ann", map[string]time.Time{long: start[long]}, 0)
			delete(start, long)
			for n := range 10 {
				finishAll(t, ledger, claimTicks(t, ledger, "ann", start, n))
			}
			together = append(together, claimTicks(t, ledger, "ann", start, 10)...)
			finishAll(t, ledger, together)
			finishAll(t, ledger, claimTicks(t, ledger, "ann", start, 11))
			finishAll(t, ledger, together)
		})
	}
}

// firstTicks returns claims of the jobs' first ticks.
func firstTicks(t *testing.T, ledger *storage.Ledger, definitions []domain.Definition) []domain.Claim {
	t.Helper()
	start := cursorsOf(syncAs(t, ledger, "ann", definitions))
	return claimTicks(t, ledger, "ann", start, 0)
}

func TestLedger_boundsTheMemoryOfEndedTicks(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const jobs, ticks, limit, every = 100, 20, 300, 150
			db := open(t)
			ledger := db.Ledger("").WithMemory(limit, every)
			start := cursorsOf(syncAs(t, ledger, "ann", manyDefinitions(jobs)))
			for n := range ticks {
				finishAll(t, ledger, claimTicks(t, ledger, "ann", start, n))
			}
			var remembered int
			if err := db.Bun().NewRaw("SELECT sum(count) + (SELECT count(*) FROM ledger_claims) FROM ledger_ended").Scan(t.Context(), &remembered); err != nil {
				t.Fatalf("SELECT = %v, want no error", err)
			}
			// One call ends a hundred and may be the one before the next pruning.
			if remembered < limit || remembered > limit+every+jobs {
				t.Errorf("%d of %d ticks are remembered, want %d to %d", remembered, jobs*ticks, limit, limit+every+jobs)
			}
		})
	}
}

func TestLedger_remembersTheLatestDefinitionsOfAJob(t *testing.T) {
	t.Parallel()
	const versions, remembered = 40, 32
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			ledger := db.Ledger("")
			for version := range versions {
				syncAs(t, ledger, "ann", []domain.Definition{
					{Job: "changes", Fingerprint: fmt.Sprint("v", version)}, {Job: "stays", Fingerprint: "v1"},
				})
			}
			for job, want := range map[string][2]int{"changes": {versions - remembered + 1, versions}, "stays": {1, 1}} {
				var got [2]int
				err := db.Bun().NewRaw("SELECT min(revision), max(revision) FROM ledger_revisions WHERE job = ?", job).Scan(t.Context(), &got[0], &got[1])
				if err != nil || got != want {
					t.Errorf("revisions of %s are %v, %v, want %v", job, got, err, want)
				}
			}
		})
	}
}

// letPass moves what the ledger remembers into the past.
func letPass(t *testing.T, db *storage.DB, d time.Duration) {
	t.Helper()
	for _, table := range []string{"ledger_claims", "ledger_ended"} {
		query := fmt.Sprintf("UPDATE %s SET token = token - %[2]d, ended_us = ended_us - %[2]d", table, d.Microseconds())
		if _, err := db.Bun().NewRaw(query).Exec(t.Context()); err != nil {
			t.Fatalf("UPDATE = %v, want no error", err)
		}
	}
}

func byHand(job, id string) domain.Intent {
	run := domain.RunKey{Job: job, Origin: domain.OriginManual, OriginID: id}
	return domain.Intent{Run: run, Replica: "ann", Fingerprint: "v1", Slot: domain.SlotFree, Lease: time.Minute}
}

func runOne(t *testing.T, ledger *storage.Ledger, intent domain.Intent) domain.VerdictKind {
	t.Helper()
	verdicts, err := ledger.Claim(t.Context(), []domain.Intent{intent})
	if err != nil {
		t.Fatalf("Claim = %v, want no error", err)
	}
	if verdicts[0].Kind == domain.Granted {
		finishAll(t, ledger, []domain.Claim{verdicts[0].Claim})
	}
	return verdicts[0].Kind
}
