package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

// swapped is what a worker made of the same commands on one backend.
type swapped struct {
	// answers are what the commands printed, by command; done the lines of the
	// handlers, ticks left out.
	answers map[string]string
	done    []string
	// records are the decisions, without what differs from run to run; those
	// about ticks are counted instead.
	records []string
	ticks   int
}

// TestTheBackendIsSwappedByTheEnvironmentAlone runs one binary with one feature
// and gives it the same commands; nothing but the variables of the backend
// differs.
func TestTheBackendIsSwappedByTheEnvironmentAlone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	postgres := onPostgres(t, pgtest.Database(t))
	memory := swap(t, "WORKER_LEDGER=memory")
	none := swap(t, "WORKER_QUEUE_BACKEND=none")
	others := map[string]swapped{
		"redis":                        swap(t, "REDIS_ENABLED=true", "REDIS_URL="+server.URL(0)),
		"memory with claims in sqlite": swap(t, "WORKER_LEDGER=sql"),
		"memory beside postgres":       swap(t, postgres...),
		"redis with claims in sqlite":  swap(t, "REDIS_ENABLED=true", "REDIS_URL="+server.URL(1), "WORKER_LEDGER=sql"),
		"redis beside postgres": swap(t, append(postgres, "REDIS_ENABLED=true", "REDIS_URL="+server.URL(2),
			"WORKER_LEDGER=sql", "WORKER_NAMESPACE=other")...),
	}
	for name, other := range others {
		if diff := cmp.Diff(memory, other, cmp.AllowUnexported(swapped{}), cmp.FilterPath(func(p cmp.Path) bool {
			return p.String() == "ticks"
		}, cmp.Ignore())); diff != "" {
			t.Errorf("memory and %s differ (-memory +other):\n%s", name, diff)
		}
	}
	for _, command := range []string{"trigger swap.inline", "trigger swap.failing", "trigger swap.flaky", "trigger swap.skipped"} {
		if none.answers[command] != memory.answers[command] {
			t.Errorf("%s: none answers %s, want %s", command, none.answers[command], memory.answers[command])
		}
	}
	if got := none.answers["trigger swap.queued"]; !strings.Contains(got, "completed") {
		t.Errorf("without queues the job with a target answers %s, want that it completed inline", got)
	}
	if got := none.answers["enqueue good"]; !strings.Contains(got, "queueing is off") {
		t.Errorf("without queues enqueue answers %s, want that queueing is off", got)
	}
	inline := func(s swapped) []string {
		return slices.DeleteFunc(slices.Clone(s.records), func(line string) bool {
			return strings.Contains(line, "queue") || strings.Contains(line, "worker.startup") || strings.Contains(line, "swap.queued")
		})
	}
	if diff := cmp.Diff(inline(memory), inline(none)); diff != "" {
		t.Errorf("inline runs differ (-memory +none):\n%s", diff)
	}
	others["memory"], others["none"] = memory, none
	for name, got := range others {
		if got.ticks == 0 {
			t.Errorf("%s: no tick, want one each second", name)
		}
	}
}

// swap runs the worker, gives it the commands, and stops it.
func swap(t *testing.T, backend ...string) swapped {
	t.Helper()
	records := filepath.Join(t.TempDir(), "records.json")
	h := newHost(t, append(backend, "SWAP_RECORDS="+records)...)
	r := h.start(t, slowBin, "run", "--log", "json")
	r.waitFor(t, ready)
	got := swapped{answers: map[string]string{}}
	command := func(name string, args ...string) {
		answer := h.ask(t, slowBin, args...)
		if args[0] == "jobs" {
			answer.stdout = withoutIDs(t, answer.stdout)
		}
		got.answers[name] = answer.stdout + answer.stderr
	}
	for _, job := range []string{"swap.queued", "swap.inline", "swap.failing", "swap.flaky", "swap.skipped"} {
		command("trigger "+job, "jobs", "trigger", job, "--json")
	}
	command("enqueue good", "enqueue", "swap", "swap.work", "--id", "good", "--data", `{"n":4}`)
	command("enqueue twice", "enqueue", "swap", "swap.work", "--id", "good", "--data", `{"n":4}`)
	command("enqueue bad", "enqueue", "swap", "swap.work", "--id", "bad", "--data", `{"n":-1}`, "--attempts", "5")
	command("enqueue flaky", "enqueue", "swap", "swap.work", "--id", "flaky", "--data", `{"n":0}`, "--attempts", "2", "--backoff", "fixed:1ms")
	command("enqueue priority", "enqueue", "swap", "swap.work", "--id", "urgent", "--data", `{"n":5}`, "--priority", "1", "--json")
	command("enqueue delayed", "enqueue", "swap", "swap.work", "--id", "later", "--data", `{"n":6}`, "--delay", "50ms")
	command("enqueue nonsense", "enqueue", "swap", "swap.work", "--data", "nonsense")
	signs := []string{`"msg":"run completed","job":"swap.tick"`}
	if !strings.Contains(got.answers["enqueue good"], "queueing is off") {
		signs = []string{
			`"n":4,`, `"n":5,`, `"n":6,`, `"n":0,"attempt":2`, "below zero",
			`"n":21,"attempt":1,"job_id":"manual.`, `"n":21,"attempt":1,"job_id":"tick.`,
		}
	}
	for _, sign := range signs {
		r.waitFor(t, sign)
	}
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
	for line := range strings.Lines(r.stderr.String()) {
		var record struct {
			Msg        string
			N, Attempt int
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "swap job done" && record.N != 21 {
			got.done = append(got.done, line[strings.Index(line, `"n":`):])
		}
	}
	slices.Sort(got.done)
	got.read(t, records)
	return got
}

// withoutIDs is the JSON object without what is another in each run.
func withoutIDs(t *testing.T, text string) string {
	t.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return text
	}
	delete(fields, "runId")
	delete(fields, "jobId")
	delete(fields, "durationMs")
	short, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(short)
}

// read takes the feature's own account of its history.
func (s *swapped) read(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var records []domain.Record
	if err := json.Unmarshal(text, &records); err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		id := string(record.JobID)
		if record.Run.Job == "swap.tick" || strings.HasPrefix(id, "tick.") {
			s.ticks++
			continue
		}
		if strings.ContainsAny(id, ".@") { // made of the run's key, which holds the replica or the time
			id = "of the run"
		}
		line, err := json.Marshal(map[string]any{
			"event": record.Event, "job": record.Run.Job, "origin": record.Run.Origin, "queue": record.Queue, "id": id,
			"name": record.JobName, "attempt": record.Attempt, "reason": record.Reason, "wait": record.Wait.String(),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.records = append(s.records, string(line))
	}
	slices.Sort(s.records)
}
