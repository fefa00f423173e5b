package domain_test

import (
	"testing"
	"testing/quick"
	"time"

	"github.com/taktwork/takt/core/domain"
)

func TestJitterDependsOnItsArgumentsAlone(t *testing.T) {
	t.Parallel()
	holds := func(namespace, job string, ms int64, most int64) bool {
		planned := time.UnixMilli(ms % (1 << 45))
		got := domain.Jitter(namespace, job, planned, time.Duration(most))
		again := domain.Jitter(namespace, job, planned.In(time.FixedZone("east", 3600)), time.Duration(most))
		return got == again && got >= 0 && got <= max(time.Duration(most), 0) && got%time.Millisecond == 0
	}
	if err := quick.Check(holds, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
}

// The values are part of the protocol between replicas of different versions.
func TestJitterAndHashKeepTheirValues(t *testing.T) {
	t.Parallel()
	planned := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	if got, want := domain.Jitter("default", "report", planned, time.Minute), 13_941*time.Millisecond; got != want {
		t.Errorf("Jitter() = %s, want %s", got, want)
	}
	if got, want := domain.Hash("default", "report"), uint64(8023051730265074421); got != want {
		t.Errorf("Hash() = %d, want %d", got, want)
	}
}

func TestHashTellsPartsApart(t *testing.T) {
	t.Parallel()
	for _, parts := range [][2][]string{
		{{"ab", "c"}, {"a", "bc"}},
		{{"ab"}, {"ab", ""}},
		{{"a", "b"}, {"b", "a"}},
		{{}, {""}},
	} {
		if domain.Hash(parts[0]...) == domain.Hash(parts[1]...) {
			t.Errorf("Hash(%q) = Hash(%q), want them different", parts[0], parts[1])
		}
	}
}

func TestJitterSpreadsEvenlyAndReachesBothEnds(t *testing.T) {
	t.Parallel()
	const ticks, most = 60_000, 9
	var seen [most + 1]int
	for i := range ticks {
		planned := time.UnixMilli(int64(i) * 60_000)
		seen[domain.Jitter("default", "report", planned, most*time.Millisecond)/time.Millisecond]++
	}
	for ms, n := range seen {
		if want := ticks / (most + 1); n < want*9/10 || n > want*11/10 {
			t.Errorf("%d of %d ticks wait %d ms, want about %d", n, ticks, ms, want)
		}
	}
}

func TestNoJitterBelowAMillisecond(t *testing.T) {
	t.Parallel()
	for _, most := range []time.Duration{-time.Hour, 0, time.Millisecond - 1} {
		if got := domain.Jitter("default", "report", time.UnixMilli(1), most); got != 0 {
			t.Errorf("Jitter(%s) = %s, want 0s", most, got)
		}
	}
}
