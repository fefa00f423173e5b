package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestTheLogHoldsTheLevelsOfTheVariable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variable, sign string
		want           []string
	}{
		// A worker whose zone is odd warns; one that works says so at info, and each job at debug.
		"default": {"LOG_LEVEL=", startup, []string{"INFO", "WARN"}},
		"debug":   {"LOG_LEVEL=debug", "job completed", []string{"DEBUG", "INFO", "WARN"}},
		"info":    {"LOG_LEVEL=info", startup, []string{"INFO", "WARN"}},
		"warn":    {"LOG_LEVEL=warn", "", []string{"WARN"}},
		"error":   {"LOG_LEVEL=error", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, c.variable, "TZ=Mars/Base")
			r := h.start(t, slowBin, "run", "--log", "json")
			if c.sign != "" {
				r.waitFor(t, c.sign)
			} else {
				h.work(t, r)
			}
			r.signal(t, syscall.SIGTERM)
			<-r.done
			if got := levels(r.stderr.String()); !slices.Equal(got, c.want) {
				t.Errorf("%s: the log holds lines of %v, want %v", c.variable, got, c.want)
			}
		})
	}
}

// work runs a job on a worker whose log does not say when it is ready.
func (h *host) work(t *testing.T, r *running) {
	t.Helper()
	for h.ask(t, slowBin, "jobs", "trigger", "slow.ran").code != 0 {
		select {
		case <-r.done:
			t.Fatalf("the worker has ended: %s", r.stderr)
		default:
		}
	}
}

// levels are those of the lines of a log, sorted. A stop may end in errors, and
// the last words on stderr are no line of the log: neither is told.
func levels(log string) []string {
	var found []string
	for line := range strings.Lines(log) {
		var record struct{ Level string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Level != "ERROR" {
			found = append(found, record.Level)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
