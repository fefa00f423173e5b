package domain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func TestRunKeyReadsAsTextAndAsJobID(t *testing.T) {
	t.Parallel()
	planned := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		key           domain.RunKey
		text          string
		id, namespace domain.JobID
	}{
		{
			domain.TickKey("report", planned.In(time.FixedZone("east", 3600))),
			"report@2026-01-01T03:00:00Z", "tick.report.1767236400000", "tick.stage@report.1767236400000",
		},
		{
			domain.RunKey{Job: "report", Origin: domain.OriginManual, OriginID: "7f3a"},
			"report@manual:7f3a", "manual.report.0@7f3a", "manual.stage@report.0@7f3a",
		},
		{
			domain.RunKey{Job: "report", Origin: domain.OriginManual, OriginID: "w1-1", PlannedMS: planned.UnixMilli()},
			"report@manual:w1-1@2026-01-01T03:00:00Z", "manual.report.1767236400000@w1-1", "manual.stage@report.1767236400000@w1-1",
		},
		{
			domain.RunKey{Job: "report", Origin: domain.OriginBackfill, OriginID: "b1", PlannedMS: planned.UnixMilli()},
			"report@backfill:b1@2026-01-01T03:00:00Z", "backfill.report.1767236400000@b1", "backfill.stage@report.1767236400000@b1",
		},
		{
			domain.RunKey{Job: "report", Origin: domain.OriginStart, OriginID: "w1"},
			"report@start:w1", "start.report.0@w1", "start.stage@report.0@w1",
		},
	} {
		if got := c.key.String(); got != c.text {
			t.Errorf("String() = %s, want %s", got, c.text)
		}
		if got := c.key.JobID(domain.DefaultNamespace); got != c.id {
			t.Errorf("JobID(default) = %s, want %s", got, c.id)
		}
		if got := c.key.JobID("stage"); got != c.namespace {
			t.Errorf("JobID(stage) = %s, want %s", got, c.namespace)
		}
		if err := c.key.JobID("stage").Validate(); err != nil {
			t.Errorf("JobID(stage).Validate() = %v, want none", err)
		}
	}
}

// Two runs must never share a text or a job: the second would take no effect.
func TestRunKeysNeverShareTheirTextOrJobID(t *testing.T) {
	t.Parallel()
	texts, ids := map[string]string{}, map[domain.JobID]string{}
	names := []string{"a", "b", "a.b", "b.a", "a.1", "1", "a.1.1", "tick", "manual", "a-b", "a/b", "start.a"}
	for _, job := range names {
		for _, origin := range []domain.Origin{domain.OriginSchedule, domain.OriginManual, domain.OriginBackfill, domain.OriginStart} {
			for _, originID := range names {
				for _, ms := range []int64{0, 1, 11, 1767236400000} {
					key := domain.RunKey{Job: job, Origin: origin, OriginID: originID, PlannedMS: ms}
					if origin == domain.OriginSchedule {
						key.OriginID = ""
					}
					what := fmt.Sprintf("%#v", key)
					if other, taken := texts[key.String()]; taken && other != what {
						t.Fatalf("%s and %s are both %s", what, other, key)
					}
					texts[key.String()] = what
					for _, namespace := range []string{"default", "a", "1", "stage"} {
						id, owner := key.JobID(namespace), namespace+" "+what
						if other, taken := ids[id]; taken && other != owner {
							t.Fatalf("%s and %s both make job %s", owner, other, id)
						}
						ids[id] = owner
					}
				}
			}
		}
	}
}

func TestPlannedIsInUTC(t *testing.T) {
	t.Parallel()
	planned := time.Date(2026, 3, 29, 2, 30, 0, 5e6, time.FixedZone("west", -7200))
	got := domain.TickKey("report", planned).Planned()
	if !got.Equal(planned) || got.Location() != time.UTC {
		t.Errorf("Planned() = %s, want %s in UTC", got, planned)
	}
}

func TestClaimAndLeaseAreNamedByTheirTokens(t *testing.T) {
	t.Parallel()
	claim := domain.Claim{Run: domain.RunKey{Job: "report"}, Token: 7}
	if got, want := claim.Ref(), (domain.ClaimRef{Run: claim.Run, Token: 7}); got != want {
		t.Errorf("Ref() = %v, want %v", got, want)
	}
	lease := domain.Lease{Job: domain.Job{ID: "5"}, Token: "t"}
	if got, want := lease.Ref(), (domain.LeaseRef{ID: "5", Token: "t"}); got != want {
		t.Errorf("Ref() = %v, want %v", got, want)
	}
}

func FuzzRunKeyIsDecodedAsItWasEncoded(f *testing.F) {
	f.Add("report", "schedule", "", int64(1))
	f.Add("a/b.c", "manual", "7f3a@:x", int64(0))
	f.Add("a", "backfill", "@", int64(-5))
	f.Add("a", "start", "x", int64(0))
	f.Add("a", "guess", "x", int64(0))
	f.Fuzz(func(t *testing.T, job, origin, id string, planned int64) {
		run := domain.RunKey{Job: job, Origin: domain.Origin(origin), OriginID: id, PlannedMS: planned}
		got, err := domain.DecodeRunKey(run.Encode())
		if strings.Contains(origin, ":") || domain.ValidateScheduledJobName(job) != nil {
			return
		}
		if known := run.Origin.Known(); known != (err == nil) || (known && got != run) {
			t.Errorf("DecodeRunKey(%q) = %+v, %v, want %+v if its origin is known", run.Encode(), got, err, run)
		}
	})
}

func TestTextThatNamesNoRunIsInvalid(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "schedule", "schedule:", "schedule:1", "schedule:x:report", "guess:1:report"} {
		if run, err := domain.DecodeRunKey(text); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("DecodeRunKey(%q) = %+v, %v, want ErrInvalid", text, run, err)
		}
	}
}
