package storage_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/plancheck"
)

const (
	// fewJobs are those that a call is about.
	fewJobs = 50
	// fewRows is what a statement may read of a large table for them.
	fewRows = 10 * fewJobs
)

// manyClaims is how many ended claims, and how many jobs, the ledger has whose plans
// are looked at.
func manyClaims() (ended, jobs int) {
	if os.Getenv("TAKT_TORTURE") == "all" {
		return 1_000_000, 100_000
	}
	return 100_000, 20_000
}

// seldom are the statements that may look at all jobs, or all that ended: those
// that a change of definitions takes, and the pruning.
func seldom(query string) bool {
	for _, part := range []string{
		"DELETE FROM ledger_claims", "SELECT j.job, j.cursor_ms,", "SELECT json_group_object(j.job, j.cursor_ms),",
		"UPDATE ledger_jobs SET\n    revision = live.newest", "UPDATE ledger_jobs SET version =",
		"INSERT INTO ledger_revisions", "DELETE FROM ledger_revisions", "INSERT INTO ledger_registrations",
		"DELETE FROM ledger_registrations", "INSERT INTO ledger_jobs",
	} {
		if strings.Contains(query, part) {
			return true
		}
	}
	return false
}

// fillLedger puts many jobs and ended claims into the ledger.
func fillLedger(t *testing.T, uri domain.Secret) {
	t.Helper()
	ended, jobs := manyClaims()
	numbers := func(n int) string { return fmt.Sprintf("generate_series(1, %d) AS i", n) }
	for _, query := range []string{
		"INSERT INTO worker.ledger_jobs SELECT 'default', 'filler-' || i, 0 + i, '', false, 1, 'v1', 1, i FROM " + numbers(jobs),
		fmt.Sprintf("INSERT INTO worker.ledger_claims SELECT 'default', i, CASE WHEN i %% 4 = 0 THEN 'manual' ELSE 'schedule' END || ':' || i || ':filler-' || (i %% %[1]d) || CASE WHEN i %% 4 = 0 THEN '@' || i ELSE '' END, "+
			"'filler-' || (i %% %[1]d), i %% 4 > 0, 'ann', 'v1', 3 + i %% 2, 0, 1 = 0, 2 = 0, 3 = 0, 0, 0, i, 0 + i, 1 + i, '', '' FROM ", jobs) + numbers(ended),
	} {
		pgtest.Exec(t, uri, query)
	}
}

