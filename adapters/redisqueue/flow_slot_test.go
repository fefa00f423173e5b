package redisqueue_test

import (
	"errors"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func TestKeysThatMayBeInSeveralSlotsAreRefused(t *testing.T) {
	for _, c := range []struct {
		bases []string
		want  error
	}{
		{[]string{"{bull}:a:", "{bull}:b:"}, nil},
		{[]string{"bull:a:", "bull:a:"}, nil},
		{[]string{"bull:a:", "bull:b:"}, domain.ErrInvalid},
		{[]string{"bull:{a}:", "bull:{b}:"}, domain.ErrInvalid},
		{[]string{"{}:a:", "{}:b:"}, domain.ErrInvalid},
		{[]string{"{bull:a:", "{bull:b:"}, domain.ErrInvalid},
	} {
		if err := redisqueue.CheckSlots(c.bases...); !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
			t.Errorf("CheckSlots(%q) = %v, want %v", c.bases, err, c.want)
		}
	}
}
