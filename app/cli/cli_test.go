package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
	"github.com/taktwork/takt/test/pgtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// now is when all commands of these tests run: before both changes of the
// clocks of 2026.
var now = time.Date(2026, time.March, 7, 12, 0, 0, 0, time.UTC)

// output is what a command printed, and its exit code.
type output struct {
	code           int
	stdout, stderr string
}

// run runs a command of a worker with the features of these tests.
func run(t *testing.T, i cli.Invocation) output {
	t.Helper()
	return runWith(t, i, feature())
}

func runWith(t *testing.T, i cli.Invocation, modules ...app.Option) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if i.Environ == nil {
		i.Environ = environ()
	}
	if i.Stdin == nil {
		i.Stdin = strings.NewReader("")
	}
	if i.Stdout == nil {
		i.Stdout = &stdout
	}
	if i.Now == nil {
		i.Now = func() time.Time { return now }
	}
	i.Stderr = &stderr
	code := cli.Execute(i, modules...)
	return output{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// args is a command line. It is never nil, which would mean the words that the
// test binary was called with.
func args(words ...string) cli.Invocation {
	return cli.Invocation{Args: append([]string{}, words...)}
}

// environ names a state directory where no worker is.
func environ(more ...string) []string {
	return append([]string{"WORKER_STATE_DIR=/nonexistent/takt", "WORKER_DATA_DIR=/nonexistent/data"}, more...)
}

func feature() app.Option {
	idle := func(context.Context, app.Run) (any, error) { return nil, errors.New("idle") }
	return app.Feature("shop", func() app.Contribution {
		return app.Contribution{
			Queues: []string{"reports"},
			Jobs: []app.ScheduledJob{
				app.Schedule("reports.nightly", idle, app.Cron("30 2 * * *"), app.Zone("Europe/Berlin"),
					app.Description("Renders the reports."), app.ToQueue("reports")),
				app.Schedule("tills.close", idle, app.Cron("30 1 * * *"), app.Zone("America/New_York")),
				app.Schedule("tills.count", idle, app.Cron("30 2 * * *"), app.Zone("America/New_York"), app.OnStart(domain.StartEachReplica)),
				app.Schedule("stock.sync", idle, app.Every(6*time.Hour), app.Phase(0)),
				app.Schedule("stock.rebuild", idle),
				app.Schedule("stock.old", idle, app.Cron("0 4 * * *"), app.Enabled(false)),
			},
		}
	})
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update accepts):\n%s", name, diff)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	commands := [][]string{
		nil,
		{"run"},
		{"jobs"},
		{"jobs", "list"},
		{"jobs", "trigger"},
		{"plan"},
		{"runs"},
		{"why"},
		{"enqueue"},
		{"health"},
		{"doctor"},
		{"config"},
		{"version"},
		{"queues"},
		{"queues", "jobs"},
		{"queues", "job"},
		{"queues", "pause"},
		{"queues", "resume"},
		{"queues", "retry"},
		{"queues", "promote"},
		{"queues", "remove"},
		{"queues", "drain"},
		{"queues", "clean"},
		{"outbox"},
		{"outbox", "retry"},
		{"outbox", "drop"},
	}
	for _, command := range commands {
		got := run(t, args(append(command, "--help")...))
		if got.code != cli.ExitOK || got.stderr != "" {
			t.Errorf("%s --help: exit code %d, stderr %q, want 0 and nothing", command, got.code, got.stderr)
		}
		for _, part := range []string{"Examples:\n", "Exit codes: 0 ok"} {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("%s --help: no %q", command, part)
			}
		}
		golden(t, "help_"+strings.Join(append([]string{"worker"}, command...), "_")+".golden", got.stdout)
		if also := run(t, args(append([]string{"help"}, command...)...)); also.stdout != got.stdout {
			t.Errorf("help %s prints something else:\n%s", command, cmp.Diff(got.stdout, also.stdout))
		}
	}
	if got, want := run(t, args()).stdout, run(t, args("--help")).stdout; got != want {
		t.Errorf("worker alone prints something else than its help:\n%s", cmp.Diff(want, got))
	}
}

