package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/core/domain"
)

// referenceKeys are those of the reference's listJobs().
var referenceKeys = []string{
	"id", "providerName", "methodName", "description", "enabled", "runOnStart", "scheduleType", "executionTarget",
	"cron", "intervalMs", "queueName", "queueJobName", "running",
}

// ownKeys are what Takt tells beside.
var ownKeys = []string{"timezone", "phaseMs", "nextTick", "lastTick"}

func TestJobsPrintsTheKeysOfTheReference(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"jobs", "--json"}, {"jobs", "list", "--json"}} {
		got := run(t, args(words...))
		var jobs []map[string]any
		if err := json.Unmarshal([]byte(got.stdout), &jobs); err != nil {
			t.Fatalf("%v, stderr %q", err, got.stderr)
		}
		seen := map[string]bool{}
		for _, job := range jobs {
			for key := range job {
				seen[key] = true
			}
			if job["running"] != nil {
				t.Errorf("%s: running = %v, want null: no worker runs", job["id"], job["running"])
			}
		}
		want := slices.Sorted(slices.Values(append(slices.Clone(referenceKeys), ownKeys...)))
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(seen))); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	}
}

func TestJobsWithoutAWorkerShowsTheRegistrations(t *testing.T) {
	t.Parallel()
	got := run(t, args("jobs"))
	for _, text := range []string{
		"NAME", "reports.nightly", "30 2 * * * Europe/Berlin", "reports/reports.nightly", "every 6h0m0s", "disabled", "unknown", "manual",
	} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("no %q in\n%s%s", text, got.stdout, got.stderr)
		}
	}
	off := args("jobs")
	off.Environ = environ("WORKER_SCHEDULER_ENABLED=false")
	if got := run(t, off); strings.Count(got.stdout, "disabled") != 6 {
		t.Errorf("with the scheduler off not every job is disabled:\n%s", got.stdout)
	}
	wanted := args("jobs", "--instance", "blue")
	if got := run(t, wanted); got.code != cli.ExitUnavailable {
		t.Errorf("jobs --instance: exit code = %d, want 69", got.code)
	}
}

func TestCommandsWithoutAWorkerSayHowToStartOne(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"health"}, {"jobs", "trigger", "x"}, {"enqueue", "mail", "welcome"}} {
		got := run(t, args(words...))
		if got.code != cli.ExitUnavailable || !strings.Contains(got.stderr, `no running worker in namespace default of /nonexistent/takt; start one with "worker run"`) {
			t.Errorf("worker %s: exit code %d, stderr %q, want 69 and a hint", words, got.code, got.stderr)
		}
	}
}

func TestConfigShowsValueDefaultAndOrigin(t *testing.T) {
	t.Parallel()
	i := args("config")
	i.Dir = t.TempDir()
	dotenv := "WORKER_CONCURRENCY=20\nDB_PASS=c4n4ry\nWORKER_TIMZONE=c4n4ry\n"
	if err := os.WriteFile(filepath.Join(i.Dir, ".env"), []byte(dotenv), 0o600); err != nil {
		t.Fatal(err)
	}
	i.Environ = environ("TZ=Europe/Berlin", "WORKER_DEFAULT_QUEUE=mail", "DB_TYPE=postgres")
	got := run(t, i)
	if got.code != cli.ExitOK {
		t.Fatalf("exit code = %d, stderr %q", got.code, got.stderr)
	}
	golden(t, "config.golden", got.stdout+"--- stderr\n"+got.stderr)
	i.Args = []string{"config", "--json"}
	got = run(t, i)
	golden(t, "config_json.golden", got.stdout)
	i.Args = []string{"config", "--strict"}
	if got := run(t, i); got.code != cli.ExitConfig || !strings.Contains(got.stderr, "the nearest is WORKER_TIMEZONE") || got.stdout == "" {
		t.Errorf("config --strict: exit code %d, stdout %q, stderr %q, want 78, the table and the nearest name", got.code, got.stdout, got.stderr)
	}
}

func TestConfigPrintsAllProblems(t *testing.T) {
	t.Parallel()
	i := args("config")
	i.Environ = environ("WORKER_CONCURRENCY=0", "WORKER_TIMEZONE=Local", "LOG_LEVEL=loud", "WORKER_HEARTBEAT_CRON=0 0 30 2 *", "WORKER_NAMESPACE=\x1b[31m")
	got := run(t, i)
	if got.code != cli.ExitConfig {
		t.Errorf("exit code %d, stdout %q, want 78", got.code, got.stdout)
	}
	if marked := strings.Count(got.stdout, " (bad) "); marked != 5 {
		t.Errorf("%d values are marked as bad, want 5:\n%s", marked, got.stdout)
	}
	golden(t, "config_problems.golden", got.stderr)
	i.Args = []string{"config", "--json"}
	var answer struct {
		Variables, Problems, Warnings []any
	}
	got = run(t, i)
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || len(answer.Problems) != 5 || len(answer.Variables) < 5 || got.code != cli.ExitConfig {
		t.Errorf("config --json: exit code %d, %v, %s", got.code, err, got.stdout)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := run(t, args("version")); !strings.HasPrefix(got.stdout, "worker  1.2.3\ncommit  abc\n") {
		t.Errorf("version = %q", got.stdout)
	}
	var answer map[string]string
	if err := json.Unmarshal([]byte(run(t, args("version", "--json")).stdout), &answer); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"version", "commit", "go", "platform", "tzdata"} {
		if answer[key] == "" {
			t.Errorf("version --json has no %s: %v", key, answer)
		}
	}
}

