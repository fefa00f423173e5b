package redisqueue_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

const ledgerKey = "takt:{bull}:default:ledger:"

// noRecords are what strangers may leave in the place of a run's record: nothing
// that is packed, a number, and a list of something else.
func noRecords() map[string]string {
	return map[string]string{"nothing packed": "\xc1", "a number": "\x01", "another list": "\x93\x01\x02\x03"}
}

// holders is a ledger with three runs of job-00000 beside one another.
func holders(t *testing.T) (*stage, *journal) {
	t.Helper()
	said := &journal{}
	r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	s := &stage{rawQueue: r, ledger: r.backend.Ledger()}
	syncLedger(s, s.ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(2, "v1")})
	s.claims = claimsOf(claimAll(s, s.ledger, byHand("job-00000", "1"), byHand("job-00000", "2"), byHand("job-00000", "3")))
	return s, said
}

// spoilRun puts something else in the place of the run's record.
func (s *stage) spoilRun(claim domain.Claim, text string) {
	s.Helper()
	if err := s.rdb.HSet(s.Context(), ledgerKey+"runs", claim.Run.Encode(), text).Err(); err != nil {
		s.Fatal(err)
	}
}

// lapse ends the leases of the claims.
func (s *stage) lapse(claims ...domain.Claim) {
	s.Helper()
	for _, claim := range claims {
		s.do("ZADD " + ledgerKey + "leases 1 " + claim.Run.Encode())
	}
}

func skipping(job, id string) domain.Intent {
	intent := byHand(job, id)
	intent.Slot = domain.SlotSkip
	return intent
}

// A run whose record is damaged is given up. Those beside it go on.
func TestLedger_setsARunAsideWhoseRecordIsDamaged(t *testing.T) {
	t.Parallel()
	for name, text := range noRecords() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, said := holders(t)
			s.spoilRun(s.claims[1], text)
			refs := []domain.ClaimRef{s.claims[0].Ref(), s.claims[1].Ref(), s.claims[2].Ref()}
			renewals, err := s.ledger.Renew(t.Context(), refs, time.Minute)
			if diff := cmp.Diff([]domain.Renewal{domain.RenewalHeld, domain.RenewalLost, domain.RenewalHeld}, renewals); diff != "" || err != nil {
				t.Errorf("Renew = %v (-want +got):\n%s", err, diff)
			}
			verdicts := claimAll(t, s.ledger, byHand("job-00000", "2"), byHand("job-00000", "4"))
			if verdicts[0].Kind != domain.Taken || verdicts[1].Kind != domain.Granted {
				t.Errorf("Claim = %q and %q, want the damaged run taken and the other one granted", verdicts[0].Kind, verdicts[1].Kind)
			}
			held, err := s.ledger.Finish(t.Context(), []domain.RunResult{
				{Claim: refs[0], End: domain.EndFinished}, {Claim: refs[1], End: domain.EndFinished},
			})
			if diff := cmp.Diff([]bool{true, false}, held); diff != "" || err != nil {
				t.Errorf("Finish = %v (-want +got):\n%s", err, diff)
			}

			s.lapse(s.claims[1:]...)
			for _, want := range [][]domain.RunKey{{s.claims[2].Run}, nil} {
				var got []domain.RunKey
				taken, err := s.ledger.Abandoned(t.Context(), "ann", time.Minute, 10)
				for _, claim := range taken {
					got = append(got, claim.Run)
				}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("Abandoned = %v (-want +got):\n%s", err, diff)
				}
			}
			if n := said.count("run set aside: its record is damaged"); n != 1 || said.count(s.claims[1].Run.Encode()) != 1 {
				t.Errorf("the run is set aside %d times, want once and named; log:\n%s", n, said.read())
			}
		})
	}
}

// A damaged record holds its slot until its lease is over, and loses none of the
// runs that hold it, too, as often as it is met.
func TestLedger_losesNoHolderBehindADamagedOne(t *testing.T) {
	t.Parallel()
	s, _ := holders(t)
	s.do("HDEL " + ledgerKey + "runs " + s.claims[0].Run.Encode())
	s.spoilRun(s.claims[1], "\xc1")
	blocked := func(id string, by domain.Claim) {
		t.Helper()
		verdicts, err := s.ledger.Claim(t.Context(), []domain.Intent{skipping("job-00000", id)})
		if err != nil || verdicts[0].Kind != domain.Blocked || verdicts[0].By != by.Run {
			t.Errorf("Claim(%s) = %+v, %v, want it blocked by %s", id, verdicts, err, by.Run)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		blocked(id, s.claims[1])
	}
	s.lapse(s.claims[1])
	if _, err := s.ledger.Abandoned(t.Context(), "ann", time.Minute, 10); err != nil {
		t.Errorf("Abandoned = %v, want no error", err)
	}
	blocked("d", s.claims[2])
}

// Whether a tick is decided its job's cursor tells.
func TestLedger_grantsATickWhoseRecordAStrangerWrote(t *testing.T) {
	t.Parallel()
	s, _ := holders(t)
	state := syncLedger(t, s.ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(2, "v1")}).Jobs[0]
	tick := tickAfter(state.Cursor)
	tick.Slot = domain.SlotFree
	s.spoilRun(domain.Claim{Run: tick.Run}, "\xc1")
	for _, want := range []domain.VerdictKind{domain.Granted, domain.Taken} {
		if got := claimAll(t, s.ledger, tick)[0]; got.Kind != want {
			t.Errorf("Claim = %q, want %q", got.Kind, want)
		}
	}
}

