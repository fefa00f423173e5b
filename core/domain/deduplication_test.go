package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func TestDeduplication_Validate(t *testing.T) {
	for _, c := range []struct {
		d    domain.Deduplication
		want error
	}{
		{domain.Deduplication{}, nil},
		{domain.Deduplication{TTL: time.Second}, nil},
		{domain.Deduplication{Key: "k", TTL: time.Second}, nil},
		{domain.Deduplication{Key: "k", TTL: -time.Second}, domain.ErrInvalid},
		{domain.Deduplication{Key: "k", Mode: "often"}, domain.ErrInvalid},
		{domain.Deduplication{Mode: domain.DedupReschedule}, domain.ErrInvalid},
		{domain.Deduplication{Key: "k", Mode: domain.DedupExtend}, domain.ErrInvalid},
		{domain.Deduplication{Key: "k", Mode: domain.DedupExtend, TTL: time.Second}, nil},
		{domain.Deduplication{Key: "k", Mode: domain.DedupDebounce, TTL: time.Microsecond}, domain.ErrInvalid},
		{domain.Deduplication{Key: "k", Mode: domain.DedupReplace}, nil},
		{domain.Deduplication{Key: "k", Mode: domain.DedupReplace, TTL: time.Second}, nil},
		{domain.Deduplication{Key: "k", Mode: domain.DedupKeepLast}, nil},
		{domain.Deduplication{Key: "k", Mode: domain.DedupReplaceOrKeepLast, TTL: time.Second}, domain.ErrInvalid},
		{domain.Deduplication{Key: "k", Mode: domain.DedupReschedule, TTL: time.Second}, nil},
	} {
		if err := c.d.Validate(); !errors.Is(err, c.want) {
			t.Errorf("Validate(%+v) = %v, want %v", c.d, err, c.want)
		}
	}
}