func TestTzdataIsTheHostsOrEmbedded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		root fstest.MapFS
		want string
	}{
		{fstest.MapFS{"usr/share/zoneinfo/tzdata.zi": {Data: []byte("# version 2026c\nR A")}}, "2026c /usr/share/zoneinfo"},
		{fstest.MapFS{"usr/share/zoneinfo/+VERSION": {Data: []byte("2026a\n")}}, "2026a /usr/share/zoneinfo"},
		{fstest.MapFS{"etc/zoneinfo/UTC": {}}, "/etc/zoneinfo"},
		{fstest.MapFS{}, "embedded, of go"},
	} {
		if got := cli.Tzdata(c.root); !strings.HasPrefix(got, c.want) {
			t.Errorf("Tzdata(%v) = %q, want %q", slices.Collect(maps.Keys(c.root)), got, c.want)
		}
	}
}

func TestEnqueueRefusesBadDataBeforeItAsks(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for _, c := range []struct {
		words []string
		stdin string
		want  string
	}{
		{[]string{"mail", "a", "--data", "{"}, "", "not one JSON value"},
		{[]string{"mail", "a", "--data", "1 2"}, "", "not one JSON value"},
		{[]string{"mail", "a", "--data", "\"\xff\""}, "", "not UTF-8"},
		{[]string{"mail", "a", "--data", `{"a":1,"a":2}`}, "", `"a" twice in one object`},
		{[]string{"mail", "a", "--data", deep}, "", "nests deeper than 60 levels"},
		{[]string{"mail", "a", "--data", "-"}, strings.Repeat(" ", 300<<10), "more than 262144 bytes"},
		{[]string{"mail:x", "a"}, "", `queue name "mail:x"`},
		{[]string{"mail", "a\x1b[2J"}, "", `job name "a\x1b[2J"`},
		{[]string{"mail", "a", "--id", "42"}, "", "plain integers"},
		{[]string{"mail", "a", "--priority", "-1"}, "", "priority -1"},
		{[]string{"mail", "a", "--priority", "2097152"}, "", "priority 2097152"},
		{[]string{"-"}, "{\"queue\":\"mail\",\"name\":\"a\",\"priority\":1.5}\n", "stdin line 1: priority: want"},
		{[]string{"mail", "a", "--attempts", "5000"}, "", "attempts 5000"},
		{[]string{"-"}, "{\"queue\":\"mail\",\"name\":\"a\",\"when\":\"now\"}\n", "stdin line 1: unknown field \"when\""},
		{[]string{"-"}, "\n{\"queue\":\"mail\",\"name\":\"a\",\"delay\":\"soon\"}\n", "stdin line 2: delay \"soon\": want a duration"},
		{[]string{"-"}, "{\"queue\":\"mail\",\"name\":\"a\",\"backoff\":\"x\"}\n", "stdin line 1: backoff \"x\": want fixed or exponential"},
		{[]string{"-"}, "{\"Queue\":\"mail\",\"name\":\"a\"}\n", "stdin line 1: unknown field \"Queue\""},
		{[]string{"-"}, "{\"queue\":\"mail\",\"name\":\"a\",\"delay\":5}\n", "stdin line 1: delay: want a string such as \"5m\""},
		{[]string{"-"}, "[]\n", "stdin line 1: want an object such as"},
		{[]string{"-"}, strings.Repeat("x", 400<<10), "stdin line 1: has more than 327680 bytes"},
		{[]string{"-"}, strings.Repeat("x\n", 50), "and 30 more"},
	} {
		i := args(append([]string{"enqueue"}, c.words...)...)
		i.Stdin = strings.NewReader(c.stdin)
		got := run(t, i)
		if got.code != cli.ExitBadData || !strings.Contains(got.stderr, c.want) {
			t.Errorf("enqueue %.60q: exit code %d, stderr %.300q, want 65 and %q", c.words, got.code, got.stderr, c.want)
		}
		if strings.Contains(got.stderr, "\x1b") {
			t.Errorf("enqueue %.60q: an escape reaches the terminal: %q", c.words, got.stderr)
		}
	}
}

// endless is a stdin without end.
type endless struct{ read int }

func (e *endless) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = ' '
		if i%1000 == 0 {
			into[i] = '\n'
		}
	}
	e.read += len(into)
	return len(into), nil
}

func TestEnqueueReadsNoMoreThanItTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		most  int
	}{{[]string{"enqueue", "-"}, 65 << 20}, {[]string{"enqueue", "mail", "a", "--data", "-"}, 1 << 20}} {
		input := &endless{}
		i := args(c.words...)
		i.Stdin = input
		if got := run(t, i); got.code != cli.ExitBadData || input.read > c.most {
			t.Errorf("%s: exit code %d after %d bytes, want 65 after at most %d", c.words, got.code, input.read, c.most)
		}
	}
}