func TestMistakesOfUsageExit64WithASuggestion(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, words := range [][]string{
		{"jobz"},
		{"frobnicate", "--hard"},
		{"\x1b[31mred"},
		{strings.Repeat("x", 1<<20)},
		{"--jobs"},
		{"help", "frob"},
		{"run", "now"},
		{"run", "--log", "xml"},
		{"jobs", "lst"},
		{"jobs", "--jsn"},
		{"jobs", "trigger"},
		{"jobs", "trigger", "a", "b"},
		{"plan", "a", "b"},
		{"plan", "a", "--cron", "* * * * *"},
		{"plan", "--tz", "UTC"},
		{"plan", "--json", "--ical"},
		{"plan", "--count", "0"},
		{"plan", "--count", "ten"},
		{"plan", "--for", "0s"},
		{"plan", "--for", "5"},
		{"plan", "--for", "-1h"},
		{"enqueue"},
		{"enqueue", "mail"},
		{"enqueue", "mail", "a", "b"},
		{"enqueue", "-", "--delay", "5s"},
		{"enqueue", "-", "surplus"},
		{"enqueue", "mail", ""},
		{"enqueue", "mail", "a", "--id", ""},
		{"health", "--instance", ""},
		{"jobs", "trigger", ""},
		{"plan", ""},
		{"plan", "--from", ""},
		{"plan", "--cron", "* * * * *", "--tz", ""},
		{"enqueue", "mail", "a", "--backoff", "often"},
		{"enqueue", "mail", "a", "--dely", "5s"},
		{"enqueue", "mail", "a", "--priority", "high"},
		{"enqueue", "mail", "a", "--priority", "1.5"},
		{"health", "fine"},
		{"health", "live", "ready"},
		{"doctor", "who"},
		{"config", "all"},
		{"version", "--jsno"},
		{"completion", "tcsh"},
	} {
		got := run(t, args(words...))
		if got.code != cli.ExitUsage || got.stdout != "" {
			t.Errorf("worker %.80q: exit code %d, stdout %q, want 64 and nothing", words, got.code, got.stdout)
		}
		fmt.Fprintf(&all, "$ worker %.80q\n%s\n", words, got.stderr)
	}
	golden(t, "usage.golden", all.String())
}

