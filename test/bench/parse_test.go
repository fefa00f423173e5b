package main_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	bench "github.com/taktwork/takt/test/bench"
)

func TestTheTimeToReadyIsReadFromEitherFormOfTheLogLine(t *testing.T) {
	for _, line := range []string{
		`time=2026-01-01T00:00:00Z level=INFO msg="worker ready" replica=a jobs=2 duration_ms=3.25`,
		`{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"worker ready","duration_ms":3.25,"jobs":2}`,
		`00:00:00.000 INFO worker ready duration_ms=3.25`,
	} {
		if got, err := bench.ParseReady(line); err != nil || got != 3250*time.Microsecond {
			t.Errorf("ParseReady(%q) = %v, %v, want 3.25ms", line, got, err)
		}
	}
	for _, bad := range []string{"worker ready", "worker ready duration_ms=", "duration_ms=1.2.3"} {
		if got, err := bench.ParseReady(bad); err == nil {
			t.Errorf("ParseReady(%q) = %v, want an error", bad, got)
		}
	}
}

func TestOnlyAnELFFileIsJudgedForItsLoader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := bench.Loaders(path); err == nil {
		t.Errorf("Loaders of a script = %d, want an error", got)
	}
}

func TestTheSchedulesOfThePlannerAreAllDifferent(t *testing.T) {
	const n = 200_000
	seen := make(map[[2]string]bool, n)
	for i := range n {
		expr, zone := bench.PerSecond(i)
		seen[[2]string{expr, zone}] = true
	}
	if len(seen) != n {
		t.Errorf("%d different schedules, want %d", len(seen), n)
	}
}
