package porttest

import (
	"context"
	"errors"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func refuseCases() []ledgerCase {
	return []ledgerCase{
		{"an intent that makes no sense spoils its batch", (*ledgerStage).refusesNonsense},
		{"a claim without a lease is refused", (*ledgerStage).refusesNoLease},
		{"an ended context changes nothing", (*ledgerStage).doesNothingWithoutContext},
		{"empty batches do nothing", (*ledgerStage).answersEmptyBatches},
	}
}

func (s *ledgerStage) refusesNonsense() {
	good := s.tick("ann", 1)
	for name, spoil := range map[string]func(*domain.Intent){
		"no lease":             func(i *domain.Intent) { i.Lease = 0 },
		"a tick without move":  func(i *domain.Intent) { i.Move = nil },
		"nothing to move":      func(i *domain.Intent) { i.Move, i.MoveOnly = nil, true },
		"a held move":          func(i *domain.Intent) { i.Held = 1 },
		"a move short of it":   func(i *domain.Intent) { i.Run.PlannedMS++ },
		"a move from after it": func(i *domain.Intent) { i.Run.PlannedMS = s.base.UnixMilli() },
		"a move of no length":  func(i *domain.Intent) { i.Move = &domain.CursorMove{From: s.base, To: s.base} },
	} {
		bad := good
		spoil(&bad)
		if verdicts, err := s.ledger.Claim(s.Context(), []domain.Intent{good, bad}); !errors.Is(err, domain.ErrInvalid) {
			s.Errorf("Claim(%s) = %v, %v, want ErrInvalid", name, verdicts, err)
		}
	}
	s.want(domain.Granted, good)
}

func (s *ledgerStage) refusesNoLease() {
	if _, err := s.ledger.Renew(s.Context(), nil, 0); !errors.Is(err, domain.ErrInvalid) {
		s.Errorf("Renew(no lease) = %v, want ErrInvalid", err)
	}
	if _, err := s.ledger.Abandoned(s.Context(), "ann", 0, 1); !errors.Is(err, domain.ErrInvalid) {
		s.Errorf("Abandoned(no lease) = %v, want ErrInvalid", err)
	}
}

func (s *ledgerStage) doesNothingWithoutContext() {
	held := s.want(domain.Granted, s.tick("ann", 1)).Claim
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	definitions := []domain.Definition{{Job: stageJob, Fingerprint: "v2"}}
	_, syncErr := s.ledger.Sync(ctx, domain.SyncRequest{Replica: "ann", Definitions: definitions})
	_, renewErr := s.ledger.Renew(ctx, []domain.ClaimRef{held.Ref()}, time.Hour)
	_, finishErr := s.ledger.Finish(ctx, []domain.RunResult{{Claim: held.Ref(), End: domain.EndFinished}})
	_, abandonedErr := s.ledger.Abandoned(ctx, "ann", s.features.Lease, 1)
	pauseErr := s.schedule.PauseJob(ctx, stageJob)
	for call, err := range map[string]error{
		"Sync": syncErr, "Renew": renewErr, "Finish": finishErr, "Abandoned": abandonedErr, "PauseJob": pauseErr,
	} {
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s(ended context) = %v, want context.Canceled", call, err)
		}
	}
	if state := s.register("ann", stagePrint); state.Paused || state.Revision != 1 {
		s.Errorf("the job is %+v, want it as it was", state)
	}
	s.wantRenewal(domain.RenewalHeld, held)
}

func (s *ledgerStage) answersEmptyBatches() {
	s.claimAll()
	if renewals, err := s.ledger.Renew(s.Context(), nil, s.features.Lease); err != nil || len(renewals) != 0 {
		s.Errorf("Renew() = %v, %v, want nothing and no error", renewals, err)
	}
	if held, err := s.ledger.Finish(s.Context(), nil); err != nil || len(held) != 0 {
		s.Errorf("Finish() = %v, %v, want nothing and no error", held, err)
	}
	s.want(domain.Granted, s.tick("ann", 1))
	s.expire()
	if claims := s.abandoned("bob", 0); len(claims) != 0 {
		s.Errorf("Abandoned(0) = %v, want none", claims)
	}
	s.wantAbandoned("bob")
}