// pretend makes SQLite's planner, which knows statistics alone, believe in many
// jobs and ended claims.
func pretend(t *testing.T, db *storage.DB) {
	t.Helper()
	ended, jobs := manyClaims()
	for _, query := range []string{
		"ANALYZE", "DELETE FROM sqlite_stat1",
		fmt.Sprintf("INSERT INTO sqlite_stat1 VALUES ('ledger_claims', 'ledger_claims', '%[1]d %[1]d 1'), ('ledger_claims', 'ledger_claims_once', '%[2]d %[2]d 1'), "+
			"('ledger_jobs', 'ledger_jobs', '%[3]d %[3]d 1'), ('ledgers', 'ledgers', '1 1')", ended, ended/4, jobs),
		"ANALYZE sqlite_schema",
	} {
		if _, err := db.Bun().NewRaw(query).Exec(t.Context()); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
}

// askEverything makes every call of the ledger, several times.
func askEverything(t *testing.T, ledger *storage.Ledger, round int) {
	t.Helper()
	definitions := manyDefinitions(fewJobs)
	start := cursorsOf(syncAs(t, ledger, "ann", definitions))
	reply := syncAs(t, ledger, "bob", definitions)
	if _, err := ledger.Sync(t.Context(), domain.SyncRequest{Replica: "ann", Definitions: definitions, Since: reply.Version}); err != nil {
		t.Fatalf("Sync = %v, want no error", err)
	}
	claims := claimTicks(t, ledger, "ann", start, 0)
	if len(claims) != fewJobs {
		t.Fatalf("%d ticks are granted, want %d", len(claims), fewJobs)
	}
	var manual, held []domain.Intent
	var refs []domain.ClaimRef
	for i := range claims {
		intent := byHand(claims[i].Run.Job, fmt.Sprint(round, "-", i))
		intent.Slot = []domain.Slot{domain.SlotSkip, domain.SlotQueue, domain.SlotPreempt, domain.SlotFree}[i%4]
		manual = append(manual, intent)
		held = append(held, domain.Intent{Run: claims[i].Run, Replica: "ann", Fingerprint: "v1", Held: claims[i].Token, Lease: time.Minute})
		refs = append(refs, claims[i].Ref())
	}
	for _, intents := range [][]domain.Intent{manual, manual, held} {
		if _, err := ledger.Claim(t.Context(), intents); err != nil {
			t.Fatalf("Claim = %v, want no error", err)
		}
	}
	if _, err := ledger.Renew(t.Context(), refs, time.Minute); err != nil {
		t.Fatalf("Renew = %v, want no error", err)
	}
	results := make([]domain.RunResult, len(refs))
	for i := range results {
		results[i] = domain.RunResult{Claim: refs[i], End: domain.EndReleased}
	}
	for range 2 {
		if _, err := ledger.Finish(t.Context(), results); err != nil {
			t.Fatalf("Finish = %v, want no error", err)
		}
	}
	for left := true; left; {
		taken, err := ledger.Abandoned(t.Context(), "bob", time.Minute, 20)
		if err != nil {
			t.Fatalf("Abandoned = %v, want no error", err)
		}
		finishAll(t, ledger, taken)
		left = len(taken) > 0
	}
	for _, change := range []func(ports.ScheduleSwitch) error{
		func(s ports.ScheduleSwitch) error { return s.PauseJob(t.Context(), definitions[0].Job) },
		func(s ports.ScheduleSwitch) error { return s.ResumeJob(t.Context(), definitions[0].Job) },
	} {
		if err := change(ledger); err != nil {
			t.Fatalf("pause or resume = %v, want no error", err)
		}
	}
}

func TestLedger_looksUpRowsOfLargeTablesOnPostgres(t *testing.T) {
	t.Parallel()
	round := 0
	judgePlans(t, planned{
		fill: fillLedger,
		use: func(db *storage.DB) {
			askEverything(t, db.Ledger(""), round)
			round++
		},
		want: func(_ *storage.DB, when string, plans []plancheck.Plan) { wantLookups(t, when, plans) },
	})
}

// planned is something whose plans must not read more the more there is.
type planned struct {
	fill func(t *testing.T, uri domain.Secret)
	use  func(db *storage.DB)
	want func(db *storage.DB, when string, plans []plancheck.Plan)
}

// judgePlans looks at plans that were made while the tables were empty, such that
// follow upon statistics or the lack of them, and such that know no values.
func judgePlans(t *testing.T, of planned) {
	t.Helper()
	server := pgtest.Start(t)
	pgtest.Exec(t, server.URI, "ALTER SYSTEM SET autovacuum = off")
	watch := plancheck.WatchServer(t, server)
	worker := postgres(storage.PostgresConfig{URI: pgtest.Migrate(t, server.URI), PoolSize: 1})
	judge := func(db *storage.DB, when string) {
		watch.Plans(t)
		of.use(db)
		of.want(db, when, watch.Plans(t))
	}
	early := open(t, worker)
	for range 7 { // from the sixth time on plans may know no values
		of.use(early)
	}
	of.fill(t, server.URI)
	judge(early, "made while the tables were empty")
	for _, setting := range []string{"force_custom_plan", "force_generic_plan"} {
		for _, statistics := range []string{"without statistics", "with statistics"} {
			if statistics == "with statistics" {
				pgtest.Exec(t, server.URI, "VACUUM ANALYZE")
			}
			pgtest.Exec(t, server.URI, "ALTER SYSTEM SET plan_cache_mode = "+setting)
			pgtest.Exec(t, server.URI, "SELECT pg_reload_conf()")
			judge(open(t, worker), setting+" "+statistics)
		}
	}
}

// wantLookups checks that no statement that is not seldom reads many rows.
func wantLookups(t *testing.T, when string, plans []plancheck.Plan) {
	t.Helper()
	looks := 0
	for _, plan := range plans {
		for _, scan := range plan.Scans {
			if scan.Table != "ledger_jobs" && scan.Table != "ledger_claims" {
				continue
			}
			looks++
			if scan.Read > fewRows && !seldom(plan.Query) {
				t.Errorf("%s: %s in%s", when, scan, plan.Query)
			}
		}
	}
	if looks < 30 {
		t.Errorf("%s: %d looks at large tables are seen, want more", when, looks)
	}
}

// A replica looks for lapsed claims twice a second: that must not cost more the
// more jobs it has.
func TestLedger_looksForLapsedClaimsWhateverIsRegistered(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	watch := plancheck.WatchServer(t, server)
	db := open(t, postgres(storage.PostgresConfig{URI: pgtest.Migrate(t, server.URI), PoolSize: 1}))
	ledger := db.Ledger("")
	syncAs(t, ledger, "ann", manyDefinitions(10*fewRows))
	looks := 0
	for _, setting := range []string{"auto", "force_generic_plan"} {
		watch.Plans(t)
		pgtest.Exec(t, server.URI, "ALTER SYSTEM SET plan_cache_mode = "+setting)
		pgtest.Exec(t, server.URI, "SELECT pg_reload_conf()")
		for range 7 {
			if claims, err := ledger.Abandoned(t.Context(), "ann", time.Minute, 1); err != nil || len(claims) > 0 {
				t.Fatalf("Abandoned = %d claims, %v, want none and no error", len(claims), err)
			}
		}
		for _, plan := range watch.Plans(t) {
			for _, scan := range plan.Scans {
				looks++
				if scan.Read > fewRows {
					t.Errorf("%s: %s in%s", setting, scan, plan.Query)
				}
			}
		}
	}
	if looks == 0 {
		t.Error("no look at a table is seen, want some")
	}
}

func TestLedger_looksUpRowsOfLargeTablesOnSQLite(t *testing.T) {
	t.Parallel()
	for _, statistics := range []bool{false, true} {
		t.Run(fmt.Sprint("statistics ", statistics), func(t *testing.T) {
			t.Parallel()
			db := openSQLite(t)
			if statistics {
				pretend(t, db)
			}
			ledger := db.Ledger("")
			recorded := ledger.Record()
			askEverything(t, ledger, 0)
			looks := 0
			for _, s := range recorded() {
				for _, look := range plancheck.Explain(t, db.Bun().DB, s.Text, s.Args...) {
					if seldom(s.Text) || tableOf(look.Table) == "" {
						continue
					}
					looks++
					// These indexes hold runs under way alone.
					few := look.Index == "ledger_claims_open" || look.Index == "ledger_claims_released"
					if (look.Columns == "" || look.Columns == "namespace=?") && !few {
						t.Errorf("%s in%s", look.Detail, s.Text)
					}
				}
			}
			if looks < 30 {
				t.Errorf("%d looks at large tables are seen, want more", looks)
			}
		})
	}
}

// tableOf returns the large table that goes by the name in our statements.
func tableOf(name string) string {
	switch name {
	case "ledger_jobs", "j":
		return "ledger_jobs"
	case "ledger_claims", "c":
		return "ledger_claims"
	}
	return ""
}
