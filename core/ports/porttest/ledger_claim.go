package porttest

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
)

func claimCases() []ledgerCase {
	return []ledgerCase{
		{"one of several replicas gets a tick", (*ledgerStage).grantsATickOnce},
		{"a granted claim tells what it is", (*ledgerStage).describesTheClaim},
		{"a step from another place is refused and moves nothing", (*ledgerStage).refusesAStaleCursor},
		{"a later intent of a batch sees the earlier ones", (*ledgerStage).chainsABatch},
		{"a move alone decides its ticks for all", (*ledgerStage).movesWithoutClaiming},
		{"a cursor never moves backwards", (*ledgerStage).refusesABackwardMove},
		{"one claim may decide several ticks", (*ledgerStage).decidesAllTicksOfAStep},
		{"a finished tick is never granted again", (*ledgerStage).refusesAFinishedTick},
		{"a run by hand is granted once, even when it is over", (*ledgerStage).grantsAManualRunOnce},
		{"a run by hand that was blocked is over", (*ledgerStage).remembersABlockedManualRun},
		{"runs of other origins leave the cursor alone", (*ledgerStage).leavesTheCursorToTicks},
		{"tokens grow over all jobs and runs", (*ledgerStage).growsTokens},
		{"a job that nobody registered is superseded", (*ledgerStage).refusesUnknownJobs},
		{"namespaces do not meet", (*ledgerStage).separatesNamespaces},
		{"an ended context claims nothing", (*ledgerStage).respectsTheContext},
	}
}

func (s *ledgerStage) grantsATickOnce() {
	verdicts := s.claimAll(s.tick("ann", 1), s.tick("bob", 1), s.tick("cyd", 1))
	if verdicts[0].Kind != domain.Granted {
		s.Fatalf("the first claim is %q, want granted", verdicts[0].Kind)
	}
	for i, v := range verdicts[1:] {
		if v.Kind != domain.Taken || v.Owner != "ann" || !v.Cursor.Equal(s.at(1)) {
			s.Errorf("claim %d is %q by %q, cursor %s, want taken by ann, cursor %s", i+2, v.Kind, v.Owner, v.Cursor, s.at(1))
		}
	}
}

