package tokens_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/tokens"
)

const (
	day  = 24 * time.Hour
	long = 1000 * time.Hour
)

func TestExpiredTokensExpire(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		now := time.Now()
		past, future := stamp(now.Add(-time.Second)), stamp(now.Add(time.Hour))
		p.insert(t, "past", "refresh_token", "ACTIVE", past, past)
		p.insert(t, "long past", "access_token", "ACTIVE", stamp(now.Add(-long)), nil)
		p.insert(t, "future", "refresh_token", "ACTIVE", future, past)
		p.insert(t, "never", "api_key", "ACTIVE", nil, past)
		p.insert(t, "revoked", "refresh_token", "REVOKED", past, past)
		p.insert(t, "rotated", "refresh_token", "ROTATED", past, past)
		p.insert(t, "expired", "refresh_token", "EXPIRED", past, past)
		db := p.open(t)
		for run, want := range []int64{2, 0} {
			if count, err := tokens.Expire(t.Context(), db, time.UTC); err != nil || count != want {
				t.Errorf("run %d: Expire = %d, %v; want %d", run+1, count, err, want)
			}
		}
		want := map[string]string{
			"past": "EXPIRED", "long past": "EXPIRED", "future": "ACTIVE", "never": "ACTIVE",
			"revoked": "REVOKED", "rotated": "ROTATED", "expired": "EXPIRED",
		}
		if diff := cmp.Diff(want, p.statuses(t)); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		changed, kept := p.token(t, "past"), p.token(t, "expired")
		if changed.Version != 2 || !changed.Updated || changed.RevokedAt != nil || changed.Reason != nil {
			t.Errorf("expired token = %+v, want version 2, updated, not revoked", changed)
		}
		if kept.Version != 1 || kept.Updated {
			t.Errorf("token that had expired before = %+v, want it as it was", kept)
		}
	})
}

func TestInactiveTokensAreRevokedByType(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		now := time.Now()
		ago := func(d time.Duration) string { return stamp(now.Add(-d)) }
		p.insert(t, "idle refresh", "refresh_token", "ACTIVE", nil, ago(31*day))
		p.insert(t, "used refresh", "refresh_token", "ACTIVE", nil, ago(29*day))
		p.insert(t, "unused refresh", "refresh_token", "ACTIVE", nil, nil)
		p.insert(t, "rotated refresh", "refresh_token", "ROTATED", nil, ago(31*day))
		p.insert(t, "idle key", "api_key", "ACTIVE", nil, ago(91*day))
		p.insert(t, "used key", "api_key", "ACTIVE", nil, ago(31*day))
		p.insert(t, "idle access", "access_token", "ACTIVE", nil, ago(1000*day))
		thresholds := map[string]time.Duration{"refresh_token": 30 * day, "api_key": 90 * day, "o'hara": day}
		db := p.open(t)
		counts, err := tokens.Revoke(t.Context(), db, time.UTC, thresholds)
		if diff := cmp.Diff(map[string]int64{"refresh_token": 1, "api_key": 1, "o'hara": 0}, counts); err != nil || diff != "" {
			t.Errorf("Revoke: %v; counts (-want +got):\n%s", err, diff)
		}
		want := map[string]string{
			"idle refresh": "REVOKED", "used refresh": "ACTIVE", "unused refresh": "ACTIVE", "rotated refresh": "ROTATED",
			"idle key": "REVOKED", "used key": "ACTIVE", "idle access": "ACTIVE",
		}
		if diff := cmp.Diff(want, p.statuses(t)); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		got := p.token(t, "idle key")
		if got.Version != 2 || !got.Updated || got.RevokedAt == nil || got.Reason != "Inactivity timeout" {
			t.Errorf("revoked token = %+v, want version 2, updated, revoked with the reason", got)
		}
	})
}

func TestNoThresholdsRevokeNothing(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.SQLite)
	p.exec(t, "CREATE TABLE users (id integer)")
	if counts, err := tokens.Revoke(t.Context(), p.open(t), time.UTC, nil); err != nil || len(counts) != 0 {
		t.Errorf("Revoke = %v, %v; want nothing", counts, err)
	}
}
