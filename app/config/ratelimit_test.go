package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

func TestRateLimitsAreReadByQueue(t *testing.T) {
	t.Parallel()
	var limits config.RateLimits
	if err := limits.EnvDecode("mail=10/1s, reports=1/1m"); err != nil {
		t.Fatalf("EnvDecode = %v, want no error", err)
	}
	want := config.RateLimits{"mail": {Jobs: 10, Per: time.Second}, "reports": {Jobs: 1, Per: time.Minute}}
	if diff := cmp.Diff(want, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func TestRateLimitsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"mail":                  "limit 1: not queue=jobs/span",
		"mail=10":               "not queue=jobs/span",
		"a:b=1/1s":              "not a queue name",
		"=1/1s":                 "not a queue name",
		"mail=0/1s":             "number of jobs",
		"mail=1.5/1s":           "number of jobs",
		"mail=1/5":              "span",
		"mail=1/0s":             "span",
		"mail=1/1s,mail=2/1s":   "limit 2: the queue is named twice",
		"mail=1/1s,,reports=1/": "limit 2: not queue=jobs/span",
	} {
		var limits config.RateLimits
		if err := limits.EnvDecode(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("EnvDecode(%q) = %v, want an error that says %q", text, err, want)
		}
	}
}
