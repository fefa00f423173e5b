package cli

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"os"
	"testing/fstest"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
)

// Invocation is a command line with all that it takes from its process.
type Invocation struct {
	Name           string
	Args           []string
	Environ        []string
	Dir            string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       bool
	Signals        <-chan os.Signal
	Now            func() time.Time
}

// Execute runs a command and returns its exit code.
func Execute(i Invocation, modules ...app.Option) int {
	return execute(process{
		name: cmp.Or(i.Name, "worker"), args: i.Args, source: config.Source{Environ: i.Environ, Dir: i.Dir, PID: 4711, UID: 1000},
		stdin: i.Stdin, stdout: i.Stdout, stderr: i.Stderr, terminal: i.Terminal, shown: i.Terminal, signals: i.Signals, now: i.Now,
	}, Build{Version: "1.2.3", Commit: "abc"}, modules...)
}

// TriggerCode is the exit code of a trigger whose run came to this end.
func TriggerCode(outcome domain.Event) int { return triggerCode(string(outcome)) }

// NewJSONLog returns the log of workers that nobody watches.
func NewJSONLog(to io.Writer) *slog.Logger {
	s := session{process: process{stderr: to}}
	return s.logger(logJSON, slog.LevelInfo)
}

// Marked is an error that was given an exit code.
func Marked(code int, err error) error { return &exitError{code: code, err: err} }

// ErrInterrupted is the cause of a context that a signal ended.
var ErrInterrupted = errInterrupted

// CodeOf maps an error to an exit code.
func CodeOf(err error) int { return codeOf(err) }

// NewConsole returns the handler of terminals.
func NewConsole(to io.Writer, level slog.Leveler, colour bool) slog.Handler {
	if colour {
		return newConsole(to, level).withColour()
	}
	return newConsole(to, level)
}

// DescribeLeft words what a stop left.
func DescribeLeft(report *app.StopReport) string { return describeLeft(report) }

// ParseDuration reads a duration with days.
func ParseDuration(text string) (time.Duration, error) { return parseDuration(text) }

// ReadJobs reads jobs a line.
func ReadJobs(input io.Reader, limit int64) ([]domain.NewJob, error) { return readJobs(input, limit) }

// Tzdata tells which zone data is used below a root directory.
func Tzdata(root fstest.MapFS) string { return tzdata(root) }

// Async runs a function on a goroutine.
func Async(do func() (int, error)) (int, error) {
	r := <-async(do)
	return r.value, r.err
}

// Printable quotes what a terminal would obey.
func Printable(text string) string { return printable(text) }

// Calendar is the plan of an expression as iCalendar.
func Calendar(ctx context.Context, title string, ticks []app.PlannedTick, now time.Time) string {
	var text writer
	s := session{process: process{now: func() time.Time { return now }}, out: newOutput(&text)}
	s.printCalendar(&view{title: title, ticks: ticks})
	if s.out.close() != nil || ctx.Err() != nil {
		return ""
	}
	return string(text)
}

// FollowRuns follows all runs of a history in storage until ctx ends.
func FollowRuns(ctx context.Context, from history.Reader, stdout, stderr io.Writer) error {
	s := session{process: process{stderr: stderr}, out: newOutput(stdout)}
	show := s.runPrinter(time.UTC, true)
	return s.followRuns(ctx, &past{Reader: from}, history.Listing{Limit: fewRuns}, show)
}

type writer []byte

func (w *writer) Write(text []byte) (int, error) {
	*w = append(*w, text...)
	return len(text), nil
}

// Ear counts signals.
type Ear = ear

// Hear takes in a signal.
func (e *ear) Hear(got os.Signal, now time.Time) bool { return e.hear(got, now) }

// Heard is how many counted.
func (e *ear) Heard() int { return e.heard }

// WatchdogInterval reads what a manager of services says about its watchdog.
func WatchdogInterval(usec, pid string, self int) (time.Duration, error) {
	return watchdogInterval(usec, pid, self)
}

// Notify has a notifier of the environment ask for each of the answers in
// turn, and end.
func Notify(ctx context.Context, environ []string, log *slog.Logger, answers ...bool) {
	s := session{process: process{source: config.Source{Environ: environ}}}
	n := s.newNotifier(ctx, log)
	defer n.close()
	for _, live := range answers {
		n.ask(func() bool { return live })
		n.answered(ctx, <-n.answer)
	}
	n.tell(ctx, notifyStopping)
}
