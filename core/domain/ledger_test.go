package domain_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func TestIntentsThatMakeNoSenseAreInvalid(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(60_000)
	tick := func(change func(*domain.Intent)) domain.Intent {
		intent := domain.Intent{
			Run: domain.TickKey("report", at), Lease: time.Minute, Move: &domain.CursorMove{From: at.Add(-time.Minute), To: at},
		}
		change(&intent)
		return intent
	}
	for what, c := range map[string]struct {
		intent domain.Intent
		valid  bool
	}{
		"a tick":                        {tick(func(*domain.Intent) {}), true},
		"a tick and those after it":     {tick(func(i *domain.Intent) { i.Move.To = at.Add(time.Hour) }), true},
		"a tick without a move":         {tick(func(i *domain.Intent) { i.Move = nil }), false},
		"a tick beyond the move":        {tick(func(i *domain.Intent) { i.Run.PlannedMS++ }), false},
		"a tick before the move":        {tick(func(i *domain.Intent) { i.Run.PlannedMS = i.Move.From.UnixMilli() }), false},
		"a move back":                   {tick(func(i *domain.Intent) { i.Move.To = i.Move.From }), false},
		"a tick without a lease":        {tick(func(i *domain.Intent) { i.Lease = 0 }), false},
		"a move alone":                  {tick(func(i *domain.Intent) { i.MoveOnly, i.Lease, i.Run.PlannedMS = true, 0, 0 }), true},
		"a move alone that goes back":   {tick(func(i *domain.Intent) { i.MoveOnly, i.Move.To = true, i.Move.From.Add(-1) }), false},
		"a move alone without one":      {tick(func(i *domain.Intent) { i.MoveOnly, i.Move = true, nil }), false},
		"a held claim":                  {tick(func(i *domain.Intent) { i.Held, i.Move = 7, nil }), true},
		"a held claim with a move":      {tick(func(i *domain.Intent) { i.Held = 7 }), false},
		"a held claim that moves alone": {tick(func(i *domain.Intent) { i.Held, i.MoveOnly, i.Move = 7, true, nil }), false},
		"a manual run":                  {domain.Intent{Run: domain.RunKey{Job: "report", Origin: domain.OriginManual}, Lease: 1}, true},
		"a run of no origin":            {domain.Intent{Run: domain.RunKey{Job: "report", Origin: "guess"}, Lease: 1}, false},
	} {
		if err := c.intent.Validate(); c.valid != (err == nil) || (err != nil && !errors.Is(err, domain.ErrInvalid)) {
			t.Errorf("Validate() of %s = %v, want valid: %t", what, err, c.valid)
		}
	}
}

func TestRegistrationsOfOneContentHaveOneDigest(t *testing.T) {
	t.Parallel()
	given := []domain.Definition{{Job: "b", Fingerprint: "1"}, {Job: "a", Fingerprint: "2"}, {Job: "b", Fingerprint: "3"}}
	made, err := domain.NewRegistration(given)
	if err != nil {
		t.Fatal(err)
	}
	if want := []domain.Definition{{Job: "a", Fingerprint: "2"}, {Job: "b", Fingerprint: "3"}}; !slices.Equal(made.Definitions, want) {
		t.Errorf("Definitions = %v, want %v", made.Definitions, want)
	}
	for what, c := range map[string]struct {
		definitions []domain.Definition
		same        bool
	}{
		"the same in another order": {[]domain.Definition{{Job: "b", Fingerprint: "3"}, {Job: "a", Fingerprint: "2"}}, true},
		"another fingerprint":       {[]domain.Definition{{Job: "b", Fingerprint: "3"}, {Job: "a", Fingerprint: "1"}}, false},
		"another cut of the same":   {[]domain.Definition{{Job: "a2", Fingerprint: ""}, {Job: "b", Fingerprint: "3"}}, false},
		"one job less":              {[]domain.Definition{{Job: "a", Fingerprint: "2"}}, false},
		"nothing":                   {nil, false},
	} {
		other, err := domain.NewRegistration(c.definitions)
		if err != nil || (other.Digest == made.Digest) != c.same {
			t.Errorf("digest of %s = %s, %v, that of the first is %s, want the same: %t", what, other.Digest, err, made.Digest, c.same)
		}
	}
	if _, err := domain.NewRegistration([]domain.Definition{{Job: "no name"}}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("NewRegistration() of a bad name = %v, want ErrInvalid", err)
	}
}

func TestRegistrationKnowsItsJobsAndItsSlice(t *testing.T) {
	t.Parallel()
	given := []domain.Definition{{Job: "b", Fingerprint: "1"}, {Job: "a", Fingerprint: "2"}}
	made, err := domain.NewRegistration(given)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := made.Fingerprint("b"); !ok || got != "1" {
		t.Errorf("Fingerprint(b) = %q, %t, want 1", got, ok)
	}
	if got, ok := made.Fingerprint("c"); ok || got != "" {
		t.Errorf("Fingerprint(c) = %q, %t, want none", got, ok)
	}
	empty, err := domain.NewRegistration(nil)
	if err != nil {
		t.Fatal(err)
	}
	var none *domain.Registration
	if !made.Of(given) || made.Of(slices.Clone(given)) || made.Of(given[:1]) || !empty.Of(nil) || none.Of(nil) {
		t.Error("Of() is true for another slice, or false for its own")
	}
}