func (s *ledgerStage) describesTheClaim() {
	intent := s.tick("ann", 1)
	before := s.now()
	got := s.want(domain.Granted, intent).Claim
	if after := s.now(); got.GrantedAt.Before(before) || got.GrantedAt.After(after) {
		s.Errorf("the claim says it was granted at %s, want between %s and %s", got.GrantedAt, before, after)
	}
	want := domain.Claim{
		Run: intent.Run, Token: got.Token, Phase: domain.PhaseClaimed,
		Lease: intent.Lease, GrantedAt: got.GrantedAt, Fingerprint: intent.Fingerprint,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Token == 0 {
		s.Errorf("the claim differs (-want +got), token %d:\n%s", got.Token, diff)
	}
}

func (s *ledgerStage) refusesAStaleCursor() {
	s.want(domain.Granted, s.tick("ann", 1))
	stale := s.tick("bob", 2)
	stale.Move.From = s.base
	if v := s.want(domain.Taken, stale); !v.Cursor.Equal(s.at(1)) || v.Owner != "ann" {
		s.Errorf("the stale claim sees cursor %s of %q, want %s of ann", v.Cursor, v.Owner, s.at(1))
	}
	s.wantCursor(s.at(1))
	s.want(domain.Granted, s.tick("bob", 2))
}

func (s *ledgerStage) chainsABatch() {
	for i, v := range s.claimAll(s.tick("ann", 1), s.tick("ann", 2), s.tick("ann", 3)) {
		if v.Kind != domain.Granted || !v.Cursor.Equal(s.at(i+1)) {
			s.Errorf("link %d is %q, cursor %s, want granted, %s", i, v.Kind, v.Cursor, s.at(i+1))
		}
	}
	s.wantCursor(s.at(3))
}

func (s *ledgerStage) movesWithoutClaiming() {
	move := s.tick("ann", 1)
	move.MoveOnly = true
	if v := s.want(domain.Moved, move); v.Claim.Token != 0 {
		s.Errorf("the move has token %d, want none", v.Claim.Token)
	}
	if v := s.want(domain.Taken, s.tick("bob", 1)); v.Owner != "ann" {
		s.Errorf("the moved tick is taken by %q, want ann", v.Owner)
	}
	s.want(domain.Taken, move)
	s.expire()
	if claims := s.abandoned("bob", 10); len(claims) != 0 {
		s.Errorf("a move leaves %d claims, want none", len(claims))
	}
}

func (s *ledgerStage) refusesABackwardMove() {
	s.want(domain.Granted, s.tick("ann", 1))
	back := s.tick("ann", 1)
	back.Move = &domain.CursorMove{From: s.at(1), To: s.base}
	verdicts, err := s.ledger.Claim(s.Context(), []domain.Intent{back})
	if !errors.Is(err, domain.ErrInvalid) {
		s.Errorf("Claim(backwards) = %v, %v, want ErrInvalid", verdicts, err)
	}
	s.wantCursor(s.at(1))
}

func (s *ledgerStage) decidesAllTicksOfAStep() {
	latest := s.tick("ann", 5)
	latest.Move.From = s.base
	s.want(domain.Granted, latest)
	for n := 1; n <= 5; n++ {
		s.want(domain.Taken, s.tick("bob", n))
	}
	s.want(domain.Granted, s.tick("bob", 6))
}

func (s *ledgerStage) refusesAFinishedTick() {
	tick := s.tick("ann", 1)
	s.wantFinish(true, s.want(domain.Granted, tick).Claim, domain.EndFired)
	s.want(domain.Taken, tick)
	s.want(domain.Taken, s.tick("bob", 1))
}

func (s *ledgerStage) grantsAManualRunOnce() {
	claim := s.want(domain.Granted, inSlot(domain.SlotFree, s.manual("ann", "7f3a"))).Claim
	if v := s.want(domain.Taken, s.manual("bob", "7f3a")); v.Owner != "ann" {
		s.Errorf("the run is taken by %q, want ann", v.Owner)
	}
	s.wantFinish(true, claim, domain.EndFinished)
	s.want(domain.Taken, s.manual("bob", "7f3a"))
	s.want(domain.Granted, s.manual("bob", "7f3b"))
}

func (s *ledgerStage) remembersABlockedManualRun() {
	holder := s.want(domain.Granted, inSlot(domain.SlotSkip, s.manual("ann", "1"))).Claim
	s.wantBlocked(inSlot(domain.SlotSkip, s.manual("bob", "2")), holder, "ann")
	s.wantFinish(true, holder, domain.EndFinished)
	s.want(domain.Taken, inSlot(domain.SlotSkip, s.manual("bob", "2")))
}

func (s *ledgerStage) leavesTheCursorToTicks() {
	backfill := s.manual("ann", "jan")
	backfill.Run.Origin, backfill.Run.PlannedMS = domain.OriginBackfill, s.base.Add(-time.Hour).UnixMilli()
	if v := s.want(domain.Granted, backfill); !v.Cursor.Equal(s.base) {
		s.Errorf("the backfill moved the cursor to %s, want %s", v.Cursor, s.base)
	}
	start := s.manual("ann", "deploy-1")
	start.Run.Origin = domain.OriginStart
	s.want(domain.Granted, start)
	s.wantCursor(s.base)
}

func (s *ledgerStage) growsTokens() {
	s.sync("ann", stagePrint, 0, stageJob, "other")
	other := s.manual("ann", "1")
	other.Run.Job = "other"
	last := domain.ClaimToken(0)
	for _, intent := range []domain.Intent{s.tick("ann", 1), other, s.manual("bob", "1"), s.tick("cyd", 2)} {
		token := s.want(domain.Granted, intent).Claim.Token
		if token <= last {
			s.Errorf("the token of %s is %d after %d, want a larger one", intent.Run, token, last)
		}
		last = token
	}
}

func (s *ledgerStage) refusesUnknownJobs() {
	intent := s.manual("ann", "1")
	intent.Run.Job = "nobody"
	s.want(domain.Superseded, intent)
}

func (s *ledgerStage) separatesNamespaces() {
	here, hereSwitch := s.ledger, s.schedule
	s.ledger, s.schedule = s.harness.Open(s.T, "elsewhere")
	s.base = s.register("ann", stagePrint).Cursor
	if err := s.schedule.PauseJob(s.Context(), stageJob); err != nil {
		s.Fatalf("PauseJob = %v, want no error", err)
	}
	manual := s.manual("ann", "1")
	s.want(domain.Granted, manual)

	s.ledger, s.schedule = here, hereSwitch
	if s.register("ann", stagePrint).Paused {
		s.Error("the job is paused by another namespace")
	}
	s.want(domain.Granted, manual)
}

func (s *ledgerStage) respectsTheContext() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if verdicts, err := s.ledger.Claim(ctx, []domain.Intent{s.tick("ann", 1)}); err == nil {
		s.Errorf("Claim(ended context) = %v, want an error", verdicts)
	}
	s.want(domain.Granted, s.tick("bob", 1))
}
