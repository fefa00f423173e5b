package schedule_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

func TestSchedulesAreReadBackFromTheirText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"30 2 * * * Europe/Berlin", "@daily UTC", "*/5 0 9 * * 1-5 America/New_York", "every 5m0s", "every 6h0m0s+12.5s", "every 1ms"} {
		s, err := schedule.ParseText(text)
		if err != nil {
			t.Errorf("ParseText(%q) = %v, want a schedule", text, err)
			continue
		}
		if got := schedule.Text(s); got != text {
			t.Errorf("Text(ParseText(%q)) = %q", text, got)
		}
	}
	if got := schedule.Text(nil); got != "" {
		t.Errorf("Text(nil) = %q, want none", got)
	}
}

func TestTextsOfNoScheduleAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "every", "every ", "every x", "every 5m+x", "every 0s", "every 5m +1s", "@daily", "* * * * *", "* * * * * Nowhere/Land", " UTC"} {
		if s, err := schedule.ParseText(text); err == nil {
			t.Errorf("ParseText(%q) = %v, want an error", text, s)
		}
	}
}

func FuzzText(f *testing.F) {
	for i, v := range readVectors(f) {
		f.Add(v.Expr+" "+fuzzZones[i%len(fuzzZones)], v.After.Unix())
	}
	f.Add("every 5m0s+12.5s", int64(1_767_225_600))
	f.Add("every 8784h", int64(0))
	f.Add("\t@daily  UTC", int64(0))
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		s, err := schedule.ParseText(text)
		if err != nil {
			return
		}
		written := schedule.Text(s)
		again, err := schedule.ParseText(written)
		if err != nil {
			t.Fatalf("ParseText(%q), written for %q = %v", written, text, err)
		}
		if twice := schedule.Text(again); twice != written {
			t.Fatalf("Text = %q after %q", twice, written)
		}
		at := time.Unix(unix%4e9, 0)
		if got, want := again.Next(at), s.Next(at); !got.Equal(want) {
			t.Fatalf("Next(%s) = %s after the round trip of %q, want %s", at.UTC(), got, text, want)
		}
	})
}
