package tokens_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/tokens"
)

// many is the number of rows in Postgres; for SQLite see manySQLite.
const many = 30_000

// afterUpdate calls a function after each update of the database.
type afterUpdate func()

func (afterUpdate) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (after afterUpdate) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	if strings.Contains(event.Query, "UPDATE") {
		after()
	}
}

// TestThePlatformIsNotKeptWaiting has the platform write to every token that
// was just looked at, and to all that come, while a clean-up is between two
// steps: nothing is locked then.
func TestThePlatformIsNotKeptWaiting(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		const pages = 3
		p.fill(t, pages*tokens.PageSize)
		db := p.open(t)
		foreign, err := p.own.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close() //nolint:errcheck // asked and done
		impatient := "SET lock_timeout = 1"
		if p.config.Dialect == storage.SQLite {
			impatient = "PRAGMA busy_timeout = 0"
		}
		if _, err := foreign.ExecContext(t.Context(), impatient); err != nil {
			t.Fatal(err)
		}
		steps := 0
		db.Bun().AddQueryHook(afterUpdate(func() { //nolint:staticcheck // there is no other way yet
			steps++
			if _, err := foreign.ExecContext(t.Context(), `UPDATE tokens SET "usageCount" = "usageCount" + 1`); err != nil {
				t.Errorf("the platform had to wait after step %d: %v", steps, err)
			}
		}))
		if count, err := tokens.Expire(t.Context(), db, time.UTC); err != nil || count != pages*tokens.PageSize {
			t.Errorf("Expire = %d, %v; want all", count, err)
		}
		if steps != pages || p.count(t, `SELECT min("usageCount") FROM tokens`) != pages {
			t.Errorf("%d steps, want %d, and as many updates of the platform", steps, pages)
		}
	})
}

// TestThePlatformWorksBesideTheCleanUp has the platform use tokens all the
// time while very many of them are revoked.
func TestThePlatformWorksBesideTheCleanUp(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		rows := p.many
		p.fill(t, rows)
		db := p.open(t)
		steps := make(chan struct{}, 1)
		db.Bun().AddQueryHook(afterPage(func() { //nolint:staticcheck // there is no other way yet
			select {
			case steps <- struct{}{}:
			default:
			}
		}))
		used := int64(0)
		var using sync.WaitGroup
		using.Go(func() {
			n := 0
			for range steps {
				n = (n + 30011) % rows
				result, err := p.own.ExecContext(context.Background(),
					`UPDATE tokens SET "usageCount" = "usageCount" + 1, "version" = "version" + 1 WHERE "tokenHash" = $1`, "api_key"+strconv.Itoa(n+1))
				if err != nil {
					t.Errorf("the platform's update: %v", err)
					continue
				}
				rows, _ := result.RowsAffected()
				used += rows
			}
		})
		// Tokens that the platform keeps for the moment are left to the next run.
		revoked := int64(0)
		for revoked < int64(rows) && !t.Failed() {
			counts, err := tokens.Revoke(t.Context(), db, time.UTC, map[string]time.Duration{"api_key": day})
			if err != nil {
				t.Error(err)
			}
			revoked += counts["api_key"]
		}
		close(steps)
		using.Wait()
		if revoked != int64(rows) || p.count(t, `SELECT count(*) FROM tokens WHERE "status" = 'REVOKED' AND "version" = 2 + "usageCount"`) != int64(rows) {
			t.Errorf("revoked %d, want %d, each once and without loss of the platform's updates", revoked, rows)
		}
		if got := p.count(t, `SELECT sum("usageCount") FROM tokens`); got != used || used == 0 {
			t.Errorf("the platform used tokens %d times, the table says %d; want the same, above 0", used, got)
		}
	})
}

func TestTwoReplicasChangeEachTokenOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		rows := min(p.many, 20*tokens.PageSize)
		p.fill(t, rows)
		var mu sync.Mutex
		total := int64(0)
		var replicas sync.WaitGroup
		for range 2 {
			db := p.open(t)
			replicas.Go(func() {
				count, err := tokens.Expire(t.Context(), db, time.UTC)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total += count
			})
		}
		replicas.Wait()
		// What one replica kept while the other came by, that one changes.
		if total != int64(rows) || p.count(t, `SELECT count(*) FROM tokens WHERE "status" = 'EXPIRED' AND "version" = 2`) != int64(rows) {
			t.Errorf("expired %d, want %d, each once", total, rows)
		}
	})
}

func TestTokensThatThePlatformKeepsAreLeftToTheNextRun(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.Postgres)
	p.createTable(t)
	p.fill(t, 10)
	db := p.open(t)
	kept, err := p.own.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Rollback() //nolint:errcheck // ended before
	if _, err := kept.ExecContext(t.Context(), `SELECT 1 FROM tokens WHERE "tokenHash" IN ('api_key3', 'api_key7') FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if count, err := tokens.Expire(t.Context(), db, time.UTC); err != nil || count != 8 {
		t.Errorf("Expire = %d, %v; want 8 at once", count, err)
	}
	if err := kept.Rollback(); err != nil {
		t.Fatal(err)
	}
	if count, err := tokens.Expire(t.Context(), db, time.UTC); err != nil || count != 2 {
		t.Errorf("Expire = %d, %v; want the other 2", count, err)
	}
}

// TestATokenThatIsUsedMeanwhileStays has the platform use a token after the
// clean-up has found it idle and before it is revoked.
func TestATokenThatIsUsedMeanwhileStays(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		p.insert(t, "idle", "api_key", "ACTIVE", nil, stamp(time.Now().Add(-long)))
		p.insert(t, "used", "api_key", "ACTIVE", nil, stamp(time.Now().Add(-long)))
		db := p.open(t)
		var once sync.Once
		db.Bun().AddQueryHook(afterPage(func() { //nolint:staticcheck // there is no other way yet
			once.Do(func() {
				p.exec(t, `UPDATE tokens SET "lastUsedAt" = $1 WHERE "tokenHash" = 'used'`, stamp(time.Now()))
			})
		}))
		counts, err := tokens.Revoke(t.Context(), db, time.UTC, map[string]time.Duration{"api_key": day})
		if err != nil || counts["api_key"] != 1 {
			t.Errorf("Revoke = %v, %v; want 1", counts, err)
		}
		if got := p.statuses(t); got["used"] != "ACTIVE" || got["idle"] != "REVOKED" {
			t.Errorf("statuses = %v, want the used one active", got)
		}
	})
}

// afterPage calls a function after each page that was read.
type afterPage func()

func (afterPage) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (after afterPage) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	if strings.Contains(event.Query, "LIMIT") {
		after()
	}
}

var errEnough = errors.New("enough")

func TestARunEndsBetweenTwoStepsAndTheNextGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		const rows = 2*tokens.PageSize + 1
		p.fill(t, rows)
		db := p.open(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		db.Bun().AddQueryHook(afterUpdate(func() { cancel(errEnough) })) //nolint:staticcheck // there is no other way yet
		count, err := tokens.Expire(ctx, db, time.UTC)
		if !errors.Is(err, errEnough) || count != tokens.PageSize {
			t.Errorf("Expire = %d, %v; want one step, and the cause", count, err)
		}
		count, err = tokens.Expire(t.Context(), db, time.UTC)
		if err != nil || count != rows-tokens.PageSize {
			t.Errorf("Expire = %d, %v; want the rest", count, err)
		}
	})
}

func TestTimesThatCannotBePassedEndTheRun(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.SQLite)
	p.createTable(t)
	p.exec(t, `INSERT INTO tokens ("id", "tokenHash", "tokenType", "expiresAt", "version", "userId") VALUES ('a', 'a', 'api_key', CAST(x'31ff' AS text), 1, 'u')`)
	if _, err := tokens.Expire(t.Context(), p.open(t), time.UTC); err == nil || !strings.Contains(err.Error(), `token "a" cannot be passed`) {
		t.Errorf("Expire = %v, want an error that names the token", err)
	}
}
