package domain_test

import (
	"errors"
	"math"
	"testing"
	"testing/quick"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func TestBackoffGrowsAsItsKindSays(t *testing.T) {
	t.Parallel()
	fixed := domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Second}
	doubling := domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second}
	half := domain.Backoff{Kind: domain.BackoffFixed, Delay: 10 * time.Second, Jitter: 0.5}
	for _, c := range []struct {
		name     string
		backoff  domain.Backoff
		attempts int
		dice     float64
		want     time.Duration
	}{
		{"none", domain.Backoff{}, 3, 0.9, 0},
		{"no kind is fixed", domain.Backoff{Delay: time.Second}, 3, 0, time.Second},
		{"fixed, first", fixed, 1, 0.9, time.Second},
		{"fixed, ninth", fixed, 9, 0.9, time.Second},
		{"doubling, first", doubling, 1, 0, time.Second},
		{"doubling, third", doubling, 3, 0, 4 * time.Second},
		{"doubling, before the first", doubling, 0, 0, time.Second},
		{"doubling, capped", doubling, 100, 0, domain.MaxDelay},
		{"doubling, beyond floats", doubling, 5000, 0, domain.MaxDelay},
		{"doubling of nothing, beyond floats", domain.Backoff{Kind: domain.BackoffExponential}, 5000, 0, 0},
		{"jitter at its least", half, 1, 0, 5 * time.Second},
		{"jitter in the middle", half, 1, 0.5, 7500 * time.Millisecond},
		{"negative delay", domain.Backoff{Delay: -time.Second}, 1, 0.5, 0},
		{"jitter that is no number", domain.Backoff{Delay: time.Second, Jitter: math.NaN()}, 1, 0.5, 0},
		{"dice beyond their range", domain.Backoff{Delay: time.Hour, Jitter: 1}, 1, math.Inf(1), domain.MaxDelay},
	} {
		if got := c.backoff.After(c.attempts, c.dice); got != c.want {
			t.Errorf("%s: After(%d, %v) = %s, want %s", c.name, c.attempts, c.dice, got, c.want)
		}
	}
}

func TestBackoffStaysInRangeForAnyInput(t *testing.T) {
	t.Parallel()
	inRange := func(exponential bool, delay int64, jitter float64, attempts int, dice float64) bool {
		backoff := domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Duration(delay), Jitter: jitter}
		if exponential {
			backoff.Kind = domain.BackoffExponential
		}
		got := backoff.After(attempts, dice)
		return got >= 0 && got <= domain.MaxDelay
	}
	if err := quick.Check(inRange, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
}

func TestValidBackoffNeverShrinksAndKeepsItsJitter(t *testing.T) {
	t.Parallel()
	keeps := func(seconds uint16, part, chance uint8, attempts uint8) bool {
		backoff := domain.Backoff{
			Kind: domain.BackoffExponential, Delay: time.Duration(seconds) * time.Second, Jitter: float64(part) / 255,
		}
		dice := float64(chance) / 256
		at, next := backoff.After(int(attempts), dice), backoff.After(int(attempts)+1, dice)
		whole := domain.Backoff{Kind: backoff.Kind, Delay: backoff.Delay}.After(int(attempts), 0)
		least := time.Duration(float64(whole) * (1 - backoff.Jitter))
		return next >= at && at <= whole+time.Microsecond && at >= least-time.Microsecond
	}
	if err := quick.Check(keeps, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
}

func TestBackoffValidatesItsFields(t *testing.T) {
	t.Parallel()
	for name, backoff := range map[string]domain.Backoff{
		"unknown kind":     {Kind: "linear"},
		"negative delay":   {Delay: -1},
		"delay too long":   {Delay: domain.MaxDelay + 1},
		"negative jitter":  {Jitter: -0.1},
		"jitter above one": {Jitter: 1.1},
		"jitter NaN":       {Jitter: math.NaN()},
	} {
		if err := backoff.Validate(); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: Validate() = %v, want ErrInvalid", name, err)
		}
	}
	for name, backoff := range map[string]domain.Backoff{
		"zero":    {},
		"largest": {Kind: domain.BackoffExponential, Delay: domain.MaxDelay, Jitter: 1},
	} {
		if err := backoff.Validate(); err != nil {
			t.Errorf("%s: Validate() = %v, want none", name, err)
		}
	}
}

func TestParkDelayDoublesFromHalfAMinuteToTen(t *testing.T) {
	t.Parallel()
	want := []time.Duration{
		30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute,
	}
	for parked, delay := range want {
		if got := domain.ParkDelay(parked); got != delay {
			t.Errorf("ParkDelay(%d) = %s, want %s", parked, got, delay)
		}
	}
	inRange := func(parked int) bool {
		got := domain.ParkDelay(parked)
		return got >= 30*time.Second && got <= 10*time.Minute && domain.ParkDelay(min(parked, math.MaxInt-1)+1) >= got
	}
	if err := quick.Check(inRange, nil); err != nil {
		t.Error(err)
	}
}
