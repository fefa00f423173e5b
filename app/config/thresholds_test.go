package config_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

func TestThresholdsAreReadByType(t *testing.T) {
	t.Parallel()
	loaded, report := config.Load(config.Source{Environ: []string{"HOME=/h", "TOKEN_INACTIVITY_THRESHOLDS=refresh_token=30d, api_key=1d12h"}, PID: 1})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	want := config.Thresholds{"refresh_token": 720 * time.Hour, "api_key": 36 * time.Hour}
	if diff := cmp.Diff(want, loaded.Tokens.InactivityThresholds); diff != "" {
		t.Errorf("thresholds (-want +got):\n%s", diff)
	}
}

func TestThresholdsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"refresh_token":                    "threshold 1: not type=duration",
		"refresh_token=":                   "threshold 1: duration",
		"refresh_token=30":                 "threshold 1: duration: a duration without a unit",
		"refresh_token=-30d":               "threshold 1: duration",
		"refresh_token=59s":                "threshold 1: duration",
		"refresh_token=4000d":              "threshold 1: duration",
		"=30d":                             "threshold 1: not a type of tokens",
		"refresh token=30d":                "threshold 1: not a type of tokens",
		strings.Repeat("x", 51) + "=30d":   "threshold 1: not a type of tokens",
		"a=1d=2d":                          "threshold 1: duration",
		"a=1d,a=2d":                        "threshold 2: the type is named twice",
		"a=1d,":                            "threshold 2: not type=duration",
		"a=1d,,b=2d":                       "threshold 2: not type=duration",
		"refresh_token=30d;api_key=90d":    "threshold 1: duration",
		"refresh_token=30d,api_key=ninety": "threshold 2: duration: not a duration",
	} {
		_, report := config.Load(config.Source{Environ: []string{"HOME=/h", "TOKEN_INACTIVITY_THRESHOLDS=" + text}, PID: 1})
		err := report.Err()
		if err == nil {
			t.Errorf("%q is accepted, want an error that says %q", text, want)
			continue
		}
		for _, part := range []string{"TOKEN_INACTIVITY_THRESHOLDS", want, "type=duration, separated by commas", "refresh_token=30d,api_key=90d"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error for %q = %q, want it to say %q", text, err, part)
			}
		}
	}
}

func FuzzThresholds(f *testing.F) {
	for _, seed := range []string{"refresh_token=30d,api_key=90d", "a=1m", "a=1d,a=2d", "a=", "=1d", "a=1d12h,", "a=9999999999d", "a = 1d", "a=1d=1d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var read config.Thresholds
		if err := read.EnvDecode(text); err != nil || text == "" {
			return
		}
		for kind, span := range read {
			if kind == "" || len(kind) > 50 || strings.ContainsAny(kind, "=, \x00'") || span < time.Minute || span > 3660*24*time.Hour {
				t.Errorf("%q is read as %q=%s", text, kind, span)
			}
		}
		if entries := strings.Count(text, ",") + 1; len(read) != entries {
			t.Errorf("%q has %d entries, %d were read", text, entries, len(read))
		}
		// The spelling that is shown means the same.
		loaded, report := config.Load(config.Source{Environ: []string{"HOME=/h", "TOKEN_INACTIVITY_THRESHOLDS=" + text}, PID: 1})
		if err := report.Err(); err != nil {
			if strings.TrimSpace(text) == text {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for _, entry := range loaded.Entries() {
			var again config.Thresholds
			if entry.Name != "TOKEN_INACTIVITY_THRESHOLDS" {
				continue
			}
			if err := again.EnvDecode(entry.Value); err != nil || !maps.Equal(again, read) {
				t.Errorf("%q is shown as %q, which is %v, %v; want %v", text, entry.Value, again, err, read)
			}
		}
	})
}