func TestErrorsMapToTheDocumentedExitCodes(t *testing.T) {
	t.Parallel()
	_, badCron := schedule.ParseCron("61 * * * *", "UTC")
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{cli.Marked(64, errors.New("usage")), 64},
		{&control.AmbiguousError{}, 64},
		{&control.RemoteError{Code: control.CodeUsage}, 64},
		{badCron, 65},
		{domain.ErrInvalid, 65},
		{domain.ErrTooLarge, 65},
		{runner.ErrUnknownJob, 65},
		{runner.ErrDisabled, 65},
		{app.ErrQueueingOff, 65},
		{&control.RemoteError{Code: control.CodeBadData}, 65},
		{control.ErrNoWorker, 69},
		{control.ErrNoReply, 69},
		{control.ErrInUse, 69},
		{context.DeadlineExceeded, 69},
		{ports.ErrUnavailable, 69},
		{ports.ErrQueueFull, 69},
		{&control.RemoteError{Code: control.CodeUnavailable}, 69},
		{errors.New("anything else"), 70},
		{&control.RemoteError{Code: control.CodeInternal}, 70},
		{&control.RemoteError{Code: "from the future"}, 70},
		{cli.ErrInterrupted, 75},
		{&config.InvalidError{}, 78},
		{&app.RegistrationError{}, 78},
		{control.ErrConfig, 78},
	} {
		if got := cli.CodeOf(c.err); got != c.want {
			t.Errorf("exit code of %v = %d, want %d", c.err, got, c.want)
		}
		if c.err == nil {
			continue
		}
		if got := cli.CodeOf(fmt.Errorf("wrapped: %w", c.err)); got != c.want {
			t.Errorf("exit code of a wrapped %v = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestAPanicExits70WithItsStack(t *testing.T) {
	t.Parallel()
	i := args("plan")
	i.Now = func() time.Time { panic("clock \x1b[31mbroke") }
	got := run(t, i)
	if got.code != cli.ExitInternal || !strings.Contains(got.stderr, `internal error: clock \x1b[31mbroke`) ||
		!strings.Contains(got.stderr, "goroutine ") {
		t.Errorf("exit code %d, stderr %q, want 70 with the panic and its stack", got.code, got.stderr)
	}
	if _, err := cli.Async(func() (int, error) { panic("boom") }); cli.CodeOf(err) != cli.ExitInternal || err.Error() != "panic: boom" {
		t.Errorf("a panic on a goroutine gives %v, want an internal error", err)
	}
}

func TestAPanicInAFeatureExits70(t *testing.T) {
	t.Parallel()
	broken := app.Feature("broken", func() app.Contribution { panic("no such table") })
	got := runWith(t, args("jobs"), broken)
	if got.code != cli.ExitInternal || !strings.Contains(got.stderr, "no such table") {
		t.Errorf("exit code %d, stderr %q, want 70 and the panic", got.code, got.stderr)
	}
}

func TestMistakesOfFeaturesAreAllReported(t *testing.T) {
	t.Parallel()
	idle := func(context.Context, app.Run) (any, error) { return nil, errors.New("idle") }
	broken := app.Feature("broken", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("twice", idle), app.Schedule("twice", idle),
			app.Schedule("both", idle, app.Cron("* * * * *"), app.Every(time.Minute)),
			app.Schedule("late", idle, app.Cron("61 * * * *")),
			app.Schedule("nowhere", idle, app.ToQueue("undeclared")),
		}}
	})
	for _, command := range []string{"run", "jobs", "plan"} {
		got := runWith(t, args(command), broken)
		if got.code != cli.ExitConfig {
			t.Errorf("worker %s: exit code = %d, want 78", command, got.code)
		}
		if command != "run" {
			got.stderr = strings.Replace(got.stderr, " mistakes\n", " mistakes; nothing was started\n", 1)
		}
		golden(t, "registration.golden", got.stderr)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestOutputThatCannotBeWrittenExits70(t *testing.T) {
	t.Parallel()
	i := args("version")
	i.Stdout = failing{err: &fs.PathError{Op: "write", Path: "/dev/stdout", Err: errors.New("no space left on device")}}
	if got := run(t, i); got.code != cli.ExitInternal || !strings.Contains(got.stderr, "worker: write output: ") {
		t.Errorf("exit code %d, stderr %q, want 70 and the reason", got.code, got.stderr)
	}
}

func TestAnInterruptEndsAWaitForStdin(t *testing.T) {
	t.Parallel()
	i := args("enqueue", "-")
	read, write := io.Pipe()
	defer write.Close() //nolint:errcheck // ends the reader
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	i.Stdin, i.Signals = read, signals
	if got := run(t, i); got.code != cli.ExitAbandoned || !strings.Contains(got.stderr, "interrupted") {
		t.Errorf("exit code %d, stderr %q, want 75 and why", got.code, got.stderr)
	}
}

func TestPrintableQuotesWhatATerminalWouldObey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": "plain", "größe ✓": "größe ✓", "\x1b[2J": `"\x1b[2J"`, "a\nb": `"a\nb"`, "\xff": `"\xff"`, "\u202e": `"\u202e"`,
	} {
		if got := cli.Printable(text); got != want {
			t.Errorf("Printable(%q) = %s, want %s", text, got, want)
		}
	}
}
