package config_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/app/config"
)

func FuzzConfigEnv(f *testing.F) {
	for _, c := range mistakes {
		if seed := strings.Join(c.environ, "\x01"); len(seed) < 1000 {
			f.Add(seed)
		}
	}
	for _, variable := range config.Variables() {
		f.Add(variable.Name + "=" + variable.Example)
	}
	f.Add("WORKER_QUEUES=a\x01WORKER_JOB_TIMEOUT=1d1ns\x01TZ=Asia/Tokyo\x01XDG_RUNTIME_DIR=/run")
	const canary = "kanarienvogel-7f3a"
	f.Fuzz(func(t *testing.T, text string) {
		environ := append([]string{"HOME=/home/worker", "REDIS_PASSWORD=" + canary, "DB_TYPE=postgres", "DB_PASS=" + canary, "WORKER_SECRET=" + canary}, strings.Split(text, "\x01")...)
		loaded, report := config.Load(config.Source{Environ: environ, PID: 1})
		if (loaded == nil) != (report.Err() != nil) {
			t.Fatalf("Load() = %v with problems %v", loaded, report.Problems)
		}
		checkLines(t, report)
		shown := []any{report, report.Strict()}
		if loaded != nil {
			inRange(t, loaded)
			shown = append(shown, loaded.Entries())
		}
		output, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(output)+textOf(report), canary) {
			t.Errorf("a secret is shown: %s", output)
		}
	})
}

func textOf(report config.Report) string { return text(report) + text(report.Strict()) }

// inRange wants of an accepted configuration what the rules promise.
func inRange(t *testing.T, c *config.Config) {
	t.Helper()
	for what, good := range map[string]bool{
		"concurrency":      c.Queue.Concurrency >= 1 && c.Queue.Concurrency <= 10_000,
		"retries":          c.Jobs.Retries >= 0 && c.Jobs.Retries <= 1000,
		"retry delay":      c.Jobs.RetryDelay >= 0 && c.Jobs.RetryDelay <= 24*time.Hour,
		"timeout":          c.Jobs.Timeout >= 0 && c.Jobs.Timeout <= 366*24*time.Hour,
		"max random delay": c.Jobs.MaxRandomDelay >= 0 && c.Jobs.MaxRandomDelay <= 24*time.Hour,
		"shutdown timeout": c.Process.ShutdownTimeout >= time.Second && c.Process.ShutdownTimeout <= 10*time.Minute,
		"start timeout":    c.Process.StartTimeout >= time.Second && c.Process.StartTimeout <= time.Hour,
		"payload": c.Queue.MaxPayload >= 1<<10 && c.Queue.MaxPayload <= 5<<20 &&
			(c.Queue.Backend == config.BackendRedis || c.Queue.MaxPayload <= c.Queue.MemoryMaxBytes),
		"memory jobs":     c.Queue.MemoryMaxJobs >= 1,
		"queue":           queueLike(c.Queue.Default),
		"backend":         slices.Contains([]config.Backend{config.BackendRedis, config.BackendMemory, config.BackendNone}, c.Queue.Backend),
		"ledger":          slices.Contains([]config.Ledger{config.LedgerMemory, config.LedgerRedis, config.LedgerSQL}, c.Queue.Ledger),
		"unknown jobs":    c.Queue.UnknownJobs == config.UnknownPark || c.Queue.UnknownJobs == config.UnknownFail,
		"namespace":       c.Process.Namespace != "" && strings.Trim(c.Process.Namespace, "abcdefghijklmnopqrstuvwxyz0123456789-") == "",
		"instance":        c.Process.Instance != "" && !strings.ContainsAny(c.Process.Instance, "/\\\x00"),
		"state directory": strings.HasPrefix(c.Process.StateDir, "/") && !strings.Contains(c.Process.StateDir, ".."+"/"),
	} {
		if !good {
			t.Errorf("%s is out of range in %+v", what, c)
		}
	}
	for _, name := range c.Queue.Extra {
		if !queueLike(name) {
			t.Errorf("extra queue %q, want a queue name", name)
		}
	}
	if _, err := time.LoadLocation(c.Scheduler.Timezone); err != nil || c.Scheduler.Timezone == "Local" || c.Scheduler.Timezone == "" {
		t.Errorf("zone %q: %v", c.Scheduler.Timezone, err)
	}
}

func queueLike(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsAny(name, ":{}/ \n\x00,")
}
