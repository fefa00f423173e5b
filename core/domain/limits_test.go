package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func TestRate_Validate(t *testing.T) {
	for _, c := range []struct {
		rate domain.Rate
		want error
	}{
		{domain.Rate{}, nil},
		{domain.Rate{Max: 1, Per: time.Millisecond}, nil},
		{domain.Rate{Max: domain.MaxConcurrency, Per: domain.MaxRateWindow}, nil},
		{domain.Rate{Max: 1}, domain.ErrInvalid},
		{domain.Rate{Per: time.Second}, domain.ErrInvalid},
		{domain.Rate{Max: -1, Per: time.Second}, domain.ErrInvalid},
		{domain.Rate{Max: domain.MaxConcurrency + 1, Per: time.Second}, domain.ErrInvalid},
		{domain.Rate{Max: 1, Per: time.Microsecond}, domain.ErrInvalid},
		{domain.Rate{Max: 1, Per: domain.MaxRateWindow + 1}, domain.ErrInvalid},
	} {
		if err := c.rate.Validate(); !errors.Is(err, c.want) {
			t.Errorf("Validate(%+v) = %v, want %v", c.rate, err, c.want)
		}
	}
}

func TestValidateConcurrencyAndHold(t *testing.T) {
	for n, want := range map[int]error{
		-1: domain.ErrInvalid, 0: nil, 1: nil, domain.MaxConcurrency: nil, domain.MaxConcurrency + 1: domain.ErrInvalid,
	} {
		if err := domain.ValidateConcurrency(n); !errors.Is(err, want) {
			t.Errorf("ValidateConcurrency(%d) = %v, want %v", n, err, want)
		}
	}
	for d, want := range map[time.Duration]error{
		-1: domain.ErrInvalid, 0: nil, 1: domain.ErrInvalid, time.Millisecond: nil,
		domain.MaxRateWindow: nil, domain.MaxRateWindow + 1: domain.ErrInvalid,
	} {
		if err := domain.ValidateHold(d); !errors.Is(err, want) {
			t.Errorf("ValidateHold(%s) = %v, want %v", d, err, want)
		}
	}
}

func TestQueueLimits_Full(t *testing.T) {
	for limits, want := range map[domain.QueueLimits]bool{
		{}: false, {Active: 9}: false, {Concurrency: 2, Active: 1}: false, {Concurrency: 2, Active: 2}: true,
		{Concurrency: -1}: true,
	} {
		if got := limits.Full(); got != want {
			t.Errorf("Full(%+v) = %t, want %t", limits, got, want)
		}
	}
}
