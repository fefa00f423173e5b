package cli_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/app/cli"
)

func TestAnEchoOfASignalIsNotASecondRequest(t *testing.T) {
	t.Parallel()
	type signal struct {
		os.Signal
		after time.Duration
	}
	for name, c := range map[string]struct {
		signals []signal
		want    int
	}{
		"once":                  {[]signal{{syscall.SIGINT, 0}}, 1},
		"an echo":               {[]signal{{syscall.SIGINT, 0}, {syscall.SIGINT, 3 * time.Millisecond}}, 1},
		"many echoes":           {[]signal{{syscall.SIGTERM, 0}, {syscall.SIGTERM, 0}, {syscall.SIGTERM, 49 * time.Millisecond}}, 1},
		"again, by a person":    {[]signal{{syscall.SIGINT, 0}, {syscall.SIGINT, 100 * time.Millisecond}}, 2},
		"another one, at once":  {[]signal{{syscall.SIGTERM, 0}, {syscall.SIGINT, time.Millisecond}}, 2},
		"three times, properly": {[]signal{{syscall.SIGINT, 0}, {syscall.SIGINT, 60 * time.Millisecond}, {syscall.SIGINT, 60 * time.Millisecond}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var ear cli.Ear
			for _, s := range c.signals {
				now = now.Add(s.after)
				ear.Hear(s.Signal, now)
			}
			if got := ear.Heard(); got != c.want {
				t.Errorf("heard %d requests, want %d", got, c.want)
			}
		})
	}
}
