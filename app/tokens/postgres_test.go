package tokens_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/tokens"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

func TestFewRightsAreEnough(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.Postgres)
	p.createTable(t)
	p.seed(t)
	limited := *p
	_, limited.config.Postgres.URI = pgtest.Roles(t, p.config.Postgres.URI)
	var log logbook
	worker, _ := start(t, &log, append(limited.environ(), thresholds)...)
	await(t, func() bool {
		return len(finished(t, worker, domain.StateCompleted))+len(finished(t, worker, domain.StateFailed)) == 2
	})
	p.wantSeedCleaned(t)
	wantLines(t, &log)
	for _, forbidden := range []string{
		`DELETE FROM public.tokens`, `UPDATE public.tokens SET "userId" = "userId"`, `SELECT "tokenHash" FROM public.tokens`, `CREATE TABLE public.x (id integer)`,
	} {
		if _, err := limited.open(t).Bun().ExecContext(t.Context(), forbidden); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s = %v, want no permission", forbidden, err)
		}
	}
}

// queries keeps the text of each kind of query, one from the middle of a run.
type queries map[string]string

func (queries) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (q queries) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	if words := strings.Fields(event.Query); len(words) > 1 && words[0] == "WITH" {
		kind := words[1]
		if strings.Contains(event.Query, `ORDER BY "expiresAt"`) {
			kind += " by expiry"
		}
		q[kind] = event.Query
	}
}

// TestQueriesUseIndexes explains each query. The platform's table has an index
// on expiresAt and none on lastUsedAt: the walk by id reads every row once.
func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		p.fill(t, p.many)
		p.exec(t, "ANALYZE tokens")
		db := p.open(t)
		seen := queries{}
		db.Bun().AddQueryHook(seen) //nolint:staticcheck // there is no other way yet
		p.exec(t, `UPDATE tokens SET "tokenType" = 'refresh_token' WHERE "tokenHash" IN ('api_key1', 'api_key2')`)
		if _, err := tokens.Revoke(t.Context(), db, time.UTC, map[string]time.Duration{"refresh_token": day}); err != nil {
			t.Fatal(err)
		}
		p.exec(t, `UPDATE tokens SET "status" = 'ROTATED' WHERE "tokenHash" <> 'api_key9'`)
		if _, err := tokens.Expire(t.Context(), db, time.UTC); err != nil {
			t.Fatal(err)
		}
		for kind, index := range map[string]string{
			"page by expiry": `IDX_tokens_expires"? .*expiresAt`, "page": `tokens_(pkey|1).*id`, "due": `tokens_(pkey|1).*id`,
		} {
			plan := p.explain(t, seen[kind])
			if !regexp.MustCompile(`(?s)`+index).MatchString(plan) || regexp.MustCompile(`Seq Scan|SCAN (tokens|token)\b`).MatchString(plan) {
				t.Errorf("plan of %q:\n%s\nwant the index %s, and no scan", kind, plan, index)
			}
		}
	})
}

// explain returns the plan of a query.
func (p *platform) explain(t *testing.T, query string) string {
	t.Helper()
	prefix := "EXPLAIN "
	if p.config.Dialect == storage.SQLite {
		prefix = "EXPLAIN QUERY PLAN "
	}
	rows, err := p.own.QueryContext(context.Background(), prefix+query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(string)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, *values[len(values)-1].(*string)) //nolint:forcetypeassert // made so above
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(slices.Clip(plan), "\n")
}
