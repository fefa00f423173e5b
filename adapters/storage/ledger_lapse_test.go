package storage_test

import (
	"strings"
	"testing"
	"time"
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
			}
		}
		if looks != step.looks {
			t.Errorf("%s: %d looks at all so far, want %d", step.name, looks, step.looks)
		}
	}
}
