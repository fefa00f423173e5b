package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
)

const (
	// hurryPatience is how long a stop may go on after the second signal.
	hurryPatience = 1500 * time.Millisecond
	// stopPatience is what a stop may overrun its own limit.
	stopPatience = 3 * time.Second
)

func (s *session) runCommand() *cobra.Command {
	form := logForm(logAuto)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the worker in the foreground",
		Long: `Runs the worker: fires scheduled jobs and works its queues until a signal comes.

SIGINT, SIGTERM and SIGHUP stop it. The first one drains: nothing new is taken, what is
under way may end, within WORKER_SHUTDOWN_TIMEOUT. The second one gives back at once
what is under way and exits with 75, the third exits. A start is stopped the same way.

The log goes to stderr: text at a terminal, JSON elsewhere; LOG_LEVEL sets its level.

` + exitCodes,
		Example: `  worker run
  WORKER_HEARTBEAT_CRON='* * * * * *' LOG_LEVEL=debug worker run
  worker run --log text 2> worker.log`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context(), form) },
	}
	cmd.Flags().Var(&form, "log", "text with a banner, json, or auto: by whether stderr is a terminal")
	return cmd
}

func (s *session) run(ctx context.Context, form logForm) error {
	s.starting = true
	loaded, report, err := s.load()
	if err != nil {
		return err
	}
	log := s.logger(form, loaded.Log.Level)
	if err := protectMemory(); err != nil {
		log.WarnContext(ctx, "memory not protected from core dumps", "err", err)
	}
	for _, warning := range report.Warnings {
		log.WarnContext(ctx, "configuration", "warning", warning.String())
	}
	worker, err := s.assembled(loaded, log)
	if worker == nil {
		return err
	}
	if s.human(form) {
		_, _ = fmt.Fprint(s.stderr, s.banner(loaded, worker.Service().ListJobs()))
	}
	life := &life{session: s, app: worker, log: log, config: loaded, notifier: s.newNotifier(ctx, log)}
	defer life.notifier.close()
	return life.live(ctx)
}

// life is a worker from its start to its end, and the signals it hears.
type life struct {
	*session

	app    *app.App
	log    *slog.Logger
	config *config.Config
	// notifier tells the manager of services.
	notifier *notifier

	ear ear
	// stopped delivers the end of the stop that the first signal begins.
	stopped <-chan result[app.StopReport]
	// late ends the wait for it.
	late <-chan time.Time
}

// live starts the worker and waits for its end.
func (l *life) live(ctx context.Context) error {
	starting, cancel := context.WithTimeoutCause(ctx, l.config.Process.StartTimeout, errStartTimeout)
	defer cancel()
	started := async(func() (struct{}, error) { return struct{}{}, l.app.Start(starting) })
	for {
		select {
		case r := <-started:
			if err := l.startEnded(starting, r.err); err != nil {
				return err
			}
			started = nil
			if l.stopped == nil {
				l.notifier.tell(ctx, notifyReady)
			}
			// What the start leaves behind would stay for minutes in a worker that
			// idles: nothing there makes the collector run.
			debug.FreeOSMemory()
		case <-l.notifier.due():
			l.notifier.ask(l.app.Live)
		case r := <-l.notifier.answer:
			l.notifier.answered(ctx, r)
		case got := <-l.signals:
			if err := l.signalled(ctx, got); err != nil {
				return err
			}
		case r := <-l.stopped:
			return l.ended(ctx, r)
		case <-l.late:
			return &exitError{code: ExitAbandoned, err: errors.New("the worker did not stop in time: what was under way is abandoned")}
		}
	}
}

var errStartTimeout = errors.New("the start took longer than WORKER_START_TIMEOUT")

// startEnded returns why the start failed. A start that a stop ended did not
// fail; one that timed out waited for something that is not available.
func (l *life) startEnded(starting context.Context, err error) error {
	_, panicked := errors.AsType[*panicError](err)
	switch {
	case panicked:
		return err
	case l.stopped != nil:
		return nil
	case err != nil && context.Cause(starting) == errStartTimeout: //nolint:errorlint // the cause is this very value
		return &exitError{code: ExitUnavailable, err: fmt.Errorf("%w (%s): %w", errStartTimeout, l.config.Process.StartTimeout, err)}
	}
	return l.explainPlace(err)
}

// explainPlace words an error of the control socket as one of the settings that
// placed it.
func (l *life) explainPlace(err error) error {
	placed, ok := errors.AsType[*control.PlaceError](err)
	if !ok {
		return err
	}
	problem := config.Problem{Variable: placed.Variable, Origin: l.config.Origin(placed.Variable), What: placed.What}
	return &exitError{code: codeOf(err), err: errors.New(problem.String())}
}

// signalled does what a signal asks for; with an error the worker ends now.
func (l *life) signalled(ctx context.Context, got os.Signal) error {
	if !l.ear.hear(got, time.Now()) {
		return nil
	}
	switch l.ear.heard {
	case 1:
		limit := l.config.Process.ShutdownTimeout
		l.log.InfoContext(ctx, "worker stopping", "signal", got.String(), "timeout_ms", limit.Milliseconds())
		l.notifier.tell(ctx, notifyStopping)
		l.late = time.After(limit + stopPatience)
		l.stopped = async(func() (app.StopReport, error) { return l.app.Stop(ctx), nil })
		return nil
	case 2:
		l.log.WarnContext(ctx, "worker hurried", "signal", got.String())
		l.late = time.After(hurryPatience)
		l.app.Hurry()
		return nil
	}
	return &exitError{code: ExitAbandoned, err: errors.New("stopped at once: what was under way is abandoned")}
}

// ended says how the worker ended.
func (l *life) ended(ctx context.Context, r result[app.StopReport]) error {
	if r.err != nil {
		return r.err
	}
	if r.value.Clean() && l.ear.heard < 2 {
		l.log.InfoContext(ctx, "worker stopped")
		return nil
	}
	left := describeLeft(&r.value)
	l.log.WarnContext(ctx, "worker stopped early", "left", left, "jobs", r.value.Jobs, "runs", r.value.Runs)
	return &exitError{code: ExitAbandoned, err: fmt.Errorf("stopped with work left: %s", left)}
}

func describeLeft(report *app.StopReport) string {
	var left []string
	lost := 0
	for _, jobs := range report.Dropped {
		lost += jobs
	}
	if report.Jobs > 0 && lost == 0 {
		left = append(left, plural(report.Jobs, "job")+" given back")
	}
	if report.Runs > 0 {
		left = append(left, plural(report.Runs, "run")+" given back")
	}
	for _, queue := range slices.Sorted(maps.Keys(report.Dropped)) {
		left = append(left, fmt.Sprintf("%s of queue %s lost with the memory", plural(report.Dropped[queue], "job"), queue))
	}
	if cut := min(report.Jobs, lost); cut > 0 {
		// What was given back to a queue in memory is lost with it.
		left[len(left)-1] += fmt.Sprintf(" (%d of them cut off)", cut)
	}
	if report.Err != nil {
		left = append(left, report.Err.Error())
	}
	if len(left) == 0 {
		return "nothing, but the stop was hurried"
	}
	return strings.Join(left, ", ")
}

// assembled builds the worker. A signal meanwhile ends the wait: nothing was
// started, so nothing is undone, and there is neither worker nor error.
func (s *session) assembled(loaded *config.Config, log *slog.Logger) (*app.App, error) {
	built := async(func() (*app.App, error) { return s.assemble(loaded, log) })
	select {
	case r := <-built:
		return r.value, r.err
	case <-s.signals:
		return nil, nil //nolint:nilnil // see above
	}
}
