package tokens_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/tokens"
)

// TestSQLiteTimesOfAllWritersCount has times as the platform's mappers, its
// column defaults and people write them.
func TestSQLiteTimesOfAllWritersCount(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.SQLite)
	p.createTable(t)
	now := time.Now().UTC()
	// The farthest east, where for most of the day it is tomorrow.
	zone := time.FixedZone("", 14*60*60)
	want := map[string]string{}
	for name, form := range map[string]func(time.Time) any{
		"milliseconds": func(t time.Time) any { return t.Format("2006-01-02 15:04:05.000") },
		"seconds":      func(t time.Time) any { return t.Format("2006-01-02 15:04:05") },
		"iso":          func(t time.Time) any { return t.Format("2006-01-02T15:04:05.000Z") },
		"offset":       func(t time.Time) any { return t.In(zone).Format("2006-01-02 15:04:05.000-07:00") },
		"integer":      func(t time.Time) any { return t.UnixMilli() },
		"real":         func(t time.Time) any { return float64(t.UnixMilli()) + 0.5 },
	} {
		p.insert(t, name+" past", "api_key", "ACTIVE", form(now.Add(-2*time.Second)), nil)
		p.insert(t, name+" future", "api_key", "ACTIVE", form(now.Add(time.Hour)), nil)
		want[name+" past"], want[name+" future"] = "EXPIRED", "ACTIVE"
	}
	p.insert(t, "no time", "api_key", "ACTIVE", "soon", nil)
	p.insert(t, "empty", "api_key", "ACTIVE", "", nil)
	p.insert(t, "blob", "api_key", "ACTIVE", []byte("2000-01-01"), nil)
	want["no time"], want["empty"], want["blob"] = "ACTIVE", "ACTIVE", "ACTIVE"
	if _, err := tokens.Expire(t.Context(), p.open(t), time.UTC); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.statuses(t)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestSQLiteTimesAreWrittenAsThePlatformDoes(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.SQLite)
	p.createTable(t)
	p.insert(t, "idle", "api_key", "ACTIVE", nil, stamp(time.Now().Add(-long)))
	if _, err := tokens.Revoke(t.Context(), p.open(t), time.UTC, map[string]time.Duration{"api_key": time.Hour}); err != nil {
		t.Fatal(err)
	}
	for column, form := range map[string]string{
		`"revokedAt"`: "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]",
		`"updatedAt"`: "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]",
	} {
		if p.count(t, `SELECT count(*) FROM tokens WHERE typeof(`+column+`) = 'text' AND `+column+` GLOB $1
			AND abs(julianday(`+column+`) - julianday('now')) < 0.01`, form) != 1 {
			t.Errorf("%s is not like %s, or not now", column, form)
		}
	}
}

// TestPostgresTimesWithoutAZoneAreThoseOfThePlatform has a platform whose
// processes, and with them its times, are ahead of UTC or behind it.
func TestPostgresTimesWithoutAZoneAreThoseOfThePlatform(t *testing.T) {
	t.Parallel()
	for name, hours := range map[string]int{"ahead": 5, "UTC": 0, "behind": -7} {
		for _, columns := range []string{"timestamp", "timestamptz"} {
			t.Run(name+" "+columns, func(t *testing.T) {
				t.Parallel()
				p := newPlatform(t, storage.Postgres)
				p.createTable(t)
				if columns == "timestamptz" {
					p.exec(t, `ALTER TABLE tokens ALTER "expiresAt" TYPE timestamptz, ALTER "lastUsedAt" TYPE timestamptz,
						ALTER "revokedAt" TYPE timestamptz, ALTER "updatedAt" TYPE timestamptz`)
				}
				zone := time.FixedZone(name, hours*60*60)
				at := func(d time.Duration) string {
					return time.Now().Add(d).In(zone).Format("2006-01-02 15:04:05.000-07:00")
				}
				p.insert(t, "past", "api_key", "ACTIVE", at(-time.Minute), nil)
				p.insert(t, "future", "api_key", "ACTIVE", at(10*time.Minute), nil)
				p.insert(t, "idle", "refresh_token", "ACTIVE", nil, at(-61*time.Minute))
				p.insert(t, "used", "refresh_token", "ACTIVE", nil, at(-50*time.Minute))
				db := p.open(t)
				if count, err := tokens.Expire(t.Context(), db, zone); err != nil || count != 1 {
					t.Errorf("Expire = %d, %v; want 1", count, err)
				}
				if _, err := tokens.Revoke(t.Context(), db, zone, map[string]time.Duration{"refresh_token": time.Hour}); err != nil {
					t.Fatal(err)
				}
				want := map[string]string{"past": "EXPIRED", "future": "ACTIVE", "idle": "REVOKED", "used": "ACTIVE"}
				if diff := cmp.Diff(want, p.statuses(t)); diff != "" {
					t.Errorf("statuses (-want +got):\n%s", diff)
				}
				// What a process of the platform would take for the time since.
				ago := p.count(t, `SELECT abs(extract(epoch FROM $1::`+columns+` - greatest("revokedAt", "updatedAt")))::bigint
					FROM tokens WHERE "tokenHash" = 'idle'`, at(0))
				if ago > 60 {
					t.Errorf("revokedAt and updatedAt are %d s away from now, in the platform's zone", ago)
				}
			})
		}
	}
}

func TestPostgresTimesThatAreNoneAreLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.Postgres)
	p.createTable(t)
	p.insert(t, "for ever", "api_key", "ACTIVE", "infinity", nil)
	p.insert(t, "since ever", "api_key", "ACTIVE", "-infinity", nil)
	if count, err := tokens.Expire(t.Context(), p.open(t), time.UTC); err != nil || count != 1 {
		t.Errorf("Expire = %d, %v; want 1", count, err)
	}
	if diff := cmp.Diff(map[string]string{"for ever": "ACTIVE", "since ever": "EXPIRED"}, p.statuses(t)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}
