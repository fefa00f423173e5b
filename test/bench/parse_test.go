package main_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	bench "github.com/taktwork/takt/test/bench"
)

func TestResidentMemoryIsReadFromTheStatusOfAProcess(t *testing.T) {
	status := "Name:\tworker\nVmHWM:\t   99999 kB\nVmRSS:\t   17408 kB\nRssAnon:\t    5000 kB\n"
	if got, err := bench.ParseResident(status); err != nil || got != 17408<<10 {
		t.Errorf("ParseResident = %d, %v, want %d", got, err, 17408<<10)
	}
	for _, bad := range []string{"", "VmHWM:\t5 kB\n", "VmRSS:\t5 MB\n", "VmRSS:\tmany kB\n", "VmRSS:\n"} {
		if got, err := bench.ParseResident(bad); err == nil {
			t.Errorf("ParseResident(%q) = %d, want an error", bad, got)
		}
	}
}

func TestProcessorTimeIsReadFromSchedstat(t *testing.T) {
	if got, err := bench.ParseSchedstat("1234567 89 10\n"); err != nil || got != 1234567 {
		t.Errorf("ParseSchedstat = %d, %v, want 1234567 ns", got, err)
	}
	for _, bad := range []string{"", "1 2", "x 2 3"} {
		if got, err := bench.ParseSchedstat(bad); err == nil {
			t.Errorf("ParseSchedstat(%q) = %d, want an error", bad, got)
		}
	}
}

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

func TestTheModelIsFoundInCpuinfo(t *testing.T) {
	text := "processor\t: 0\nvendor_id\t: Acme\nmodel name\t: Acme 9000 @ 3.00GHz\nmodel\t\t: 1\n\nprocessor\t: 1\nmodel name\t: Other\n"
	if got := bench.CPUModel(text); got != "Acme 9000 @ 3.00GHz" {
		t.Errorf("CPUModel = %q, want the first model name", got)
	}
	if got := bench.CPUModel("processor: 0\n"); got != "unknown CPU" {
		t.Errorf("CPUModel without a model = %q, want unknown CPU", got)
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