func FuzzReadJobs(f *testing.F) {
	for _, seed := range []string{
		`{"queue":"mail","name":"a","data":{"x":1},"delay":"1d","priority":3,"lifo":true,"attempts":2,"backoff":"fixed:5s","id":"x"}`,
		`{"queue":"mail"}`, `{"queue":"mail","name":"a","data":"` + "\x00" + `"}`, `{"data":[[[[]]]]}`, "null", "\xff", `{"queue":"m","queue":"n"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		jobs, err := cli.ReadJobs(bytes.NewReader(text), 1<<10)
		if err != nil {
			return
		}
		for i := range jobs {
			if err := jobs[i].Validate(1 << 10); err != nil || !json.Valid(jobs[i].Data) {
				t.Errorf("ReadJobs(%q) accepts a job that is not valid: %v, %q", text, err, jobs[i].Data)
			}
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"1d", "1d12h", "90s", "-1h", "1d-1h", "106751d23h47m16.854775807s", "106752d", "9999999999d", "d", "1.5d", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		span, err := cli.ParseDuration(text)
		if err == nil && span < 0 {
			t.Errorf("ParseDuration(%q) = %s, want none below zero", text, span)
		}
		if plain, plainErr := time.ParseDuration(text); err == nil && plainErr == nil && plain != span {
			t.Errorf("ParseDuration(%q) = %s, want %s as Go reads it", text, span, plain)
		}
	})
}

func TestDurationsTakeDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond,
	} {
		if got, err := cli.ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "-1d", "1.5d", "1d2d", "1d-2h", "+1h", "-1h", "106752d", "106751d24h", "1 d", "soon"} {
		if got, err := cli.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %s, want an error", text, got)
		}
	}
}

func TestTheConsoleWritesOneLineForPeople(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	handler := cli.NewConsole(&text, slog.LevelInfo, false)
	log := slog.New(handler).With("replica", "a b").WithGroup("fx").With("x", 1)
	at := time.Date(2026, 3, 7, 9, 8, 7, 654_000_000, time.UTC)
	record := slog.NewRecord(at, slog.LevelWarn, "job failed\x1b[2J", 0)
	record.AddAttrs(slog.Any("err", errors.New("no \"table\"")), slog.Duration("took", time.Second), slog.Any("password", domain.NewSecret("hunter2")),
		slog.Group("in", slog.String("queue", "mail"), slog.String("empty", "")), slog.Time("tick", at), slog.Attr{})
	if err := log.Handler().Handle(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	want := `09:08:07.654 WARN  "job failed\x1b[2J" replica="a b" fx.x=1 fx.err="no \"table\"" fx.took=1s fx.password=*** fx.in.queue=mail fx.in.empty="" fx.tick=2026-03-07T09:08:07.654Z` + "\n"
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	text.Reset()
	log.DebugContext(t.Context(), "below the level")
	if text.Len() != 0 {
		t.Errorf("a record below the level is written: %q", text.String())
	}
}

func TestColourIsForTerminalsThatWantIt(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	slog.New(cli.NewConsole(&text, slog.LevelInfo, true)).ErrorContext(t.Context(), "failed", "job", "a")
	if !strings.Contains(text.String(), "\x1b[31mERROR\x1b[0m failed \x1b[2mjob=\x1b[0ma\n") {
		t.Errorf("line = %q, want a red level", text.String())
	}
	for _, c := range []struct {
		terminal bool
		environ  []string
		want     bool
	}{{true, nil, true}, {true, []string{"NO_COLOR=1"}, false}, {true, []string{"TERM=dumb"}, false}, {false, nil, false}} {
		signals := make(chan os.Signal, 1)
		signals <- os.Interrupt
		i := args("run", "--log", "text")
		i.Terminal, i.Signals = c.terminal, signals
		i.Environ = append([]string{"WORKER_STATE_DIR=" + t.TempDir() + "/s", "WORKER_DATA_DIR=" + t.TempDir(), "WORKER_TIMZONE=x"}, c.environ...)
		got := run(t, i)
		if got.code != cli.ExitOK && got.code != cli.ExitAbandoned || strings.Contains(got.stderr, "\x1b[") != c.want {
			t.Errorf("terminal %t, %s: exit code %d, stderr %q, want colour: %t", c.terminal, c.environ, got.code, got.stderr, c.want)
		}
	}
}

// The main function of a worker of one's own: os.Exit with what Main returns.
func ExampleMain() {
	os.Args = []string{"worker", "plan", "--cron", "30 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-03-28", "--count", "2", "--json"}
	fmt.Println(cli.Main(cli.Build{Version: "1.0.0"}, lifecycle.Module()))
	// Output:
	// [
	//   "2026-03-28T02:30:00+01:00",
	//   "2026-03-29T03:30:00+02:00"
	// ]
	// 0
}
