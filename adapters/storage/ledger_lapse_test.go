package storage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// A look at all open claims passes by what ended since the latest vacuum.
func TestLedger_looksAtOpenClaimsWhenOneMayHaveLapsed(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ledger := db.Ledger("")
	syncAs(t, ledger, "ann", manyDefinitions(1))
	recorded := ledger.Record()
	for _, step := range []struct {
		name, replica string
		lease         time.Duration
		looks         int
	}{
		{name: "the first", replica: "ann", lease: time.Minute, looks: 1},
		{name: "the next", replica: "ann", lease: time.Minute, looks: 1},
		{name: "one for another replica", replica: "bob", lease: time.Minute, looks: 2},
		{name: "the next for that one", replica: "bob", lease: time.Minute, looks: 2},
		{name: "one after the lease", replica: "bob", lease: time.Nanosecond, looks: 3},
	} {
		if claims, err := ledger.Abandoned(t.Context(), step.replica, step.lease, 1); err != nil || len(claims) > 0 {
			t.Fatalf("Abandoned = %v, %v, want nothing", claims, err)
		}
		looks := 0
		for _, s := range recorded() {
			if strings.Contains(s.Text, "min(c.deadline_us)") {
				looks++
				if strings.Contains(s.Text, "takt_now_us") {
					t.Errorf("a look asks more than once what time it is, a claim may lapse in between:%s", s.Text)
				}
			}
		}
		if looks != step.looks {
			t.Errorf("%s: %d looks at all so far, want %d", step.name, looks, step.looks)
		}
	}
}

// A replica that registers a job may take its claims over at once, even if it does so
// while it looks.
func TestLedger_findsLapsedClaimsOfJobsThatItRegisters(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]bool{"after a look": false, "while it looks": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const lease = 100 * time.Millisecond
			db := openSQLite(t)
			ann, bob, definitions := db.Ledger(""), db.Ledger(""), manyDefinitions(2)
			start := cursorsOf(syncAs(t, ann, "ann", definitions))
			syncAs(t, bob, "bob", definitions[:1])
			to := start[definitions[1].Job].Add(time.Second)
			claimed, err := ann.Claim(t.Context(), []domain.Intent{{
				Run: domain.TickKey(definitions[1].Job, to), Replica: "ann", Fingerprint: "v1", Slot: domain.SlotFree,
				Move: &domain.CursorMove{From: start[definitions[1].Job], To: to}, Lease: lease,
			}})
			if err != nil || claimed[0].Kind != domain.Granted {
				t.Fatalf("Claim = %v, %v, want it granted", claimed, err)
			}
			<-time.After(2 * lease)
			register := func() { syncAs(t, bob, "bob", definitions) }
			if meanwhile {
				bob.AfterNextLook(register)
			}
			if claims, err := bob.Abandoned(t.Context(), "bob", time.Hour, 10); err != nil || len(claims) > 0 {
				t.Fatalf("Abandoned = %v, %v, want nothing", claims, err)
			}
			if !meanwhile {
				register()
			}
			if claims, err := bob.Abandoned(t.Context(), "bob", time.Hour, 10); err != nil || len(claims) != 1 {
				t.Errorf("Abandoned = %v, %v, want the claim of the job registered since", claims, err)
			}
		})
	}
}