// The record of one job keeps no run of another from going on, or ending.
func TestLedger_endsRunsBesideADamagedJob(t *testing.T) {
	t.Parallel()
	s, _ := holders(t)
	other := claimAll(t, s.ledger, byHand("job-00001", "1"))[0].Claim
	s.do("HSET " + ledgerKey + "jobs job-00001 \xc1")
	refs := []domain.ClaimRef{other.Ref(), s.claims[0].Ref()}
	renewals, err := s.ledger.Renew(t.Context(), refs, time.Minute)
	if diff := cmp.Diff([]domain.Renewal{domain.RenewalHeld, domain.RenewalHeld}, renewals); diff != "" || err != nil {
		t.Errorf("Renew = %v (-want +got):\n%s", err, diff)
	}
	finishAll(t, s.ledger, domain.EndFinished, other, s.claims[0])
}

// What stops a batch stops it before it changes anything.
func TestLedger_changesNothingWhenFurtherHoldersAreSomethingElse(t *testing.T) {
	t.Parallel()
	s, _ := holders(t)
	claimAll(t, s.ledger, byHand("job-00001", "1"))
	s.do("RPUSH " + ledgerKey + "holders:job-00001 x")
	before := s.rdb.ZCard(t.Context(), ledgerKey+"holders:job-00000").Val()
	for range 2 {
		_, err := s.ledger.Claim(t.Context(), []domain.Intent{byHand("job-00000", "4"), byHand("job-00001", "2")})
		if err == nil || !strings.Contains(err.Error(), ledgerKey+"holders:job-00001") {
			t.Errorf("Claim = %v, want an error that names the key", err)
		}
	}
	if got := s.rdb.ZCard(t.Context(), ledgerKey+"holders:job-00000").Val(); got != before {
		t.Errorf("job-00000 has %d further holders, want %d as before", got, before)
	}
}

// A job whose record is damaged is passed over and named. Others go on, and it
// begins anew with the next replica that starts.
func TestLedger_passesOverAJobWhoseRecordIsDamaged(t *testing.T) {
	t.Parallel()
	for name, text := range noRecords() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, said := holders(t)
			definitions := manyDefinitions(2, "v1")
			first := syncLedger(t, s.ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions})
			if err := s.rdb.HSet(t.Context(), ledgerKey+"jobs", "job-00000", text).Err(); err != nil {
				t.Fatal(err)
			}
			other := byHand("job-00001", "1")
			tick := tickAfter(first.Jobs[0].Cursor)
			for range 2 {
				verdicts := claimAll(t, s.ledger, tick, byHand("job-00000", "9"), other)
				if v := verdicts[0]; v.Kind != domain.Taken || !v.Cursor.Equal(tick.Move.To) || v.Owner != "" {
					t.Errorf("the damaged job's tick is %+v, want it taken and the cursor behind it", v)
				}
				if verdicts[1].Kind != domain.Superseded || verdicts[2].Kind == domain.Superseded {
					t.Errorf("Claim = %q and %q, want the run superseded and the other job's not", verdicts[1].Kind, verdicts[2].Kind)
				}
			}
			if n := said.count("job passed over: its record is damaged"); n != 1 {
				t.Errorf("the job is named %d times, want once; log:\n%s", n, said.read())
			}
			syncLedger(t, s.ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions, Since: first.Version})

			began := syncLedger(t, s.ledger, domain.SyncRequest{Replica: "bob", Definitions: definitions})
			if len(began.Jobs) != 2 || began.Jobs[0].Superseded || began.Jobs[1].Superseded {
				t.Fatalf("Sync of a replica that starts = %+v, want both jobs", began.Jobs)
			}
			for _, state := range began.Jobs {
				if state.Job == "job-00000" {
					tick = tickAfter(state.Cursor)
				}
			}
			if v := claimAll(t, s.ledger, tick)[0]; v.Kind != domain.Granted {
				t.Errorf("the next tick of the job is %q, want it granted", v.Kind)
			}
			news := syncLedger(t, s.ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions, Since: first.Version})
			if len(news.Jobs) == 0 {
				t.Error("the other replica hears nothing of the job, want it to")
			}
		})
	}
}

// What is gone of a job comes back with the next replica that starts.
func TestLedger_beginsAJobAnewWhoseRecordIsGone(t *testing.T) {
	t.Parallel()
	s, _ := holders(t)
	definitions := manyDefinitions(2, "v1")
	s.do("HDEL " + ledgerKey + "jobs job-00001")
	if got := syncLedger(t, s.ledger, domain.SyncRequest{Replica: "bob", Definitions: definitions}).Jobs; len(got) != 2 {
		t.Errorf("Sync = %+v, want both jobs", got)
	}
}
