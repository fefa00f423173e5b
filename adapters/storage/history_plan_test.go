package storage_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// mostRows is how many rows a step of a plan may look at: the newest ones that
// are looked at first, or all kinds, of which there are some ten thousand.
const mostRows = 12_000

var stepPattern = regexp.MustCompile(`actual rows=(\d+) loops=(\d+)`)

// No query reads its way through the records, whatever is asked for: with
// TAKT_TORTURE=all there are a million.
func TestRunStoreQueries_followIndexesOnPostgres(t *testing.T) {
	t.Parallel()
	uri := migrated(t)
	db := openAs(t, uri, "worker_run")
	store, n := db.RunStore("bench").WithBlocks(2, 8), manyRecords()
	fill(t, store, n)
	conn, err := pgx.Connect(t.Context(), pgtest.As(t, uri, "worker_run").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over
	for _, setting := range []string{"SET search_path = worker", storage.LookUpAll, storage.InOrderAll} {
		if _, err := conn.Exec(t.Context(), strings.ReplaceAll(setting, ", true)", ", false)")); err != nil {
			t.Fatal(err)
		}
	}
	second := db.RunStore("second")
	if err := second.Append(t.Context(), []domain.Record{pastRun(1)}); err != nil {
		t.Fatal(err)
	}
	explainPostgres(t, conn, store, pastFilters(t, store, n), "without statistics")
	pgtest.Exec(t, uri, "ANALYZE")
	explainPostgres(t, conn, store, pastFilters(t, store, n), "with statistics")
	// The numbers of the first namespace lie before those of the second.
	explainPostgres(t, conn, second, []namedFilter{{"oldest", domain.RunFilter{AfterID: -1, Limit: 1}}}, "of another namespace")
	first := db.RunStore("first of all")
	if err := first.Append(t.Context(), []domain.Record{pastRun(1)}); err != nil {
		t.Fatal(err)
	}
	fill(t, db.RunStore("with blocks").WithBlocks(1, 8), 4000)
	news, err := first.Statements(t.Context(), domain.RunFilter{AfterID: newestOf(t, first, domain.RunFilter{}, 1).ID})
	if err != nil {
		t.Fatal(err)
	}
	explainAll(t, conn, news, "news before another namespace", 10)
	plans := explainAll(t, conn, store.PruneStatements(domain.RunRetention{Count: n / 2}, 1000), "prune", mostRows)
	if !regexp.MustCompile(`history_fields_pkey .*\n *Index Cond: \(\(path = `).MatchString(plans) {
		t.Errorf("fields to prune are not looked up by their path:\n%s", plans)
	}
}

func explainPostgres(t *testing.T, conn *pgx.Conn, store *storage.RunStore, filters []namedFilter, when string) {
	t.Helper()
	for _, f := range filters {
		statements, err := store.Statements(t.Context(), f.filter)
		if err != nil || len(statements) == 0 {
			t.Fatalf("%s: %d statements, %v", f.name, len(statements), err)
		}
		explainAll(t, conn, statements, f.name+", "+when, mostRows)
	}
}

// explainAll returns the plans of the statements, none of which may look at more rows
// than most.
func explainAll(t *testing.T, conn *pgx.Conn, statements []storage.Explained, what string, most int) (plans string) {
	t.Helper()
	for _, s := range statements {
		rows, err := conn.Query(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF) "+s.Text, s.Args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if strings.Contains(plan, "Seq Scan on history") || looksAt(plan) > most {
			t.Errorf("%s: looks at %d rows:\n%s\n%s", what, looksAt(plan), s.Text, plan)
		}
		plans += plan + "\n"
	}
	return plans
}

// looksAt returns the rows of the step of a plan that has the most, removed ones
// included.
func looksAt(plan string) int {
	most := 0
	for line := range strings.SplitSeq(plan, "\n") {
		rows, loops := 0, 1
		if m := stepPattern.FindStringSubmatch(line); m != nil {
			rows, _ = strconv.Atoi(m[1])
			loops, _ = strconv.Atoi(m[2])
		} else if _, removed, ok := strings.Cut(line, "Rows Removed by Filter: "); ok {
			rows, _ = strconv.Atoi(removed)
		}
		most = max(most, rows*loops)
	}
	return most
}

var scanPattern = regexp.MustCompile(`SCAN (history|history_blocks|history_batches|h|h2|k|i|f|o|b|m)\b`)

// allKindsPattern finds where all kinds of a namespace are read.
var allKindsPattern = regexp.MustCompile(`INDEX history_kinds_(job|queue|job_name|event|replica|origin) \(space=\?\)`)

func TestRunStoreQueries_followIndexesOnSQLite(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	store, n := db.RunStore("bench").WithBlocks(2, 8), manyRecords()
	fill(t, store, n)
	for _, f := range pastFilters(t, store, n) {
		statements, err := store.Statements(t.Context(), f.filter)
		if err != nil || len(statements) == 0 {
			t.Fatalf("%s: %d statements, %v", f.name, len(statements), err)
		}
		for _, s := range statements {
			plan := explainSQLite(t, db, s)
			if scanPattern.MatchString(plan) || allKindsPattern.MatchString(plan) || strings.Contains(plan, "AUTOMATIC") {
				t.Errorf("%s: reads a whole table:\n%s\n%s", f.name, s.Text, plan)
			}
		}
	}
}

func explainSQLite(t *testing.T, db *storage.DB, s storage.Explained) string {
	t.Helper()
	rows, err := db.Bun().DB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.Text, s.Args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
